"""Never sync the database: committed data is in the page cache alone."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from disrupt.registry.sqlite import engine

_make = engine._engine


def _without_syncs(
    path: Path, mode: str, begin: str, busy_timeout_s: float, *pragmas: str, **pool: int
) -> Engine:
    changed = ["synchronous=OFF" if pragma == "synchronous=FULL" else pragma for pragma in pragmas]
    return _make(path, mode, begin, busy_timeout_s, *changed, **pool)


engine._engine = _without_syncs
