"""The follower: carries the registry's changes into the live index, and takes up new snapshots."""

from __future__ import annotations

import time
from pathlib import Path

import structlog

from disrupt.errors import (
    CursorExpiredError,
    DisruptError,
    RegistryReplacedError,
    SnapshotRefusedError,
)
from disrupt.index.generations import current, open_current, open_generation
from disrupt.index.live import LiveIndex
from disrupt.index.snapshot import Snapshot
from disrupt.registry.contract import RegistryReader

_PAGE_CHANGES = 1000

_log = structlog.get_logger(__name__)


class Follower:
    """Keeps one live index level with the registry.

    For one thread, which calls ``step`` every 0.2 s or so. The first step opens the snapshot and
    applies what came after it: a process answers lookups after that, not before, or a withdrawn
    item could match.
    """

    def __init__(self, reader: RegistryReader, live: LiveIndex, index_dir: Path) -> None:
        """For ``live``, which may be without a snapshot yet."""
        self._reader = reader
        self._live = live
        self._index_dir = index_dir
        self._taken = live.snapshot.generation if live.serving else None
        self._level_s = time.monotonic()
        self._fault = ""

    def step(self) -> None:
        """Takes up a newly published snapshot, then every change of the registry.

        Does not raise for what may pass: a registry that cannot be read now, a snapshot that is
        refused. It logs it and the index serves as before. Where serving on would be wrong, it
        suspends the live index: its files are gone, or the registry is another one than it follows.
        """
        try:
            self._take_up()
            self._check_files()
            if self._live.serving:
                self._advance()
        except CursorExpiredError:
            self._suspend(
                "registry.db is not the one that this index follows: it may be an older copy. Stop"
                " the server, and put the right registry.db back or run `disrupt restore`."
            )
        except RegistryReplacedError as error:
            self._suspend(error.message)
        except (DisruptError, OSError) as error:
            self._report(str(error))
        else:
            self._fault = ""

    def lag_s(self, now_s: float) -> float:
        """Time since the live index last was level with the registry, or since the beginning.

        ``now_s`` is of time.monotonic.
        """
        return max(0.0, now_s - self._level_s)

    def _take_up(self) -> None:
        """Swaps to the generation in CURRENT if that is another one, and was not refused before."""
        try:
            named = current(self._index_dir)
        except SnapshotRefusedError:
            named = 0
        if named == self._taken or (named == 0 and self._live.serving):
            return
        try:
            if self._live.serving:
                snapshot = open_generation(self._index_dir, named, self._reader)
            else:
                snapshot = open_current(self._index_dir, self._reader)
        except SnapshotRefusedError as error:
            self._taken = named
            if not self._live.serving:
                self._live.suspend(error.message)
            _log.error("snapshot_refused", reason=error.message)
            return
        snapshot.warm()
        before = self._live.snapshot if self._live.serving else None
        self._live.replace(self._prepare(snapshot))
        self._taken = named
        if before is not None:
            before.cool()
        _log.info("snapshot_taken_up", generation=snapshot.generation)

    def _prepare(self, snapshot: Snapshot) -> LiveIndex:
        """Live index over another snapshot, level with the registry.

        Changes that come meanwhile reach the served one as well: a withdrawal does not wait for a
        swap. The changes after the snapshot's cursor are read again, rather than kept: so that an
        older snapshot can be taken up too, and there is one way into the index.
        """
        fresh = LiveIndex(snapshot)
        while self._apply_page(fresh):
            if self._live.serving:
                self._advance()
        return fresh

    def _advance(self) -> None:
        while True:
            read_s = time.monotonic()
            if not self._apply_page(self._live):
                self._level_s = read_s
                return

    def _apply_page(self, live: LiveIndex) -> bool:
        """Applies the next page; False when there was nothing more."""
        changes, cursor = self._reader.changes(live.cursor, _PAGE_CHANGES)
        live.apply(changes, cursor)
        return bool(changes)

    def _check_files(self) -> None:
        missing = self._live.snapshot.missing_file() if self._live.serving else None
        if missing:
            self._suspend(
                f"The index file {missing} is gone or altered. Run `disrupt-index rebuild`."
            )

    def _suspend(self, reason: str) -> None:
        self._live.suspend(reason)
        self._report(reason)

    def _report(self, fault: str) -> None:
        """Logs a fault when it begins, not at every step."""
        if fault != self._fault:
            self._fault = fault
            _log.error("follower_fault", reason=fault)
