"""The segments of the delta, kept few: so that a lookup searches few, and a change waits for none.

A segment is joined with the one before it unless that is over 8 times as long. So there are about
log₈ n segments, and a hash is copied a few dozen times at most. Sorting a long one takes seconds:
that is done in a thread beside the one that applies changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import structlog

from disrupt.index.part import Part, join

_FANOUT = 8
_AT_ONCE_HASHES = 50_000
"""Joined at once, in some tens of ms: longer segments are joined in a thread."""

_REST_S = 60.0
"""Pause before what could not be joined, mostly for lack of memory, is tried again."""

Delta = tuple[Part, ...]

_log = structlog.get_logger(__name__)


class Segments:
    """Joins the segments of one delta. For the one thread that applies changes."""

    def __init__(self) -> None:
        """Start with no join in progress."""
        self._aside: _Join | None = None

    def settle(self, delta: Delta, *, tables: bool) -> Delta:
        """Return the same living hashes in fewer segments, as far as they are joined by now.

        ``tables`` as of ``Part.from_columns``.
        """
        delta = self._with_joined(delta)
        fixed, loose = self._split(delta)
        if _mostly_dead(loose) and _length(loose) <= _AT_ONCE_HASHES:
            loose = (join(loose, tables=tables),)
        while len(run := _run(loose, _AT_ONCE_HASHES)) > 1:
            loose = (*loose[: -len(run)], join(run, tables=tables))
        delta = tuple(part for part in (*fixed, *loose) if len(part.index))
        if self._aside is None and (parts := _worth_joining(delta)):
            self._aside = _Join(parts, tables=tables)
            self._aside.start()
        return delta

    def _split(self, delta: Delta) -> tuple[Delta, Delta]:
        """Split after the last segment that is being joined."""
        after = delta.index(self._aside.parts[-1]) + 1 if self._aside else 0
        return delta[:after], delta[after:]

    def _with_joined(self, delta: Delta) -> Delta:
        """Replace the parts of a finished background join by its result."""
        aside = self._aside
        if aside is None or aside.is_alive():
            return delta
        self._aside = None
        if aside.joined is None:  # It failed; settle tries again.
            return delta
        # Bury what was removed meanwhile. An older part may hold a dead copy of a living item.
        living = np.concatenate([part.numbers() for part in aside.parts])
        aside.joined.bury(np.setdiff1d(aside.joined.numbers(), living).tolist())
        at = delta.index(aside.parts[0])
        return (*delta[:at], aside.joined, *delta[at + len(aside.parts) :])


class _Join(threading.Thread):
    """Joins segments while they are searched, and while items of them are removed."""

    def __init__(self, parts: Delta, *, tables: bool) -> None:
        super().__init__(name="join", daemon=True)
        self.parts = parts
        self.joined: Part | None = None
        self._tables = tables

    def run(self) -> None:
        try:
            self.joined = join(self.parts, tables=self._tables)
        except Exception as error:  # noqa: BLE001 they are searched as they are
            _log.error("segments_not_joined", kind=type(error).__name__)
            time.sleep(_REST_S)


def _mostly_dead(delta: Delta) -> bool:
    return 2 * sum(part.dead_hashes() for part in delta) > _length(delta)


def _worth_joining(delta: Delta) -> Delta:
    """Return the successive segments to join next, in the background."""
    if _mostly_dead(delta):
        return delta
    for end in range(len(delta), 1, -1):
        if len(run := _run(delta[:end])) > 1:
            return run
    return ()


def _run(delta: Delta, most_hashes: int | None = None) -> Delta:
    """Return the last segment, and those before it that are to be joined with it."""
    begin = len(delta) - 1
    while begin > 0 and len(delta[begin - 1].index) <= _FANOUT * _length(delta[begin:]):
        if most_hashes is not None and _length(delta[begin - 1 :]) > most_hashes:
            break
        begin -= 1
    return delta[max(begin, 0) :]


def _length(parts: Sequence[Part]) -> int:
    return sum(len(part.index) for part in parts)
