"""A queue in a file: what is added is on disk before the caller goes on."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from disrupt.errors import UnavailableError


class DurableQueue:
    """Distinct entries of bytes, the oldest first. Thread-safe.

    What is taken out is overwritten. Every method raises UnavailableError where the file cannot be
    read or written.
    """

    def __init__(self, path: Path, *, entries_max: int) -> None:
        """Open or make the file. Beyond ``entries_max`` entries the oldest are lost."""
        self._entries_max = entries_max
        self._lock = threading.Lock()
        with _translated():
            self._file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.execute("PRAGMA secure_delete = ON")
            self._file.execute("CREATE TABLE IF NOT EXISTS entries (entry BLOB UNIQUE)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Return the number of entries."""
        with self._lock, _translated():
            return self._count()

    def add(self, entries: Iterable[bytes]) -> int:
        """Add entries, one that waits already as the newest; return how many were lost for it."""
        rows = [(entry,) for entry in entries]
        with self._lock, _translated(), self._file:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.executemany("INSERT OR REPLACE INTO entries VALUES (?)", rows)
            lost = max(0, self._count() - self._entries_max)
            self._file.execute(
                "DELETE FROM entries WHERE rowid IN"
                " (SELECT rowid FROM entries ORDER BY rowid LIMIT ?)",
                (lost,),
            )
        return lost

    def entries(self) -> list[bytes]:
        """Return all entries."""
        with self._lock, _translated():
            rows = self._file.execute("SELECT entry FROM entries ORDER BY rowid").fetchall()
        return [entry for (entry,) in rows]

    def remove(self, entry: bytes) -> None:
        """Take an entry out."""
        with self._lock, _translated():
            self._file.execute("DELETE FROM entries WHERE entry = ?", (entry,))

    def _count(self) -> int:
        return int(self._file.execute("SELECT count(*) FROM entries").fetchone()[0])


@contextmanager
def _translated() -> Iterator[None]:
    """Raise UnavailableError for what the database raises."""
    try:
        yield
    except sqlite3.Error as error:
        raise UnavailableError(f"The queue of outcomes cannot be used: {error}.") from error
