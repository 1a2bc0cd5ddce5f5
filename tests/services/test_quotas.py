"""A key registers so many hashes an hour, and what was registered before is not counted again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from disrupt.core.registrations import RegistrationRequest
from disrupt.core.transforms import REGISTERED_MOST
from disrupt.errors import LimitExceededError, OverloadedError, StorageFullError
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.services.quotas import Quota
from disrupt.services.registration import Registrar, RegistrationLimits
from tests.services.patient import Patient
from tests.services.test_registration import DAY, PEPPER, PINS, item, request, with_crops


def charged(
    quota: Quota, hashes: int, now_s: float, caller: str = "k", origin: bytes = b""
) -> bool:
    try:
        quota.check(caller, origin, hashes, now_s)
    except OverloadedError:
        return False
    quota.charge(caller, hashes, now_s)
    return True


def test_an_hour_may_come_at_once_and_grows_back_with_time() -> None:
    quota = Quota(3600)
    assert charged(quota, 3540, now_s=0)
    assert charged(quota, 60, now_s=0), "the reserve, for small ones"
    with pytest.raises(OverloadedError, match="may register 3600 hashes in an hour") as refused:
        quota.check("k", b"", 1, now_s=0)
    assert refused.value.retry_after_s == 1
    assert charged(quota, 3540, now_s=0, caller="other")
    with pytest.raises(OverloadedError) as refused:
        quota.check("k", b"", 600, now_s=1)
    assert refused.value.retry_after_s == 600 + 60 - 1
    assert not charged(quota, 600, now_s=659.5)
    assert charged(quota, 600, now_s=660.5)
    assert charged(quota, 3540, now_s=10_000)
    assert not charged(quota, 61, now_s=10_000), "never more than an hour is saved up"


def test_what_never_fits_is_refused_for_good() -> None:
    quota = Quota(3600)
    with pytest.raises(LimitExceededError, match="at most 3540 hashes at once"):
        quota.check("k", b"", 3541, now_s=0)
    with pytest.raises(LimitExceededError, match="at most 30 hashes at once"):
        Quota(30).check("k", b"", 31, now_s=0)


@given(
    st.lists(st.tuples(st.integers(1, 64_000), st.floats(0, 600)), max_size=200),
    st.integers(1, 3_000_000),
)
def test_no_more_is_registered_in_an_hour_than_two_hours_allow(
    asked: list[tuple[int, float]], hashes_per_h: int
) -> None:
    quota, now_s = Quota(hashes_per_h), 0.0
    times, sizes = [], []
    for hashes, pause_s in asked:
        now_s += pause_s
        with suppress(LimitExceededError):
            if not charged(quota, hashes, now_s):
                continue
            times.append(now_s)
            sizes.append(hashes)
    at, size = np.array(times), np.array(sizes)
    for end_s in times:
        within = (at > end_s - 3600) & (at <= end_s)
        assert size[within].sum() <= 2.001 * hashes_per_h


@dataclass
class Asker:
    """Somebody who registers under the key all share, and asks again after ``pause_s``."""

    origin: bytes
    hashes: int
    pause_s: float | None = None
    """None: when the refusal says; then it asks no more once it is in."""
    next_s: float = 0.0
    in_s: float = math.inf

    def ask(self, quota: Quota, now_s: float) -> None:
        try:
            quota.check("k", self.origin, self.hashes, now_s)
        except OverloadedError as error:
            self.next_s = now_s + (self.pause_s or error.retry_after_s or 0)
        else:
            quota.charge("k", self.hashes, now_s)
            self.in_s = now_s
            self.next_s = now_s + self.pause_s if self.pause_s else math.inf


def wait_beside(others: Sequence[Asker], victim: Asker, hashes_per_h: int = 2_000_000) -> float:
    """Return the time until the victim's registration is in, beside those that ask ever again."""
    quota, came_s = Quota(hashes_per_h), 300.0
    assert charged(quota, round(hashes_per_h * 0.98), 0)
    victim.next_s = came_s
    while victim.in_s == math.inf:
        asker = min(*others, victim, key=lambda each: each.next_s)
        assert asker.next_s < came_s + 300, "the victim is kept out"
        asker.ask(quota, asker.next_s)
    return victim.in_s - came_s


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([(b"a", REGISTERED_MOST + 1, 0.05)], id="just not small"),
        pytest.param([(b"a", 10_000, 0.05)], id="large"),
        pytest.param(
            [(b"a", REGISTERED_MOST + 1, 0.01), (b"b", 5_000, 0.05), (b"", 10_000, 0.1)],
            id="mixed",
        ),
        pytest.param([(b"", REGISTERED_MOST + 1, 0.05)], id="large, of the same origin"),
        pytest.param([(b"a", REGISTERED_MOST, 0.05)], id="small"),
        pytest.param([(b"a", 1, 0.001)], id="one hash at a time"),
        pytest.param([(b"", 1, 0.01)], id="one hash at a time, of the same origin"),
    ],
)
def test_a_picture_is_in_within_a_minute_or_so_beside_callers_who_ask_without_pause(
    others: list[tuple[bytes, int, float]],
) -> None:
    victim = Asker(b"", REGISTERED_MOST)
    assert wait_beside([Asker(*each) for each in others], victim, 20_000) < 120


