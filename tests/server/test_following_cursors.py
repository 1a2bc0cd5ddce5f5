"""Callers learn of no change from cursors before every worker includes it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from disrupt.core.changes import Cursor
from disrupt.data_directory import DataDirectory
from disrupt.server.following import Following

EPOCH = bytes(16)
CHANGES = 5


def test_a_cursor_is_given_out_some_steps_after_its_change_and_then_it_is(tmp_path: Path) -> None:
    following = Following(Any, DataDirectory(tmp_path), 0.0, 300.0, Any)  # type: ignore[arg-type]
    live = SimpleNamespace(serving=True, cursor=Cursor(EPOCH, 0))
    given: list[tuple[int, int]] = []

    def step() -> None:
        if given:
            given[-1] = given[-1][0], following.settled.sequence
        live.cursor = Cursor(EPOCH, min(live.cursor.sequence + 1, CHANGES))
        given.append((live.cursor.sequence, 0))

    async def follow() -> None:
        following._live = live  # type: ignore[assignment]
        following._follower = SimpleNamespace(step=step, behind_s=lambda _: 0.0)  # type: ignore[assignment]
        following._ring_s = time.monotonic()
        task = asyncio.create_task(following.follow_changes())
        while len(given) < 3 * CHANGES:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(follow())
    assert all(seen <= max(1, has - 3) for has, seen in given[:CHANGES])
    assert CHANGES in [seen for _, seen in given]
