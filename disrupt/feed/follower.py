"""The follower: carries the registry's changes into the live index, and takes up new snapshots."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from disrupt.core.changes import Removal, StateChange
from disrupt.core.own_disputes import OwnDisputes, by_organisation
from disrupt.distinctiveness.limits import check_limits
from disrupt.errors import (
    CursorExpiredError,
    DisruptError,
    RegistryReplacedError,
    SnapshotRefusedError,
    UnavailableError,
)
from disrupt.index.generations import open_current, open_generation, served
from disrupt.index.live import LiveIndex
from disrupt.index.snapshot import Snapshot
from disrupt.registry.registry import RegistryReader

_PAGE_CHANGES = 1000

_OTHER_FILE = (
    "registry.db is not the one that this index follows: it may be an older copy. Stop the server,"
    " and put the right registry.db back or run `disrupt restore`."
)
_OTHER_HISTORY = (
    "The registry is an older copy, or a primary that was replaced. Lookups are answered as of"
    " before, and end where no other comes: see what the node or the writer logs."
)

_log = structlog.get_logger(__name__)


class Follower:
    """Keeps one live index level with the registry.

    For one thread, which calls ``step`` every 0.2 s or so. The first step opens the snapshot and
    applies what came after it: a process answers lookups only after that, or a withdrawn item could
    match. A step that raises may leave a change half applied: both the follower and its
    live index are of no use then.
    """

    def __init__(
        self,
        reader: RegistryReader,
        live: LiveIndex,
        index_dir: Path,
        *,
        checked_from: int | None = None,
        outlives_registry: bool = False,
    ) -> None:
        """For ``live``, which may be without a snapshot yet.

        Generations from ``checked_from`` on are not read whole, see ``known_whole_from``. Where it
        ``outlives_registry``, another registry in the place of the one that it follows is as none,
        unless it goes on with that one's history.
        """
        self._reader = reader
        self._live = live
        self._index_dir = index_dir
        self._checked_from = checked_from
        self._outlives_registry = outlives_registry
        self._timeline = 0
        self.disputes: Mapping[str, OwnDisputes] = {}
        """Disputes of each organisation, as of the index or later."""
        self._disputes_changed = True
        self._taken = live.snapshot.generation if live.serving else None
        self._complete_s = time.monotonic()
        self._fault = ""

    def step(self) -> None:
        """Take up a newly published snapshot, then the registry's changes.

        Logs errors that may pass, instead of raising them: a registry or a snapshot that cannot be
        read now. The index serves as before, and the next step tries again. A snapshot that is
        refused is not tried again. Where serving on would be wrong, the live index is suspended:
        its files are gone, or the registry is another one than it follows.
        """
        fault = ""
        try:
            fault = self._follow()
        except RegistryReplacedError as error:
            fault = error.message
            self._live.suspend(fault)
        except (DisruptError, OSError) as error:
            fault = str(error)
        if fault and fault != self._fault:  # Log a fault when it begins, not at every step.
            _log.error("follower_fault", reason=fault)
        self._fault = fault

    def _follow(self) -> str:
        """Make a step, and return what is wrong, or nothing."""
        try:
            fault = self._take_up()
            self._check_files()
            if self._live.serving:
                self._advance()
                self._read_disputes()
        except CursorExpiredError:
            return self._enter_epoch()
        return fault

    def _enter_epoch(self) -> str:
        """Go on in another epoch of the registry, or say why not.

        A promotion begins one: what the index follows is a part of that history, as the mark of its
        newest change shows. A primary that was replaced is on a lower timeline.
        """
        if not self._outlives_registry:
            self._live.suspend(_OTHER_FILE)
            return _OTHER_FILE
        timeline = self._reader.timeline()
        cursor = replace(self._live.cursor, epoch=self._reader.head().epoch)
        if timeline < self._timeline or not self._reader.knows(cursor):
            return _OTHER_HISTORY
        self._live.apply((), cursor)
        self._timeline = timeline
        return ""

    def behind_s(self, now_s: float) -> float:
        """Return an upper bound on the age of the oldest change that the served index lacks.

        In seconds; ``now_s`` is of time.monotonic. 0 while nothing is served. A change counts from
        the last time that the registry was read without it, so that the bound grows while the
        registry cannot be read, and while a step hangs; any thread may ask.
        """
        return max(0.0, now_s - self._complete_s) if self._live.serving else 0.0

    def _take_up(self) -> str:
        """Swap to the generation in CURRENT if it is another one and was not refused before.

        Returns why it cannot be opened now, or nothing.
        """
        try:
            named = served(self._index_dir)
            if named == self._taken or (named == 0 and self._live.serving):
                return ""
            if self._live.serving:
                checked = self._checked_from is not None and named >= self._checked_from
                snapshot = open_generation(self._index_dir, named, self._reader, checked=checked)
            else:
                snapshot = open_current(
                    self._index_dir, self._reader, checked_from=self._checked_from
                )
        except SnapshotRefusedError as error:
            self._taken = named
            if not self._live.serving:
                self._live.suspend(error.message)
            _log.error("snapshot_refused", reason=error.message)
            return ""
        except UnavailableError as error:
            # Changes must not wait for this generation.
            return error.message
        snapshot.warm()
        if snapshot.has_tables:
            check_limits()
        before = self._live.snapshot if self._live.serving else None
        fresh, complete_s = self._prepare(snapshot)
        self._complete_s = complete_s  # Set before the swap: behind_s reads it from then on.
        self._live.replace(fresh)
        if self._outlives_registry:
            self._timeline = max(self._timeline, self._reader.timeline())
        # Not ``named``: an older one may serve because that one cannot be read now.
        self._taken = snapshot.generation
        if before is not None:
            before.cool()
        _log.info("snapshot_taken_up", generation=snapshot.generation)
        return ""

    def _prepare(self, snapshot: Snapshot) -> tuple[LiveIndex, float]:
        """Make a live index over another snapshot, level with the registry; return it and when.

        Changes during that time reach the served index as well: a withdrawal does not wait for a
        swap. The changes after the snapshot's cursor are read again rather than kept, so that an
        older snapshot can be taken up too, and changes enter the index in one way only.
        """
        fresh = LiveIndex(snapshot)
        while True:
            read_s = time.monotonic()
            if not self._apply_page(fresh):
                return fresh, read_s
            if self._live.serving and self._live.cursor.epoch == fresh.cursor.epoch:
                self._advance()

    def _advance(self) -> None:
        """Apply every change that the registry has now; those that come meanwhile are left.

        All at once: an item that is disputed again and again is found between any two pages. This
        ends, and so sets the lag, even where the registry changes all the time.
        """
        read_s = time.monotonic()
        head = self._reader.head()
        with self._live.together() as ahead:
            while self._apply_page(ahead) and ahead.cursor.sequence < head.sequence:
                pass
        self._complete_s = read_s

    def _apply_page(self, live: LiveIndex) -> bool:
        """Apply the next page; return False when there was nothing more."""
        changes, cursor = self._reader.changes(live.cursor, _PAGE_CHANGES)
        live.apply(changes, cursor)
        # A dispute hides its item and shows it again; the id of a renewed item is another one.
        if any(isinstance(change, (Removal, StateChange)) for change in changes):
            self._disputes_changed = True
        return bool(changes)

    def _read_disputes(self) -> None:
        """Read what is disputed again, if it may have changed."""
        if self._disputes_changed:
            self.disputes = by_organisation(self._reader.disputes())
            self._disputes_changed = False

    def _check_files(self) -> None:
        """Suspend the live index if a file of its snapshot is gone or altered."""
        missing = self._live.snapshot.missing_file() if self._live.serving else None
        if missing:
            reason = f"The index file {missing} is gone or altered. Run `disrupt-index rebuild`."
            self._live.suspend(reason)
            raise UnavailableError(reason)
