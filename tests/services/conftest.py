"""Fixtures of the tests of services."""

from __future__ import annotations

from pathlib import Path

import pytest

from disrupt.core.lookups import VideoMatches, VideoOptions
from disrupt.core.media import StoredItem
from disrupt.core.own_disputes import OwnDisputes
from disrupt.core.policy import Scope
from disrupt.core.videos import FRAME
from tests.services.videos import SCOPE, Codes, Find, frames, indexed, looking


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Return a function that looks frames up, a second apart, among items."""

    def look(
        query: Codes,
        *items: StoredItem,
        step_ms: float = 1000,
        scope: Scope = SCOPE,
        options: VideoOptions | None = None,
        own: OwnDisputes | None = None,
    ) -> VideoMatches:
        lookup = looking(indexed(tmp_path, *items), scope, options, own)
        rows = query if query.dtype == FRAME else frames(query, step_ms)
        lookup.add(rows[at : at + 1] for at in range(len(rows)))
        return lookup.matches()

    return look
