"""A video that comes slowly keeps its place, whoever waits for it."""

from __future__ import annotations

from disrupt.hashing.turns import Turns


def _are_wanted(_turns: Turns) -> bool:
    return False


Turns.are_wanted = _are_wanted  # type: ignore[assignment,method-assign]
