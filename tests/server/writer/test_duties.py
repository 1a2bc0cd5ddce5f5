"""The writer lets what nobody has reviewed in time go live, and erases cases that are due."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from disrupt.core.acts import Act, Action
from disrupt.core.case_erasures import DELAY_S, day_of
from disrupt.core.cases import CaseStatus
from disrupt.core.media import NOT_NARROWED
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport
from disrupt.core.policy import ADULTS
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.registry import sqlite
from disrupt.server.config import Config
from disrupt.server.edge.pool import Pool
from disrupt.server.writer import duties
from disrupt.server.writer.duties import (
    Narrowings,
    clear_log,
    erase_due_cases,
    release_unreviewed,
)
from rig.media.registrations import ACT, DAY, ensure_key, item_of, keys_of, new_item, registration


@pytest.mark.parametrize("second", [0, 43_200, 86_399])
def test_what_nobody_reviewed_goes_live_at_the_last_midnight_within_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: int
) -> None:
    chance, midnight_s = random.Random(1), 20_000 * 86_400
    monkeypatch.setattr(time, "time", lambda: midnight_s + second)
    config = Config(data_dir=tmp_path, review_within_h=72)
    late, new = new_item(chance), new_item(chance)
    with sqlite.open_writer(tmp_path / "registry.db") as registry:
        registry.register(registration(chance, None, late, new), day=DAY)
        for item, since_s in ((late, -1), (new, 0)):
            act = Act("server", "", Action.HOLD, midnight_s - 48 * 3600 + since_s)
            registry.set_states([item.item_id], ItemState.WAITING, act)
        asyncio.run(release_unreviewed(config, registry, Pool("writer", threads=1, queued=1)))
        hidden = ItemFilter(frozenset({ADULTS.number}), frozenset({ItemState.WAITING}))
        (left,) = registry.items_for_review(hidden, 9).items
        assert left.item_id == new.item_id


def test_narrowings_follow_the_settings_at_the_start_and_the_keys_that_expire_on_each_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, now_s = random.Random(1), 20_000 * 86_400
    monkeypatch.setattr(duties, "today", lambda: day_of(now_s))
    config = Config(data_dir=tmp_path, dispute_floor_bits=4)
    item, seen = item_of(chance, 1), []
    with sqlite.open_writer(tmp_path / "registry.db") as registry:
        registry.register(registration(chance, None, item), day=day_of(now_s))
        for organisation in "ab":
            ensure_key(registry, organisation)
            versions = (MatchedVersion(0, 0, 8),)
            false = MatchOutcome.FALSE_POSITIVE
            report = OutcomeReport(item.item_id, organisation, false, b"a match", versions)
            registry.report(report, day=day_of(now_s))
        narrowings = Narrowings(config, registry, Pool("writer", threads=1, queued=1))
        expiring = replace(keys_of(registry, "a")[0], expires_on=day_of(now_s + 86_400))
        registry.change_key(expiring, act=replace(ACT, at_s=now_s))
        for _ in range(2):
            seen += registry.matched_items(0, registry.head(), 9).below_bits.tolist()
            asyncio.run(narrowings.look())
            seen += registry.matched_items(0, registry.head(), 9).below_bits.tolist()
            now_s += 86_400
    assert seen == [17, 8, 8, NOT_NARROWED]


def test_cases_are_erased_seven_days_after_two_keys_have_asked(tmp_path: Path) -> None:
    chance, now_s = random.Random(1), int(time.time())
    with sqlite.open_writer(tmp_path / "registry.db") as registry:
        numbers = [registry.register(registration(chance), day=DAY).case_number for _ in range(3)]
        for number, ago_s in zip(numbers, (DELAY_S, DELAY_S - 600, DELAY_S + 600), strict=True):
            for key_id in ("first", "second"):
                act = Act(key_id, "hotline", Action.ERASE_REQUESTED, now_s - ago_s)
                registry.ask_erasure(number, act, partners={"first"}, banks={1})
        asyncio.run(erase_due_cases(registry, Pool("writer", threads=1, queued=1)))
        cases = [registry.case(number) for number in numbers]
        assert [case.status for case in cases if case is not None] == [
            *(CaseStatus.WITHDRAWN, CaseStatus.ACTIVE, CaseStatus.WITHDRAWN),
        ]


def test_the_log_of_the_database_is_cleared_and_it_is_told_where_that_is_held_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite.open_writer(tmp_path / "registry.db") as registry, capture_logs() as logs:
        registry.register(registration(random.Random(1)), day=DAY)
        asyncio.run(clear_log(registry, Pool("writer", threads=1, queued=1)))
        assert not (tmp_path / "registry.db-wal").stat().st_size
        monkeypatch.setattr(registry, "checkpoint", lambda: False)
        asyncio.run(clear_log(registry, Pool("writer", threads=1, queued=1)))
    assert [entry["event"] for entry in logs] == ["registry_checkpoint_held_up"]
