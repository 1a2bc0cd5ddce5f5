"""Follow the registry of other machines: keep the list of removals, and an index of this registry.

A machine that answers lookups keeps no truth but its list. The registry may be replaced under it:
by a standby that was promoted, or by a copy that was restored to an earlier time. Both begin a new
epoch. Until the index is built anew from it, the machine answers as if the registry were stopped.

A machine that also writes a registry in PostgreSQL follows promotions by the same code.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from disrupt.core.changes import Cursor
from disrupt.data_directory import HEAD_NOTE, DataDirectory, write_private
from disrupt.errors import CursorExpiredError, InvalidRequestError, OtherHistoryError
from disrupt.feed.removals import RemovalList
from disrupt.index import generations
from disrupt.index.generations import check_history
from disrupt.registry import head_note
from disrupt.registry.journal import Epoch
from disrupt.registry.registry import RegistryReader
from disrupt.upkeep.rebuild import build

_NOTE_S = 60.0
"""Pause between two notes that this machine is level with the registry."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Followed:
    """Position of this machine in the registry that it follows, as noted in its data directory.

    ``timeline`` is that of the database, ``level_s`` when it was level, in seconds since 1970.
    """

    cursor: str
    timeline: int
    level_s: float

    @property
    def at(self) -> Cursor:
        """Return the cursor."""
        return Cursor.from_text(self.cursor)


def read_followed(path: Path) -> Followed | None:
    """Return what was noted; None where nothing was, or it cannot be read, which is logged."""
    try:
        followed = TypeAdapter(Followed).validate_json(path.read_bytes())
        followed.at  # noqa: B018 raises where it is no cursor
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, InvalidRequestError) as error:
        _log.error("followed_unreadable", reason=type(error).__name__)
        return None
    return followed


def wipe_if_away(directory: DataDirectory, longest_s: float) -> bool:
    """Delete the index where this machine may hold what was withdrawn ``longest_s`` ago.

    That is where it was not level for so long, or it is not known when it was. Returns whether
    there was an index to delete.
    """
    followed = read_followed(directory.followed)
    away_s = time.time() - followed.level_s if followed else longest_s
    if 0 <= away_s < longest_s or not directory.index.exists():
        return False
    shutil.rmtree(directory.index)
    _log.warning("index_wiped", away_s=round(away_s))
    return True


def refuse_older(registry: RegistryReader) -> None:
    """Raise OtherHistoryError where what was noted beside a registry shows that it is older."""
    if lacking := registry.lacks():
        raise OtherHistoryError(
            f"The registry does not know change {lacking.sequence}, which registry.head names:"
            " it is an older copy, and nothing is written to it. If it was restored, run"
            " `disrupt restore --removals`; see `disrupt restore --help`."
        )


class Node:
    """Follows one registry. For one thread, which calls ``step`` every 0.2 s or so.

    Where this machine writes the registry itself, there are no ``removals``: the writer keeps its
    journal, and the note of its head.
    """

    def __init__(
        self,
        reader: RegistryReader,
        directory: DataDirectory,
        removals: RemovalList | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reader = reader
        self._directory = directory
        self._removals = removals
        self._clock = clock
        self._followed = read_followed(directory.followed)
        self._cursor: Cursor | None = None
        """Newest change that the list covers; None until the whole list has been compared."""
        self._noted_s = 0.0

    def step(self) -> None:
        """List what was removed since the last step; note from time to time that this is level.

        Where the registry began another epoch, checks that it may be followed, and builds the index
        from it. Raises DisruptError where it cannot be read now, or may not be followed.
        """
        head = self._reader.head()
        if self._cursor is None or self._cursor.epoch != head.epoch:
            self._enter(head)
        if self._removals and not self._list(head, self._removals):
            return
        self._cursor = head
        self._note(head)

    def _list(self, head: Cursor, removals: RemovalList) -> bool:
        """List what was removed, and note the head; False where another epoch began meanwhile."""
        try:
            removed = self._reader.journaled(self._cursor)
        except CursorExpiredError:
            if self._reader.head().epoch != head.epoch:
                return False  # the next step enters it
            raise _other_history("its newest changes are gone") from None
        removals.add({Epoch(head.epoch): None, **dict.fromkeys(removed)})
        if head != self._cursor:
            self._note_head(head)
        return True

    def _note_head(self, head: Cursor) -> None:
        """Note the head, by which workers and compaction refuse an older copy."""
        head_note.write(self._directory.path / HEAD_NOTE, head)

    def _enter(self, head: Cursor) -> None:
        """Begin to follow an epoch. Raises OtherHistoryError where that would be wrong."""
        followed, timeline = self._followed, self._reader.timeline()
        if followed and timeline < followed.timeline:
            raise _other_history(
                f"it is on timeline {timeline}, and timeline {followed.timeline} was followed: this"
                " is a primary that was replaced, or a database made anew, for which `followed`"
                " has to be deleted here"
            )
        is_same = followed is not None and followed.at.epoch == head.epoch
        if followed and is_same and not self._reader.knows(followed.at):
            raise _other_history("its newest changes are gone")
        if self._removals and (back := self._removals.brought_back(self._reader)):
            raise _other_history(f"it has {back} items or keys that were removed")
        try:
            check_history(self._directory.index, self._reader)
            needs_index = not generations.served(self._directory.index)
        except OtherHistoryError:
            if is_same:
                raise
            needs_index = True
        if needs_index:
            if self._removals:  # first: workers refuse for good an index whose head is not noted
                self._note_head(head)
            build(self._reader, self._directory.index)
        self._cursor, self._noted_s = None, 0.0

    def _note(self, head: Cursor) -> None:
        """Note that this machine is level, once a minute."""
        now_s = self._clock()
        if 0 <= now_s - self._noted_s < _NOTE_S:
            return
        self._followed = Followed(head.to_text(), self._reader.timeline(), now_s)
        write_private(self._directory.followed, json.dumps(asdict(self._followed)))
        self._noted_s = now_s


def _other_history(why: str) -> OtherHistoryError:
    return OtherHistoryError(
        f"The registry is not the one that was followed here, or an older copy of it: {why}."
        " Nothing of it is followed. If it was restored to an earlier time, run `disrupt restore"
        " --removals` where it is written."
    )
