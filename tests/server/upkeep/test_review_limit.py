"""What nobody reviews goes live again: all of it, across restarts, and in spite of faults."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from disrupt.core.media import ItemState, StateReason
from disrupt.errors import UnavailableError
from disrupt.registry.sql import SqlRegistry
from disrupt.server.upkeep import review_limit
from disrupt.server.upkeep.review_limit import release_overdue
from tests.registry.examples import DAY, new_item, registration

BEGAN_S = 500_000 * 3600 + 1800
WITHIN_H = 72.0


def test_all_that_is_overdue_is_released_in_bounded_steps_after_a_restart_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, path = random.Random(1), tmp_path / "registry.db"
    monkeypatch.setattr(review_limit, "_AT_ONCE", 2)
    items = [replace(new_item(chance), waits=StateReason.FLOOD) for _ in range(5)]
    with SqlRegistry.open_writer(path) as writer:
        writer.register(replace(registration(chance, None, *items), at_s=BEGAN_S), day=DAY)
    item_ids = [item.item_id for item in items]
    with SqlRegistry.open_writer(path) as writer:
        for later_s, expected in (
            (72 * 3600 - 1, ItemState.WAITING),
            (73 * 3600, ItemState.LIVE),
        ):
            monkeypatch.setattr(review_limit, "now_s", lambda late=later_s: BEGAN_S + late)
            with capture_logs() as logs:
                asyncio.run(release_overdue(writer, WITHIN_H))
            assert {record.state for record in writer.states(item_ids)} == {expected}
        released = [len(log["item_ids"]) for log in logs if log["event"] == "items_released"]
        assert released == [2, 2, 1]


def test_a_registry_that_cannot_be_written_is_no_end_of_the_writer() -> None:
    class Full:
        def release(self, *_: object, **__: object) -> tuple[bytes, ...]:
            raise UnavailableError("The disk is full.")

    full: Any = Full()
    with capture_logs() as logs:
        asyncio.run(release_overdue(full, WITHIN_H))
    assert [log["event"] for log in logs] == ["release_failed"]
