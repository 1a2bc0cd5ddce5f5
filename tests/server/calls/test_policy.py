"""Rules by which items wait, over real sockets and through every worker."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.v1 import match_pb2, registration_pb2, types_pb2
from tests.server.caller import (
    Caller,
    calling,
    distinctive,
    eventually,
    items,
    lookup,
    near,
    register,
)
from tests.server.running import Start, typed

pytestmark = pytest.mark.slow

WORKERS = 8
"""Connections, which the kernel spreads over the workers."""


@contextmanager
def connected(server: Deployment, key: str) -> Iterator[list[Caller]]:
    with ExitStack() as stack:
        yield [stack.enter_context(calling(server.address, key)) for _ in range(WORKERS)]


@pytest.fixture(scope="module")
def organisations(server: Deployment) -> dict[str, str]:
    """Make a key for each of three organisations."""
    return {name: server.make_key(name, "match") for name in ("North", "South", "East")}


def false_positive(server: Deployment, key: str, value: bytes) -> None:
    """Look a hash up, and report each of its matches as a false positive."""
    with calling(server.address, key) as platform:
        eventually(lambda: len(items(platform("MatchHashes", lookup(value)))) > 0)
        for match_id in platform("MatchHashes", lookup(value)).matches.match_ids:
            request = match_pb2.ReportOutcomeRequest(
                match_id=match_id, outcome=match_pb2.OUTCOME_FALSE_POSITIVE
            )
            platform("ReportOutcome", request)


def eventually_finds(server: Deployment, key: str, value: bytes, *, found: bool) -> None:
    """Wait until every worker finds an item near a hash, or none."""

    def holds(platform: Caller) -> bool:
        return bool(items(platform("MatchHashes", lookup(value)))) == found

    with connected(server, key) as platforms:
        for platform in platforms:
            eventually(partial(holds, platform))


def eventually_gone(server: Deployment, key: str, value: bytes) -> None:
    eventually_finds(server, key, value, found=False)


def eventually_there(server: Deployment, key: str, value: bytes) -> None:
    eventually_finds(server, key, value, found=True)


def state_of(server: Deployment, item_id: bytes) -> str:
    return typed("disrupt", "items", "show", item_id.hex(), "--data-dir", server.data_dir)


def test_two_organisations_hide_what_matches_wrongly_and_staff_bring_it_back(
    server: Deployment, helpline: Caller, organisations: dict[str, str]
) -> None:
    value = distinctive()
    item_id = helpline("RegisterHashes", register(value)).receipt.items[0].item_id
    far = near(value, 20)
    for _ in range(2):
        false_positive(server, organisations["North"], far)
    for key in organisations.values():
        false_positive(server, key, near(value, 12))
    assert "live" in state_of(server, item_id)
    false_positive(server, organisations["South"], far)
    assert "waiting" in state_of(server, item_id)
    eventually_gone(server, organisations["East"], value)
    typed("disrupt", "items", "enable", item_id.hex(), "--data-dir", server.data_dir)
    eventually_there(server, organisations["East"], value)
    false_positive(server, organisations["East"], far)
    assert "live" in state_of(server, item_id)


def test_no_number_of_platforms_hides_a_picture_of_a_minor(
    server: Deployment, helpline: Caller, organisations: dict[str, str]
) -> None:
    value = distinctive()
    request = register(value)
    request.context.age_band = registration_pb2.AGE_BAND_MINOR
    item_id = helpline("RegisterHashes", request).receipt.items[0].item_id
    for key in organisations.values():
        false_positive(server, key, near(value, 20))
    assert "live" in state_of(server, item_id)


def test_what_is_near_to_many_lookups_of_three_organisations_waits_and_is_released_in_time(
    start: Start,
) -> None:
    server = start(settings="far_lookups_per_picture = 3\n")
    names = ("North", "South", "East")
    keys = [server.make_key(name, "match") for name in names]
    operators = [server.make_key(name, "match", "operator") for name in names]
    with calling(server.address, server.make_key("helpline", "register")) as helpline:
        values = [distinctive() for _ in range(3)]
        request = register(b"".join(values))
        request.items[0].fingerprints.qualities = bytes([90] * len(values))
        hides = helpline("RegisterHashes", request).receipt.items[0].item_id
        ordinary = distinctive()
        helpline("RegisterHashes", register(ordinary))
    eventually_there(server, keys[0], values[0])
    eventually_there(server, keys[0], ordinary)
    # Farther lookups, which only operators may ask for, hide nothing.
    for operator in operators:
        with calling(server.address, operator) as wide:
            for at in range(3):
                far = (int.from_bytes(ordinary) ^ (2**63 - 1) << 64 * at).to_bytes(32)
                assert items(wide("MatchHashes", lookup(far, max_distance_bits=63)))
    for key in keys:
        assert "live" in state_of(server, hides)
        with connected(server, key) as platforms:
            for at, value in enumerate(values):
                platforms[at]("MatchHashes", lookup(near(value, 5)))
            for at, platform in enumerate(platforms):
                platform("MatchHashes", lookup(near(ordinary, at)))
    eventually(lambda: "waiting" in state_of(server, hides))
    eventually_gone(server, keys[0], values[0])
    eventually_there(server, keys[0], ordinary)
    wait_as_if_since(server, hours=72)
    server = start()
    eventually_gone(server, keys[0], values[0])  # not before the hour is over in which it began
    wait_as_if_since(server, hours=74)
    server = start()
    eventually_there(server, keys[0], values[0])


def wait_as_if_since(server: Deployment, hours: int) -> None:
    """Stop a server, and have its items wait since so many hours ago."""
    server.stop()
    with closing(sqlite3.connect(server.data_dir / "registry.db")) as connection:
        connection.execute(
            "UPDATE waits SET since_h = unixepoch() / 3600 - ? WHERE ended = 0", (hours,)
        )
        connection.commit()


def test_what_is_near_to_a_harmless_picture_waits_from_when_that_is_listed(
    server: Deployment, helpline: Caller, organisations: dict[str, str], tmp_path: Path
) -> None:
    harmless, list_of = distinctive(), tmp_path / "memes.txt"
    list_of.write_text(f"{harmless.hex()}\n")
    data_dir = ("--data-dir", server.data_dir)
    for added in (1, 0):
        said = typed("disrupt", "negatives", "add", list_of, "--label", "memes", *data_dir)
        assert said == f"New: {added} of 1 hash.\n"
    assert "memes" in typed("disrupt", "negatives", "list", *data_dir)
    waiting = helpline("RegisterHashes", register(near(harmless, 25))).receipt.items[0]
    assert waiting.state == types_pb2.ITEM_STATE_WAITING
    other = distinctive()
    live = helpline("RegisterHashes", register(other)).receipt.items[0]
    assert live.state == types_pb2.ITEM_STATE_LIVE
    eventually_there(server, organisations["North"], other)
    eventually_gone(server, organisations["North"], harmless)
    assert "1 hash." in typed("disrupt", "negatives", "remove", "--label", "memes", *data_dir)
    live = helpline("RegisterHashes", register(near(harmless, 26))).receipt.items[0]
    assert live.state == types_pb2.ITEM_STATE_LIVE


def test_a_flood_from_one_origin_waits_and_other_origins_do_not(start: Start) -> None:
    server = start(settings="flood_items_per_h = 2\n")
    with calling(server.address, server.make_key("helpline", "register")) as helpline:

        def register_one(origin: bytes) -> int:
            request = register(distinctive())
            request.context.access.origin_token = origin
            return int(helpline("RegisterHashes", request).receipt.items[0].state)

        live, waiting = types_pb2.ITEM_STATE_LIVE, types_pb2.ITEM_STATE_WAITING
        assert [register_one(b"one") for _ in range(4)] == [live, live, waiting, waiting]
        assert register_one(b"two") == live
        assert register_one(b"") == live
