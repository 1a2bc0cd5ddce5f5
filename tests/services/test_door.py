"""What waits at the door: harmless pictures, and what comes after very many items of an origin."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from disrupt.core.cases import AgeBand
from disrupt.core.hashes import PdqHash
from disrupt.core.media import (
    Fingerprint,
    ItemState,
    MediaKind,
    Profile,
    StateReason,
    columns,
)
from disrupt.core.registrations import CaseAccess, MediaItem, Outcome, Receipt, RegistrationRequest
from disrupt.errors import LimitExceededError
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from disrupt.services import door as door_module
from disrupt.services.door import CERTAIN_BITS, Door, DoorLimits, add_negatives
from disrupt.services.pins import Pins
from disrupt.services.registration import Registrar
from tests.properties import FEW
from tests.registry.examples import ACT, DAY
from tests.server.caller import distinctive, near
from tests.services.patient import Patient

PEPPER = b"p" * 32
PINS = Pins(PEPPER)
PIN = "12345678"
HOUR_S = 3600.0
AT_S = 500_000 * 3600
IMAGE, VIDEO = MediaKind

Shown = list[tuple[int, bytes]]
"""Plan and hash of each fingerprint of an item."""


@dataclass
class Desk:
    """A registrar with a door, and a registry."""

    registry: SqlRegistryWriter
    door: Door
    registrar: Registrar

    def register(
        self,
        *items: tuple[MediaKind, Shown],
        case: str = "",
        caller: str = "helpline",
        origin: bytes = b"",
        now_s: float = 0.0,
        age_band: AgeBand = AgeBand.ADULT,
    ) -> Receipt:
        request = RegistrationRequest(
            request_id=random.randbytes(16),
            access=CaseAccess(case, PIN, origin),
            age_band=age_band,
            items=tuple(MediaItem(kind, fingerprints(shown)) for kind, shown in items),
        )
        return self.registrar.register(request, caller=caller, now_s=now_s, day=DAY, at_s=AT_S)

    def reasons(self, receipt: Receipt) -> list[StateReason | None]:
        item_ids = [item.item_id for item in receipt.items]
        reasons = {each.item_id: each.reason for each in self.registry.states(item_ids)}
        states = {
            ItemState.LIVE if each is None else ItemState.WAITING for each in reasons.values()
        }
        assert states == {item.state for item in receipt.items}
        return [reasons[item_id] for item_id in item_ids]


def fingerprints(shown: Shown) -> np.ndarray:
    return columns(
        Fingerprint(PdqHash(value), 100, Profile.PDQ_512, plan, at, 1000 * at, 1000 * at)
        for at, (plan, value) in enumerate(shown)
    )


@contextmanager
def opened(limits: DoorLimits | None = None, *negatives: bytes) -> Iterator[Desk]:
    with (
        tempfile.TemporaryDirectory() as directory,
        SqlRegistry.open_writer(Path(directory) / "registry.db") as registry,
    ):
        door = Door(registry, limits or DoorLimits())
        if negatives:
            hashes = np.frombuffer(b"".join(negatives), np.uint8).reshape(-1, 32)
            add_negatives(registry, hashes, "memes", day=DAY, act=ACT)
            door.refresh()
        yield Desk(
            registry, door, Registrar(registry, PINS, Patient(PINS.verify), PEPPER, door=door)
        )


HARMLESS = distinctive()
EXACT, EDGE, BEYOND = (near(HARMLESS, bits) for bits in (0, 31, 32))
CERTAIN, UNSURE = near(HARMLESS, CERTAIN_BITS), near(HARMLESS, CERTAIN_BITS + 1)
OWN = [distinctive() for _ in range(9)]


@pytest.mark.parametrize(
    ("kind", "shown", "waits"),
    [
        (IMAGE, [(0, EXACT)], True),
        (IMAGE, [(0, EDGE)], True),
        (IMAGE, [(0, BEYOND)], False),
        # A version of a picture waits only where it is that very picture.
        (IMAGE, [(0, OWN[0]), (1, UNSURE), (2, EDGE)], False),
        (IMAGE, [(0, OWN[0]), (1, OWN[1]), (1, CERTAIN)], True),
        # A title in a video is no reason; half of a video is.
        (VIDEO, [(0, EXACT), (0, OWN[0]), (0, OWN[1])], False),
        (VIDEO, [(0, EXACT), (0, OWN[0])], True),
        (VIDEO, [(0, BEYOND), (0, OWN[0])], False),
    ],
)
@pytest.mark.parametrize("age_band", [AgeBand.ADULT, AgeBand.MINOR])
def test_an_item_that_shows_a_harmless_picture_waits_and_its_case_does_not(
    kind: MediaKind, shown: Shown, age_band: AgeBand, *, waits: bool
) -> None:
    with opened(None, HARMLESS) as desk, capture_logs() as logs:
        receipt = desk.register((kind, shown), (IMAGE, [(0, OWN[8])]), age_band=age_band)
        expected = StateReason.HARMLESS if waits else None
        assert desk.reasons(receipt) == [expected, None]
        item_ids = [log["item_ids"] for log in logs if log["event"] == "registered_items_wait"]
        assert item_ids == ([[receipt.items[0].item_id.hex()]] if waits else [])


def test_a_shape_that_resembles_every_shape_is_no_reason_to_wait() -> None:
    half = bytes(16) + b"\xff" * 16  # a plain edge
    with opened(None, half) as desk:
        assert desk.reasons(desk.register((IMAGE, [(0, near(half, 20))]))) == [None]


def test_an_item_does_not_wait_again_once_it_was_let_go() -> None:
    with opened(None, HARMLESS) as desk:
        first = desk.register((IMAGE, [(0, EXACT)]))
        assert desk.registry.release(AT_S, day=DAY, at_s=AT_S, limit=9)
        renewed = [(0, EXACT), (1, OWN[1])]
        again = desk.register((IMAGE, renewed), case=first.case_number)
        assert [item.outcome for item in again.items] == [Outcome.RENEWED]
        assert [item.state for item in again.items] == [ItemState.LIVE]


def test_a_harmless_version_added_later_makes_an_item_wait() -> None:
    with opened(None, HARMLESS) as desk:
        first = desk.register((IMAGE, [(0, OWN[0])]))
        assert desk.reasons(first) == [None]
        later = desk.register((IMAGE, [(0, OWN[0]), (1, EXACT)]), case=first.case_number)
        assert desk.reasons(later) == [StateReason.HARMLESS]


def test_harmless_pictures_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "NEGATIVES_MAX", 2)
    with opened(None, HARMLESS, OWN[0]) as desk:
        more = np.frombuffer(OWN[1], np.uint8).reshape(1, 32)
        with pytest.raises(LimitExceededError, match="At most 2"):
            add_negatives(desk.registry, more, "memes", day=DAY, act=ACT)
        again = np.frombuffer(HARMLESS + OWN[0], np.uint8).reshape(2, 32)
        assert add_negatives(desk.registry, again, "memes", day=DAY, act=ACT) == 0
        assert len(desk.registry.negatives().labels) == 2


PER_H = 5


@settings(max_examples=FEW)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["helpline", "other"]),
            st.sampled_from([b"", b"one", b"two"]),
            st.integers(1, 4),
            st.integers(0, 3),
        ),
        max_size=12,
    )
)
def test_only_what_an_origin_registers_beyond_an_hours_share_waits(
    registrations: list[tuple[str, bytes, int, int]],
) -> None:
    with opened(DoorLimits(items_per_h=PER_H)) as desk:
        spent: dict[tuple[str, bytes], float] = {}
        now_s = 0.0
        for caller, origin, count, fifths in registrations:
            # A fifth of an hour is the time in which one item grows back.
            now_s += fifths * HOUR_S / PER_H
            spent = {place: max(0, held - fifths) for place, held in spent.items()}
            items = [(IMAGE, [(0, random.randbytes(32))]) for _ in range(count)]
            receipt = desk.register(*items, caller=caller, origin=origin, now_s=now_s)
            held = spent.get((caller, origin), 0)
            expected = [StateReason.FLOOD if held + at + 1 > PER_H else None for at in range(count)]
            assert desk.reasons(receipt) == expected
            spent[caller, origin] = held + count


def test_registering_again_what_a_case_has_is_no_flood() -> None:
    with opened(DoorLimits(items_per_h=2)) as desk:
        items = [(IMAGE, [(0, value)]) for value in OWN[:2]]
        number = desk.register(*items).case_number
        for _ in range(3):
            kept = desk.register(*items, case=number)
            assert [item.outcome for item in kept.items] == [Outcome.KEPT] * 2
            assert desk.reasons(kept) == [None, None]
        renewed = [(IMAGE, [(0, value), (1, OWN[7])]) for value in OWN[:2]]
        again = desk.register(*renewed, case=number, now_s=HOUR_S)
        assert [item.outcome for item in again.items] == [Outcome.RENEWED] * 2
        assert desk.reasons(desk.register((IMAGE, [(0, OWN[6])]), now_s=HOUR_S)) == [None]
        for value, reason in ((OWN[2], None), (OWN[3], StateReason.FLOOD)):
            assert desk.reasons(desk.register((IMAGE, [(0, value)]), now_s=HOUR_S)) == [reason]


def test_a_picture_that_is_live_stays_so_when_its_case_gets_a_better_version_in_a_flood() -> None:
    with opened(DoorLimits(items_per_h=2)) as desk:
        number = desk.register((IMAGE, [(0, OWN[0])])).case_number
        desk.register(*((IMAGE, [(0, random.randbytes(32))]) for _ in range(3)))
        renewed = (IMAGE, [(0, OWN[0]), (1, OWN[7])])
        again = desk.register(renewed, (IMAGE, [(0, OWN[1])]), case=number)
        assert [item.outcome for item in again.items] == [Outcome.RENEWED, Outcome.ADDED]
        assert desk.reasons(again) == [None, StateReason.FLOOD]
        other = desk.register((IMAGE, [(0, OWN[0])]), case=number, age_band=AgeBand.MINOR)
        assert desk.reasons(other) == [None]


def test_what_is_remembered_of_origins_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "_ORIGINS_MAX", 3)
    with opened(DoorLimits(items_per_h=1)) as desk:
        for at in range(6):
            desk.register((IMAGE, [(0, random.randbytes(32))]), origin=bytes([at]))
        assert len(desk.door._spent) == 3
