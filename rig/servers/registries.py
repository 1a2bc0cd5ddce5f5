"""Fill and change the file of a registry, for what takes long by calls or cannot be done by any."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disrupt.core.cases import CaseStatus
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, Profile, pack
from disrupt.data_directory import DataDirectory
from disrupt.index.generations import create_first
from disrupt.registry import sqlite
from rig.servers.deployment import Deployment

_BLOCK_ITEMS = 20_000
_CASE = 1
_DAY = "2020-01-01"
_IMAGE, _SELF_REPORTED = int(MediaKind.IMAGE), int(Assurance.SELF_REPORTED)


def fill(data_dir: Path, codes: NDArray[np.uint8], hashes_per_item: int = 1) -> int:
    """Make the directory with ``codes``, uint8 (n, 32); return the number of items.

    Each item has ``hashes_per_item``. The k-th has number k, counted from 1, and that number as its
    id. All are of one case, which nobody can withdraw, and of a day years ago. The index is empty.
    """
    directory = DataDirectory(data_dir)
    directory.make()
    with directory.locked():
        directory.secrets()
        with sqlite.open_writer(directory.registry) as registry:
            create_first(directory.index, registry.head().epoch)
        with closing(sqlite3.connect(directory.registry)) as connection, connection:
            connection.execute(
                "INSERT INTO cases (id, number, pin_hash, status, opened_on, closed_on,"
                " numbers_given) VALUES (?, 'filled', '', ?, ?, '', 0)",
                (_CASE, CaseStatus.ACTIVE, _DAY),
            )
            _add(connection, codes, hashes_per_item, 0)
    return -(-len(codes) // hashes_per_item)


def change(
    data_dir: Path, codes: NDArray[np.uint8], hashes_per_item: int, gone: Iterable[int]
) -> None:
    """Add items with ``codes`` and erase those with the numbers ``gone``.

    The registry is one made by ``fill``, to which nobody else writes.
    """
    registry = DataDirectory(data_dir).registry
    with closing(sqlite3.connect(registry)) as connection, connection:
        (last,) = connection.execute("SELECT max(number) FROM items").fetchone()
        _add(connection, codes, hashes_per_item, last)
        erased = [(number,) for number in gone]
        connection.executemany(
            "UPDATE items SET case_id = NULL, kind = NULL, assurance = NULL, hashes = NULL,"
            " number_in_case = NULL, registered_on = NULL, new_on = NULL, state = NULL"
            " WHERE number = ?",
            erased,
        )
        connection.executemany("DELETE FROM fingerprints WHERE number = ?", erased)
        connection.executemany(
            "INSERT INTO changes (item, kind, mark) VALUES (?, 2, randomblob(8))", erased
        )


def expire(server: Deployment, key_id: str) -> None:
    """Let a key be expired for long, which no command does."""
    registry = DataDirectory(server.data_dir).registry
    with closing(sqlite3.connect(registry, timeout=60)) as connection, connection:
        connection.execute("UPDATE keys SET expires_on = '2020-01-01' WHERE key_id = ?", [key_id])


def item_id(number: int) -> bytes:
    """Return the id of the item with this number."""
    return number.to_bytes(16)


def _add(
    connection: sqlite3.Connection, codes: NDArray[np.uint8], hashes_per_item: int, last: int
) -> None:
    for number, blob in _blobs(codes, hashes_per_item, last):
        hashes = len(blob) // FINGERPRINT.itemsize
        connection.execute(
            "INSERT INTO items (number, item_id, bank, case_id, kind, assurance, hashes,"
            " number_in_case, registered_on, new_on, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            (
                *(number, item_id(number), 1 + number % 2, _CASE, _IMAGE, _SELF_REPORTED),
                *(hashes, number, _DAY, _DAY),
            ),
        )
        connection.execute("INSERT INTO fingerprints VALUES (?, ?)", (number, blob))
    connection.execute(
        "INSERT INTO changes (item, kind, mark) SELECT number, 1, randomblob(8) FROM items"
        " WHERE number > ? ORDER BY number",
        (last,),
    )


def _blobs(
    codes: NDArray[np.uint8], hashes_per_item: int, last: int
) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the packed fingerprints of each item."""
    step = _BLOCK_ITEMS * hashes_per_item
    for first in range(0, len(codes), step):
        fingerprints = np.zeros(len(codes[first : first + step]), FINGERPRINT)
        fingerprints["hash"] = codes[first : first + step]
        fingerprints["quality"] = 100
        fingerprints["profile"] = Profile.PDQ_512
        version, rows = pack(fingerprints)[:1], fingerprints.tobytes()
        size = hashes_per_item * FINGERPRINT.itemsize
        for at in range(0, len(rows), size):
            number = last + 1 + first // hashes_per_item + at // size
            yield number, version + rows[at : at + size]
