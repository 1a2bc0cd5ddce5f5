"""Items near to lookups that are far from each other wait, and no lookup is kept for that."""

from __future__ import annotations

import gc
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from disrupt.core.hashes import HASH_BYTES
from disrupt.core.media import ItemState, MediaKind, StateReason
from disrupt.core.policy import ADULTS, MINORS
from disrupt.core.sketches import Sighting
from disrupt.core.waiting import LookupPolicy
from disrupt.errors import StorageFullError
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from disrupt.services import far_lookups, matching
from disrupt.services.far_lookups import FarLookups, SeenLookups
from tests.registry.examples import ACT, DAY, NEXT_DAY, new_item, registration

SECRET = bytes(range(32))
POLICY = LookupPolicy(per_picture=4, per_video=8, organisations=3)
PLATFORMS = ("North", "South", "East")


@contextmanager
def opened(
    bank: int = ADULTS.number, kind: MediaKind = MediaKind.IMAGE
) -> Iterator[tuple[SqlRegistryWriter, bytes]]:
    with (
        tempfile.TemporaryDirectory() as directory,
        SqlRegistry.open_writer(Path(directory) / "registry.db") as writer,
    ):
        chance = random.Random(5)
        item = new_item(chance, kind=kind)
        writer.register(registration(chance, None, item, bank=bank), day=DAY)
        yield writer, item.item_id


def hashes_of(seed: int, count: int) -> NDArray[np.uint8]:
    packed = np.frombuffer(random.Random(seed).randbytes(count * HASH_BYTES), np.uint8)
    return packed.reshape(count, HASH_BYTES)


def look_up(
    seen: SeenLookups,
    hashes: NDArray[np.uint8],
    item_id: bytes,
    organisation: str,
    *,
    day: str = DAY,
    kind: MediaKind = MediaKind.IMAGE,
) -> None:
    """Look up each of some hashes in a call of its own, all of them near to one item."""
    for value in hashes:
        seen.note(matches([item_id], [3], [0], kind), value[None], organisation, day)


def matches(
    item_ids: Sequence[bytes],
    distances: Sequence[int],
    versions: Sequence[int],
    kind: MediaKind = MediaKind.IMAGE,
) -> Any:
    ids = np.frombuffer(b"".join(item_ids), np.uint8).reshape(-1, 16)
    return replace(
        matching.NO_MATCHES,
        query=np.zeros(len(ids), np.uint32),
        item_ids=ids,
        distance_bits=np.array(distances, np.uint16),
        version=np.array(versions, np.uint32),
        kind=np.full(len(ids), kind, np.uint8),
    )


def tell(seen: SeenLookups, counted: FarLookups, today: str = DAY) -> list[Sighting]:
    """Tell the writer all that it was not told, in as many calls as that takes."""
    told = list[Sighting]()
    while True:
        day, sightings = seen.untold()
        if not sightings:
            return told
        counted.add(day, sightings, today=today, at_s=0)
        seen.told(sightings)
        told += sightings


def state(writer: SqlRegistryWriter, item_id: bytes) -> tuple[ItemState, StateReason | None]:
    (record,) = writer.states([item_id])
    return record.state, record.reason


LIVE = (ItemState.LIVE, None)
HIDDEN = (ItemState.WAITING, StateReason.MANY_LOOKUPS)


def test_far_lookups_of_three_organisations_hide_an_item_from_whichever_workers_they_come() -> None:
    with opened() as (writer, item_id), capture_logs() as logs:
        workers = [SeenLookups(SECRET, POLICY) for _ in range(2)]
        counted = FarLookups(writer, POLICY)
        for at, platform in enumerate(PLATFORMS):
            assert state(writer, item_id) == LIVE
            for worker, hashes in zip(workers, np.split(hashes_of(at, 4), 2), strict=True):
                look_up(worker, hashes, item_id, platform)
                tell(worker, counted)
        assert state(writer, item_id) == HIDDEN
        look_up(workers[0], hashes_of(40, 4), item_id, "West")
        tell(workers[0], counted)
        assert [(log["event"], log["item_id"]) for log in logs] == [("item_waits", item_id.hex())]
        # Staff let it go live again: neither these lookups nor others hide it again.
        writer.set_states([item_id], ItemState.LIVE, day=DAY, act=ACT)
        for at, platform in enumerate((*PLATFORMS, "West")):
            look_up(workers[0], hashes_of(50 + at, 9), item_id, platform, day=NEXT_DAY)
        tell(workers[0], counted, NEXT_DAY)
        assert state(writer, item_id) == LIVE


def test_two_organisations_near_lookups_or_the_crops_of_one_call_hide_nothing() -> None:
    with opened() as (writer, item_id):
        seen, counted = SeenLookups(SECRET, POLICY), FarLookups(writer, POLICY)
        for platform in PLATFORMS[:2]:
            look_up(seen, hashes_of(1, 50), item_id, platform)
        same = np.repeat(hashes_of(2, 1), 50, axis=0)
        same[:, 0] = np.arange(50)  # within 8 bits of each other
        look_up(seen, same, item_id, PLATFORMS[2])
        versions = hashes_of(3, 40)
        nearest_last = matches([item_id] * 40, range(40, 0, -1), range(40))
        for _ in range(3):
            seen.note(nearest_last, versions, PLATFORMS[2], DAY)
        told = tell(seen, counted)
        counts = {each: sum(sight.organisation == each for sight in told) for each in PLATFORMS}
        assert counts == {"North": 4, "South": 4, "East": 2}
        expected = SeenLookups(SECRET, POLICY)
        look_up(expected, versions[-1:], item_id, "East")
        assert told[-1] == expected.untold()[1][0]  # the hash that was nearest
        assert state(writer, item_id) == LIVE


