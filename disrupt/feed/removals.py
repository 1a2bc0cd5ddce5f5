"""The list of removals that a machine keeps which follows the registry of others.

It is a journal of removals like the registry's own. A registry that is restored to an earlier time
has forgotten what was withdrawn since; the lists of all machines that followed it have not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disrupt.registry import journal
from disrupt.registry.journal import Contents, Journal, Record
from disrupt.registry.records import Removed
from disrupt.registry.registry import RegistryReader
from disrupt.registry.versions import ids_of, versions_of

_IDS_AT_ONCE = 10_000


class RemovalList:
    """A journal of removals that grows with what is followed. Threads may share it."""

    def __init__(self, path: Path) -> None:
        """Open the list, and begin one where there is none.

        What a crash left incomplete is cut off, and what is damaged left out. DataDirectoryError
        where it cannot be read, StorageFullError or UnavailableError where it cannot be written.
        """
        self._path = path
        self._lock = threading.Lock()
        self._added: set[Record] = set()
        """Epochs and keys that ``add`` was given, which it is given again and again."""
        contents = journal.read(path) or Contents(journal.pack(()), torn=True)
        if contents.torn or contents.damaged_records:
            journal.write_packed(path, contents.packed)

    def contents(self) -> Contents:
        """Return what is listed."""
        return journal.parsed(self.read(), self._path.name)

    def read(self) -> bytes:
        """Return the bytes of the file."""
        with self._lock:
            return self._path.read_bytes()

    def add(self, records: Iterable[Record]) -> None:
        """List, durably, what is not listed yet. StorageFullError or UnavailableError if it cannot.

        For one thread.
        """
        wanted = [record for record in dict.fromkeys(records) if record not in self._added]
        if not wanted:
            return
        listed = np.isin(_rows(journal.pack(wanted)), _rows(self.contents().packed))
        fresh = [record for record, known in zip(wanted, listed, strict=True) if not known]
        with self._lock, closing(Journal.open(self._path)) as opened:
            opened.add(fresh)
        self._added.update(record for record in wanted if not isinstance(record, Removed))

    def brought_back(self, reader: RegistryReader) -> int:
        """Count items that the registry has though they are listed as withdrawn, and such keys."""
        contents = self.contents()
        items = contents.packed[journal.are_items(contents.packed)]
        versions = versions_of(contents.packed)
        withdrawn = {
            *ids_of(items[~items[:, 3:5].any(axis=1), 1:3]).tolist(),
            *versions.ids[versions.withdrawn].tolist(),
        }
        ids = sorted(withdrawn)
        count = sum(
            len(reader.living(ids[first : first + _IDS_AT_ONCE]))
            for first in range(0, len(ids), _IDS_AT_ONCE)
        )
        revoked = {key.key_id for key in contents.revoked}
        keys = reader.keys()
        return count + sum(key.key_id in revoked and not key.revoked_on for key in keys)


def _rows(packed: NDArray[np.uint64]) -> NDArray[np.void]:
    """Return PACKED records as values that can be compared, V48 (n,)."""
    return np.ascontiguousarray(packed).view("V48").reshape(-1)
