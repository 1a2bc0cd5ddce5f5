"""Keep a registry level with the feed of a hotline, and know what the files here still hold.

Whole pages are applied, each in one transaction with the cursor after it: a mirror that is killed
goes on where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import structlog

from disrupt.core.mirrors import FeedPage, MirrorState, Moment
from disrupt.errors import ConfigurationError
from disrupt.index import generations
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.upkeep import erasure

_NOTE_S = 15.0
"""Pause between two notes that this mirror is level, each of which is synced to disk."""

_H = 3600.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

_log = structlog.get_logger(__name__)


def now() -> Moment:
    """Return the present moment by this machine's clocks."""
    return Moment(_boot(), time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


@cache
def _boot() -> str:
    return _BOOT_ID.read_text("ascii").strip()


def is_mirror(registry: RegistryReader) -> bool:
    """Tell whether the feed of a hotline is what writes a registry."""
    return registry.mirror() is not None


def check_role(registry: RegistryWriter, *, mirrors: bool) -> None:
    """Make an empty registry a mirror's where it is to be one. Raises ConfigurationError.

    A mirror deletes what its hotline does not have, and so is never begun beside anything else.
    """
    if is_mirror(registry) == mirrors:
        return
    if not mirrors:
        raise ConfigurationError(
            "This data directory is a mirror's: start it with role mirror, or give another."
        )
    if registry.head().sequence or registry.keys():
        raise ConfigurationError(
            "A mirror needs a data directory of its own: this one has a registry with items or"
            " keys. Nothing was changed."
        )
    registry.begin_mirror(_today())


def mirror_fault(reader: RegistryReader, max_age_s: float) -> str:
    """Return why a mirror may not answer now; empty where it may.

    It may not before it has had all changes once, nor once that is longer ago than ``max_age_s``,
    or than the hotline allows.
    """
    state = reader.mirror()
    if state is None or state.level is None:
        return "This mirror has not read all that the hotline has yet. Try again later."
    age_s = state.age_s(now())
    if age_s <= min(max_age_s, state.max_age_s or max_age_s):
        return ""
    ago = f"{age_s / _H:.1f} hours ago" if math.isfinite(age_s) else "an unknown time ago"
    return f"This mirror had all that the hotline has {ago}, and answers again once it has it."


class Mirror:
    """Applies pages of the feed to a registry. For one thread at a time."""

    def __init__(
        self, registry: RegistryWriter, index_dir: Path, *, clock: Callable[[], Moment] = now
    ) -> None:
        """Go on with a registry for which ``check_role`` was called."""
        self._registry = registry
        self._index_dir = index_dir
        self._clock = clock
        self._state = self._read()
        self._level = self._state.level
        self._noted_s = 0.0
        self._page: FeedPage | None = None
        self._erased_cursor = ""

    @property
    def cursor(self) -> str:
        """Cursor with which to ask for the next page; empty for the first."""
        return self._state.cursor

    def age_s(self) -> float:
        """Return the time since this mirror had all changes; infinite where it never had."""
        return replace(self._state, level=self._level).age_s(self._clock())

    def apply(self, page: FeedPage, asked: Moment) -> None:
        """Do what a page says that was asked for with ``cursor``, at that moment or later."""
        state, page_before = self._state, self._page
        is_new = (
            page_before is None
            or (page.banks, page.max_age_s) != (page_before.banks, page_before.max_age_s)
            or bool(state.passed)
        )
        if page.items or is_new:
            self._registry.follow_feed(page, day=_today())
            state = self._read()
            if not state.cursor:
                _log.info("feed_started_over", reason="banks")
        else:
            state = replace(state, cursor=page.cursor)
        self._state, self._page = state, page
        if page.caught_up and state.cursor:
            self._level = asked
            if state.level is None or asked.boot_s - self._noted_s >= _NOTE_S:
                self._note()

    def start_over(self) -> None:
        """Begin the feed anew, as the hotline does not know the cursor any more.

        What is there stays, and is answered, until the feed has been read to its end.
        """
        self._registry.start_feed_over()
        self._state, self._erased_cursor, self._page = self._read(), "", None
        _log.warning("feed_started_over", reason="cursor")

    def erased_cursor(self) -> str:
        """Return the hotline's cursor up to which no file here holds what was withdrawn.

        Empty where that is not known yet. Empties the database's log, or returns the one before.
        """
        self._note()
        sequence = self._registry.head().sequence  # first: what comes meanwhile is not counted
        if not self._registry.checkpoint() or generations.unfinished_s(self._index_dir):
            return self._erased_cursor
        held = erasure.held_since(self._registry, self._index_dir)
        sequence = sequence if held is None else min(held, sequence)
        self._erased_cursor = self._registry.mirror_cursor(sequence) or self._erased_cursor
        return self._erased_cursor

    def _note(self) -> None:
        """Note that this mirror was level, if it was since it began."""
        page, asked = self._page, self._level
        if page is None or asked is None or not page.caught_up or not self._state.cursor:
            return
        is_building = bool(generations.unfinished_s(self._index_dir))
        held = None if is_building else erasure.sequences(self._index_dir)
        self._registry.note_feed_level(asked, page.answered_at_s, page.cursor, generations=held)
        self._noted_s = asked.boot_s
        self._state = self._read()

    def _read(self) -> MirrorState:
        state = self._registry.mirror()
        if state is None:
            raise ConfigurationError("This data directory is no mirror's.")
        return state


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