@pytest.mark.parametrize(("bank", "expected"), [(ADULTS, HIDDEN), (MINORS, LIVE)])
def test_an_item_of_a_minor_is_not_hidden_but_staff_are_told(bank: Any, expected: Any) -> None:
    with opened(bank.number) as (writer, item_id), capture_logs() as logs:
        seen, counted = SeenLookups(SECRET, POLICY), FarLookups(writer, POLICY)
        for at, platform in enumerate(PLATFORMS):
            look_up(seen, hashes_of(at, 4), item_id, platform)
        tell(seen, counted)
        assert state(writer, item_id) == expected
        event = "item_waits" if bank is ADULTS else "item_near_to_many"
        assert [(log["event"], log["item_id"]) for log in logs] == [(event, item_id.hex())]


def test_a_video_takes_as_many_lookups_as_are_set_for_videos() -> None:
    with opened(kind=MediaKind.VIDEO) as (writer, item_id):
        seen, counted = SeenLookups(SECRET, POLICY), FarLookups(writer, POLICY)
        for count, expected in ((7, LIVE), (1, HIDDEN)):
            for at, platform in enumerate(PLATFORMS):
                hashes = hashes_of(10 * count + at, count)
                look_up(seen, hashes, item_id, platform, kind=MediaKind.VIDEO)
            tell(seen, counted)
            assert state(writer, item_id) == expected


def test_lookups_of_two_days_do_not_add_up() -> None:
    with opened() as (writer, item_id):
        seen, counted = SeenLookups(SECRET, POLICY), FarLookups(writer, POLICY)
        for at, platform in enumerate(PLATFORMS):
            look_up(seen, hashes_of(at, 3), item_id, platform)
        tell(seen, counted)
        for at, platform in enumerate(PLATFORMS):
            look_up(seen, hashes_of(20 + at, 3), item_id, platform, day=NEXT_DAY)
        tell(seen, counted, NEXT_DAY)
        assert state(writer, item_id) == LIVE


def test_lookups_of_another_day_than_the_writers_are_not_counted() -> None:
    with opened() as (writer, item_id):
        seen, counted = SeenLookups(SECRET, POLICY), FarLookups(writer, POLICY)
        for at, platform in enumerate(PLATFORMS):
            look_up(seen, hashes_of(at, 4), item_id, platform)
        day, sightings = seen.untold()
        counted.add(day, sightings, today=NEXT_DAY, at_s=0)
        assert state(writer, item_id) == LIVE
        counted.add(day, sightings, today=day, at_s=0)
        assert state(writer, item_id) == HIDDEN


def test_what_the_writer_did_not_take_is_told_again_and_each_lookup_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(far_lookups, "SIGHTINGS_AT_ONCE", 2)
    with opened() as (writer, item_id):
        seen, counted = SeenLookups(SECRET, POLICY), FarLookups(writer, POLICY)
        look_up(seen, hashes_of(1, 3), item_id, "North")
        first = seen.untold()
        assert seen.untold() == first
        told = tell(seen, counted)
        assert told[:2] == first[1]
        assert len(told) == 3
        look_up(seen, hashes_of(1, 3), item_id, "North")
        assert tell(seen, counted) == []
        # An answer that comes after midnight forgets nothing of the new day.
        look_up(seen, hashes_of(2, 1), item_id, "North")
        _, late = seen.untold()
        look_up(seen, hashes_of(2, 1), item_id, "North", day=NEXT_DAY)
        seen.told(late)
        assert len(seen.untold()[1]) == 1


def test_an_item_that_could_not_be_hidden_is_when_the_worker_tells_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: Any, **__: Any) -> bool:
        raise StorageFullError("The disk is full.")

    with opened() as (writer, item_id):
        seen, counted = SeenLookups(SECRET, POLICY), FarLookups(writer, POLICY)
        for at, platform in enumerate(PLATFORMS):
            look_up(seen, hashes_of(at, 4), item_id, platform)
        with monkeypatch.context() as full:
            full.setattr(SqlRegistryWriter, "hide", refuse)
            with pytest.raises(StorageFullError):
                tell(seen, counted)
        assert state(writer, item_id) == LIVE
        tell(seen, counted)
        assert state(writer, item_id) == HIDDEN


def test_no_process_keeps_a_hash_that_was_looked_up() -> None:
    with opened() as (writer, item_id):
        seen, counted = SeenLookups(SECRET, POLICY), FarLookups(writer, POLICY)
        hashes = hashes_of(9, 4)
        values = {value.tobytes() for value in hashes}
        for platform in PLATFORMS:
            look_up(seen, hashes, item_id, platform)
        day, sightings = seen.untold()
        counted.add(day, sightings, today=day, at_s=0)
        kept = [*everything(seen), *everything(counted)]
        whole = {each for each in kept if isinstance(each, bytes) and len(each) == HASH_BYTES}
        numbers = {
            each.to_bytes(HASH_BYTES)
            for each in kept
            if isinstance(each, int) and each.bit_length() > 4 * HASH_BYTES
        }
        arrays = b"".join(each.tobytes() for each in kept if isinstance(each, np.ndarray))
        assert {sighting.disguised for sighting in sightings} <= whole | numbers
        assert not values & (whole | numbers)
        assert not [value for value in values if value in arrays]


def everything(root: object) -> list[object]:
    """Return what can be reached from an object, but for the registry and modules."""
    reached, waiting = dict[int, object](), [root]
    while waiting:
        each = waiting.pop()
        if id(each) in reached or isinstance(each, (type, SqlRegistryWriter)):
            continue
        if type(each).__name__ in {"module", "function", "builtin_function_or_method"}:
            continue
        reached[id(each)] = each
        waiting += gc.get_referents(each)
    return list(reached.values())
