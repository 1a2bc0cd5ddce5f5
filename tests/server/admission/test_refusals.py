"""Refused calls are answered up to a rate; beyond it their connections end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from disrupt.server.admission.limits import REFUSALS_PER_S
from disrupt.server.admission.refusals import Refusals
from disrupt.server.admission.sockets import network


def counted(*calls: tuple[str, str]) -> tuple[list[str], set[str]]:
    """Count calls, each of a caller on a connection; return those answered, and those shut."""

    async def run() -> tuple[list[str], set[str]]:
        answered: list[str] = []
        shut: set[str] = set()
        are_shut = asyncio.Event()
        loop = asyncio.get_running_loop()

        def shut_down(peers: Collection[str]) -> None:
            shut.update(peers)
            loop.call_soon_threadsafe(are_shut.set)

        refusals = Refusals(shut_down)

        async def call(caller: str, peer: str) -> None:
            await refusals.count(caller, peer)
            answered.append(peer)

        watching = asyncio.create_task(refusals.watch())
        tasks = [asyncio.create_task(call(*each)) for each in calls]
        await asyncio.sleep(0)
        if len(answered) < len(calls):
            await are_shut.wait()
        for task in (*tasks, watching):
            task.cancel()
        return answered, shut

    return asyncio.run(run())


def test_as_many_are_answered_as_the_rate_allows() -> None:
    answered, shut = counted(*[("10.0.0.1", "a")] * REFUSALS_PER_S)
    assert len(answered) == REFUSALS_PER_S
    assert not shut


def test_the_connections_of_more_are_shut_and_their_calls_are_not_answered() -> None:
    answered, shut = counted(*[("10.0.0.1", "a")] * REFUSALS_PER_S, ("10.0.0.1", "b"))
    assert answered == ["a"] * REFUSALS_PER_S
    assert shut == {"b"}


def test_a_caller_who_makes_few_is_answered_beside_whoever_makes_many() -> None:
    answered, shut = counted(*[("10.0.0.1", "a")] * (2 * REFUSALS_PER_S), *[("10.0.0.2", "b")] * 10)
    assert answered[-10:] == ["b"] * 10
    assert shut == {"a"}


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("ipv4:10.0.0.1:5", "10.0.0.1"),
        ("ipv6:%5B::ffff:10.0.0.1%5D:5", "10.0.0.1"),
        ("ipv6:%5B2001:db8:0:1:a:b:c:d%5D:5", "2001:db8:0:1::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:5", "fe80::/64"),
        ("unix:/run/socket", "unix:/run/socket"),
    ],
)
def test_a_caller_without_a_key_counts_by_its_network(peer: str, expected: str) -> None:
    assert network(peer) == expected