def test_origins_that_ask_without_pause_cost_a_picture_a_turn_each() -> None:
    others = [Asker(bytes([at]), REGISTERED_MOST - at % 3, 0.2 + at / 999) for at in range(100)]
    assert wait_beside(others, Asker(b"", REGISTERED_MOST)) < 60


def test_a_turn_that_nobody_comes_back_for_lapses() -> None:
    quota = Quota(36_000)
    assert charged(quota, 35_400, 0)
    for _ in range(600 // REGISTERED_MOST):
        assert charged(quota, REGISTERED_MOST, 0)
    for at in range(100):
        assert not charged(quota, REGISTERED_MOST, 0, origin=bytes([at]))
    assert not charged(quota, REGISTERED_MOST, 430, origin=b"new"), "others have waited for longer"
    assert charged(quota, REGISTERED_MOST, 920, origin=b"new")


def test_refusals_are_logged_once_a_minute_for_each_key() -> None:
    quota = Quota(10)
    with capture_logs() as logs:
        for caller in ("a", "b"):
            assert charged(quota, 10, 0, caller)
            assert not any(charged(quota, 1, now_s, caller) for now_s in (0, 1, 59, 60, 61))
    assert [(line["event"], line["key_id"]) for line in logs] == [
        ("quota_used_up", key) for key in "aabb"
    ]


def register(registrar: Registrar, asked: RegistrationRequest, caller: str = "k") -> object:
    return registrar.register(asked, caller=caller, now_s=0, day=DAY)


def test_replays_and_what_is_not_stored_are_not_charged(tmp_path: Path) -> None:
    with sqlite.open_writer(tmp_path / "registry.db") as registry:
        quota, limits = Quota(5), RegistrationLimits(4, 10, items_per_case=2)
        registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER, limits, quota)
        first = request(item(90, 90, 10))
        receipt = register(registrar, first)
        register(registrar, request(item(10)))  # rejected
        with pytest.raises(LimitExceededError):
            register(registrar, request(*(item(90) for _ in range(3))))
        assert [register(registrar, first) for _ in range(5)] == [receipt] * 5
        register(registrar, request(item(90, 90, 90)))
        before = registry.head()
        with pytest.raises(OverloadedError):
            register(registrar, request())
        assert registry.head() == before
        assert register(registrar, first) == receipt
        register(registrar, request(), caller="other")


def test_a_picture_registered_again_is_charged_as_stored_and_one_hash_if_it_was_not(
    tmp_path: Path,
) -> None:
    with sqlite.open_writer(tmp_path / "registry.db") as registry:
        quota = Mock(spec=Quota)
        registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER, quota=quota)
        picture = item(90, 90)
        receipt = registrar.register(request(picture), caller="k", now_s=0, day=DAY)
        for again in (with_crops(picture, 3), picture):
            register(registrar, request(again, item(90), case=receipt.case_number))
        register(registrar, request(picture, picture))
        charges = [hashes for _, hashes, _ in map(attrgetter("args"), quota.charge.mock_calls)]
        assert charges == [2, 5 + 1, 1 + 1, 2 + 1]


def test_what_a_full_disk_refuses_is_not_charged(tmp_path: Path) -> None:
    with sqlite.open_writer(tmp_path / "registry.db") as registry:
        quota = Quota(5)
        registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER, quota=quota)
        with patch.object(RegistryWriter, "register", side_effect=StorageFullError("full")):
            for _ in range(3):
                with pytest.raises(StorageFullError):
                    register(registrar, request(item(*[90] * 5)))
        register(registrar, request(item(*[90] * 5)))
        with pytest.raises(OverloadedError):
            register(registrar, request())


def test_registrations_that_come_at_once_do_not_pass_the_quota(tmp_path: Path) -> None:
    with (
        sqlite.open_writer(tmp_path / "registry.db") as registry,
        ThreadPoolExecutor(8) as threads,
    ):
        registrar = Registrar(registry, PINS, Patient(PINS.verify), PEPPER, quota=Quota(3))
        calls = [threads.submit(register, registrar, request()) for _ in range(16)]
        assert sum(call.exception() is None for call in calls) == 3
        assert registry.head().sequence == 3
