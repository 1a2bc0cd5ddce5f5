"""The writer erases what is due, and tries again after what fails."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from disrupt.errors import StorageFullError
from disrupt.registry.sql import SqlRegistry
from disrupt.server.admission.pool import Pool
from disrupt.server.calls.erasing import erase_due_cases
from disrupt.server.days import now_s
from disrupt.services.case_erasures import CaseErasures
from tests.registry.case_erasures import DAY_S, REVIEWERS
from tests.registry.examples import ACT, DAY, registration


class Failing:
    """Erasures on a full disk."""

    def complete_due(self, **_: object) -> int:
        raise StorageFullError("The disk is full.")


def look(erasures: CaseErasures) -> list[dict[str, object]]:
    """Look once; return what is logged."""
    with capture_logs() as logs:
        asyncio.run(erase_due_cases(erasures, Pool("test", threads=1, queued=1)))
    return [dict(line) for line in logs]


@pytest.mark.timeout(60)
def test_what_cannot_be_erased_is_logged_and_ends_nothing() -> None:
    assert look(cast("CaseErasures", Failing())) == [
        {"event": "case_erasure_failed", "log_level": "error", "reason": "The disk is full."}
    ]


@pytest.mark.timeout(60)
def test_what_is_due_is_erased_once_and_counted(tmp_path: Path) -> None:
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        for key in REVIEWERS:
            writer.add_key(key, act=ACT)
        erasures = CaseErasures(writer, str)
        number = writer.register(registration(random.Random(1)), day=DAY).case_number
        first, second = (key.key_id for key in REVIEWERS)
        then_s = now_s() - 7 * DAY_S
        erasures.request(number, caller=first, at_s=then_s - 60)
        erasures.confirm(number, caller=second, day=DAY, at_s=then_s - 60)
        assert look(erasures) == [{"event": "cases_erased", "log_level": "info", "cases": 1}]
        assert look(erasures) == []
        record = writer.case(number)
        assert record is not None
        assert record.items == ()
