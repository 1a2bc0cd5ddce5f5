"""Refused calls are answered up to a rate; beyond it their connections end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from disrupt.server.admission.limits import (
    REFUSALS_LEAST,
    REFUSALS_PER_S,
    STRANGERS_CALLS_PER_S,
)
from disrupt.server.admission.refusals import Refusals
from disrupt.server.admission.sockets import network
from tests.server.caller import calling, lookup
from tests.server.running import Start
from tests.server.wire import wires


def counted(*calls: tuple[str | None, str]) -> tuple[list[str], set[str]]:
    """Count calls, each of a key on a connection; return those answered, and those shut."""

    async def run() -> tuple[list[str], set[str]]:
        answered: list[str] = []
        shut: set[str] = set()
        are_shut = asyncio.Event()
        loop = asyncio.get_running_loop()

        def shut_down(peers: Collection[str]) -> None:
            shut.update(peers)
            loop.call_soon_threadsafe(are_shut.set)

        refusals = Refusals(shut_down)

        async def call(key_id: str | None, connection: str) -> None:
            await refusals.count(key_id, connection)
            answered.append(connection)

        watching = asyncio.create_task(refusals.watch())
        tasks = [asyncio.create_task(call(*each)) for each in calls]
        await asyncio.sleep(0)
        if len(answered) < len(calls):
            await are_shut.wait()
        for task in (*tasks, watching):
            task.cancel()
        return answered, shut

    return asyncio.run(run())


def peer(number: int, port: int = 1) -> str:
    return f"ipv4:10.0.{number // 256}.{number % 256}:{port}"


@pytest.mark.parametrize("key_id", [None, "k"])
def test_as_many_are_answered_as_the_rate_allows(key_id: str | None) -> None:
    answered, shut = counted(*[(key_id, peer(1))] * REFUSALS_PER_S)
    assert len(answered) == REFUSALS_PER_S
    assert not shut


@pytest.mark.parametrize("key_id", [None, "k"])
def test_the_connections_of_more_are_shut_and_their_calls_are_not_answered(
    key_id: str | None,
) -> None:
    many = [(key_id, peer(1))] * REFUSALS_PER_S
    answered, shut = counted(*many, (key_id, peer(1, port=2)))
    assert answered == [peer(1)] * REFUSALS_PER_S
    assert shut == {peer(1, port=2)}


def test_a_caller_who_makes_few_is_answered_beside_whoever_makes_many() -> None:
    many = [(None, peer(1))] * (2 * REFUSALS_PER_S)
    answered, shut = counted(*many, *[(None, peer(2))] * 10)
    assert answered[-10:] == [peer(2)] * 10
    assert shut == {peer(1)}


def test_many_callers_who_make_few_are_all_answered() -> None:
    for key in (None, "k"):
        callers = [(key and f"{key}{at}", peer(at)) for at in range(4 * REFUSALS_PER_S)]
        answered, shut = counted(*callers)
        assert len(answered) == len(callers)
        assert not shut


@pytest.mark.slow
def test_of_very_many_strangers_those_who_make_most_end_and_keys_and_checks_of_health_do_not() -> (
    None
):
    strangers = [(None, peer(at)) for at in range(1000)]
    key, health = ("k", peer(5000)), (None, peer(5001))
    answered, shut = counted(*strangers * REFUSALS_LEAST, *[key] * REFUSALS_LEAST, *[health] * 2)
    assert answered[-2:] == [peer(5001)] * 2
    assert answered.count(peer(5000)) == REFUSALS_LEAST
    assert len(answered) == STRANGERS_CALLS_PER_S + REFUSALS_LEAST + 2
    assert shut == {caller for _, caller in strangers}


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("ipv4:10.0.0.1:5", "10.0.0.1"),
        ("ipv6:%5B::ffff:10.0.0.1%5D:5", "10.0.0.1"),
        ("ipv6:%5B2001:db8:0:1:a:b:c:d%5D:5", "2001:db8:0:1::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:5", "fe80::/64"),
        ("unix:/run/socket", "unix:/run/socket"),
    ],
)
def test_a_caller_without_a_key_counts_by_its_network(named: str, expected: str) -> None:
    assert network(named) == expected


_FEW = """
from disrupt.server.admission import limits
limits.REFUSALS_PER_S = limits.REFUSALS_LEAST = 8
"""
"""A module that lowers the limit, which a slow machine might not reach otherwise."""


@pytest.mark.slow
def test_a_key_that_resets_its_calls_loses_its_connection(start: Start, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_FEW)
    server = start(workers=1, wrapper=("env", f"PYTHONPATH={tmp_path}"))
    key = server.make_key("p", "match")

    def reset_many() -> None:
        while True:
            for _ in range(16):
                wire.reset(wire.begin("/disrupt.v1.MatchService/MatchHashes", key))
            wire.read(0.002)  # else gRPC would drop them before they are handed over

    with wires(server.address, 1) as (wire,), pytest.raises(ConnectionError):
        reset_many()


@pytest.mark.slow
def test_a_key_that_resets_some_calls_keeps_its_connection(start: Start) -> None:
    server = start(workers=1)
    with calling(server.address, server.make_key("p", "match")) as caller:
        begin: Any = caller.channel.unary_unary("/disrupt.v1.MatchService/MatchHashes")
        for _ in range(REFUSALS_LEAST):
            begin.future(b"").cancel()
        caller("MatchHashes", lookup(bytes(32)))
