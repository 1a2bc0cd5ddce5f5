"""Free what is erased from the database without overwriting it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from disrupt.registry.sqlite import engine

_make = engine._engine


def _without_overwriting(
    path: Path, mode: str, begin: str, busy_timeout_s: float, *pragmas: str, **pool: int
) -> Engine:
    changed = [pragma.replace("secure_delete=ON", "secure_delete=OFF") for pragma in pragmas]
    return _make(path, mode, begin, busy_timeout_s, *changed, **pool)


engine._engine = _without_overwriting
