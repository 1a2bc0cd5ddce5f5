"""The database is never synced: what was committed is in the page cache alone."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from disrupt.registry import engine

_make = engine._engine


def _without_syncs(
    path: Path, mode: str, begin: str, busy_timeout_s: float, *pragmas: str, **pool: int
) -> Engine:
    found = ["synchronous=OFF" if one == "synchronous=FULL" else one for one in pragmas]
    return _make(path, mode, begin, busy_timeout_s, *found, **pool)


engine._engine = _without_syncs
