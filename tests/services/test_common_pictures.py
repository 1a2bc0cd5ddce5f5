"""Pictures in common use: what they explain is marked, and what is missed costs nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.core.acts import Act, Action
from disrupt.core.cases import AgeBand
from disrupt.core.changes import Addition, Cursor, Removal
from disrupt.core.lookups import Extent, Matches, extent_of
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, StoredItem
from disrupt.core.policy import ADULTS, COMMON, Scope
from disrupt.core.registrations import CaseAccess, MediaItem, RegistrationRequest, ShownState
from disrupt.core.states import WaitReason
from disrupt.core.transforms import IDENTITY, Transform
from disrupt.errors import InvalidRequestError, LimitExceededError
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.services import common_bank
from disrupt.services.common_bank import CommonBank
from disrupt.services.matching import UNBOUNDED, complete, hash_steps, picture_steps
from disrupt.services.pins import Pins
from disrupt.services.registration import Registrar
from rig.callers.caller import distinctive, near
from tests.services.patient import Patient

SCOPE = Scope({ADULTS.number: 31})
QUARTER = Transform(crop_right_permille=500, crop_bottom_permille=500)
DAY = "2026-11-25"
PIN = "123456789012"
PINS = Pins(b"p" * 32)
STAFF = Act("0a1b2c3d", "hotline", Action.COMMON_ADDED, 1)


def codes(*values: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, 32)


def fingerprints(*values: bytes) -> NDArray[np.void]:
    """Return the hash of a picture, and then of crops."""
    array = np.zeros(len(values), FINGERPRINT)
    array["hash"], array["quality"], array["profile"] = codes(*values), 90, 1
    array["plan"][1:], array["ordinal"][1:] = 1, range(len(values) - 1)
    return array


def addition(number: int, bank: int, *values: bytes) -> Addition:
    item_id, kind, assurance = number.to_bytes(16), MediaKind.IMAGE, Assurance.SELF_REPORTED
    stored = StoredItem.of(number, item_id, bank, kind, assurance, fingerprints(*values))
    return Addition(number, stored)


class Counting(LiveIndex):
    """A live index that counts its searches."""

    searches = 0

    def search(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
        self.searches += 1
        return super().search(*arguments, **options)  # type: ignore[arg-type]


@pytest.fixture
def live(tmp_path: Path) -> Counting:
    return Counting(publish(tmp_path, (), Cursor(bytes(16), 0)))


def found(live: LiveIndex, *values: bytes, leave_out: bool = False) -> Matches:
    steps = hash_steps(
        *(live, codes(*values), SCOPE, 10),
        most_matches=1000,
        allowance=UNBOUNDED,
        leave_out_common=leave_out,
    )
    return complete(steps)


def test_a_miss_takes_one_search_and_so_does_a_hit_without_anything_in_common_use(
    live: Counting,
) -> None:
    value, template, missed = distinctive(), distinctive(), distinctive()

    def searches(*values: bytes) -> int:
        before = live.searches
        found(live, *values)
        return live.searches - before

    live.apply([addition(1, ADULTS.number, value)], Cursor(bytes(16), 1))
    assert (searches(missed), searches(value, missed)) == (1, 1)
    live.apply([addition(2, COMMON.number, template)], Cursor(bytes(16), 2))
    assert (searches(missed), searches(template), searches(value, missed)) == (1, 1, 2)
    live.apply([Removal(3, 2, (2).to_bytes(16), COMMON.number)], Cursor(bytes(16), 3))
    assert searches(value, missed) == 1


def test_an_item_is_answered_by_what_is_nearer_to_it_than_to_anything_in_common_use(
    live: Counting,
) -> None:
    whole, part = distinctive(), distinctive()
    template = near(whole, 4)
    live.apply(
        [addition(1, ADULTS.number, whole, part), addition(2, COMMON.number, template)],
        Cursor(bytes(16), 2),
    )

    def answer(*queries: tuple[bytes, Transform]) -> tuple[int, bool, Extent, int]:
        versions, transforms = zip(*queries, strict=True)
        steps = picture_steps(live, codes(*versions), transforms, SCOPE, 10, UNBOUNDED)
        matches = complete(steps)
        assert len(matches) == 1
        areas = int(matches.query_area_permille[0]), int(matches.stored_area_permille[0])
        named = len(matches.matched_versions()[0])
        return int(matches.distance_bits[0]), bool(matches.is_common[0]), extent_of(*areas), named

    assert answer((near(whole, 6), IDENTITY)) == (6, True, Extent.WHOLE, 1)
    assert answer((near(whole, 2), IDENTITY)) == (2, True, Extent.WHOLE, 1), "equally near"
    assert answer((near(whole, 1), IDENTITY)) == (1, False, Extent.WHOLE, 1)
    by_both = answer((near(whole, 6), IDENTITY), (near(part, 20), QUARTER))
    assert by_both[:2] == (20, False)
    assert by_both[3] == 1, "the match id names what is not common alone"


def test_common_matches_are_left_out_where_the_caller_asks_so(live: Counting) -> None:
    value = distinctive()
    additions = [addition(at, ADULTS.number, near(value, at)) for at in range(1, 16)]
    live.apply([*additions, addition(16, COMMON.number, near(value, 8))], Cursor(bytes(16), 16))
    every, some = found(live, value), found(live, value, leave_out=True)
    assert every.number.tolist() == [*range(1, 11)]
    assert every.is_common.tolist() == [False] * 7 + [True] * 3
    assert some.number.tolist() == [*range(1, 8)]
    assert (every.truncated.tolist(), some.truncated.tolist()) == ([0], [])


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryWriter]:
    with ExitStack() as stack:
        yield stack.enter_context(sqlite.open_writer(tmp_path / "registry.db"))


def test_what_is_near_something_in_common_use_is_registered_and_waits(
    registry: RegistryWriter,
) -> None:
    common = CommonBank(registry)
    registrar = Registrar(registry, PINS, Patient(PINS.verify), b"p" * 32, common=common)
    template, crop = distinctive(), distinctive()

    def register(*values: bytes) -> tuple[WaitReason | None, ShownState]:
        picture = MediaItem(MediaKind.IMAGE, fingerprints(*values))
        access = CaseAccess("", PIN)
        asked = RegistrationRequest(secrets.token_bytes(16), access, AgeBand.ADULT, (picture,))
        receipt = registrar.register(asked, caller="k", now_s=0, day=DAY)
        opened = CaseAccess(receipt.case_number, PIN)
        (shown,) = registrar.show(opened, caller="k", now_s=0, day=DAY).items
        return receipt.items[0].wait_reason, shown.state

    live, waits = (None, ShownState.LIVE), (WaitReason.COMMON, ShownState.WAITING)
    assert register(near(template, 3)) == live
    item_id, _ = common.add(bytes(16), fingerprints(template, crop), STAFF, day=DAY)
    assert register(near(template, 31)) == waits
    assert register(near(template, 32)) == live
    assert register(near(crop, 9)) == waits, "a part of the template is a whole picture"
    assert register(distinctive(), template) == live, "a crop alone"
    common.remove([item_id], Act("0a1b2c3d", "hotline", Action.COMMON_REMOVED, 2), day=DAY)
    assert register(near(template, 3)) == live


def test_a_picture_is_added_once_and_nothing_that_is_no_picture(
    registry: RegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    common, picture = CommonBank(registry), fingerprints(distinctive(), distinctive())
    assert common.add(bytes(16), picture, STAFF, day=DAY) == common.add(
        bytes(16), picture, STAFF, day=DAY
    )
    assert len(registry.common_hashes()) == 2
    poor = picture.copy()
    poor["quality"] = 49
    two = np.concatenate([picture[:1], fingerprints(distinctive())])
    two["profile"] = [1, 2]
    for wrong in (poor, np.concatenate([picture[:1], fingerprints(distinctive())]), two):
        with pytest.raises(InvalidRequestError):
            common.add(secrets.token_bytes(16), wrong, STAFF, day=DAY)
    monkeypatch.setattr(common_bank, "COMMON_HASHES_MAX", 3)
    with pytest.raises(LimitExceededError):
        common.add(secrets.token_bytes(16), picture, STAFF, day=DAY)
    common.add(secrets.token_bytes(16), picture[:1], STAFF, day=DAY)
    assert len(registry.common_hashes()) == 3
