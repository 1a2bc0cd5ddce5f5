"""The journal of removals: which items were ever withdrawn, outside the database and its backups.

A backup brings back what was withdrawn after it was made; the journal says what to erase again. It
holds item numbers and item ids, nothing made from a hash.

The file is a header of 32 bytes, then records of 32 bytes: item number (u64, little-endian), item
id (16 bytes), and the first 8 bytes of the SHA-256 of both. It only grows.
"""

import errno
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from disrupt.errors import DataDirectoryError, DisruptError, StorageFullError, UnavailableError

NAME = "removals.journal"
"""Beside the registry's file."""

_RECORD_BYTES = 32
_CHECKED_BYTES = 24
_HEADER = b"disrupt removals journal 1\n".ljust(_RECORD_BYTES, b"\0")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Removed:
    """An item that was withdrawn: its internal number, and the 16 bytes known outside."""

    number: int
    item_id: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What a journal says.

    ``torn``: it ends in what was not written wholly, and so was never acknowledged.
    ``damaged_records`` lie between good ones: what they said was acknowledged, and is lost.
    """

    removed: tuple[Removed, ...]
    torn: bool = False
    damaged_records: int = 0


def read(path: Path) -> Contents | None:
    """What the journal says, or None if there is none.

    DataDirectoryError if it cannot be read, is no journal, or of a newer version.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataDirectoryError(f"The journal of removals cannot be read: {error}") from error
    if not content.startswith(_HEADER):
        raise DataDirectoryError(
            f"{path.name} is no journal of removals, or of a newer version of Disrupt. Bring the"
            " right file back; or move this one away, and one is written from the registry."
        )
    good: list[Removed] = []
    damaged = since_good = 0
    for at in range(_RECORD_BYTES, len(content), _RECORD_BYTES):
        record = content[at : at + _RECORD_BYTES]
        if record == _record(removed := _removed(record)):
            good.append(removed)
            damaged += since_good
            since_good = 0
        else:
            since_good += 1
    return Contents(tuple(good), torn=since_good > 0, damaged_records=damaged)


def write(path: Path, removed: Iterable[Removed]) -> None:
    """Writes a journal in place of any that is there, at once and durably; mode 0600.

    StorageFullError when the disk is full; the journal is then as it was.
    """
    aside = path.with_name(f"{path.name}.new")
    content = _HEADER + b"".join(map(_record, removed))
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        aside.rename(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise _translate(error) from error


class Journal:
    """The journal, open for adding to. One process at a time; its caller serialises the calls."""

    def __init__(self, descriptor: int, size_bytes: int) -> None:
        self._descriptor = descriptor
        self._size_bytes = size_bytes
        self._pending: list[Removed] = []

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens a journal that ``write`` wrote or ``read`` found neither torn nor damaged."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            return cls(descriptor, os.fstat(descriptor).st_size)
        except OSError as error:
            raise DataDirectoryError(f"{path.name} cannot be opened: {error}") from error

    def add(self, removed: Iterable[Removed]) -> None:
        """Adds records; returns when they are durable.

        StorageFullError or UnavailableError where that fails. They are kept then, and the next
        call, also one that adds nothing, writes them or fails in turn.
        """
        self._pending.extend(removed)
        if not self._pending:
            return
        content = b"".join(map(_record, self._pending))
        try:
            # Over what an earlier call left unfinished, in order, so that a tear is at the end.
            written = 0
            while written < len(content):
                at = self._size_bytes + written
                written += os.pwrite(self._descriptor, content[written:], at)
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size_bytes)
            raise _translate(error) from error
        self._size_bytes += len(content)
        self._pending.clear()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


def _record(removed: Removed) -> bytes:
    body = removed.number.to_bytes(8, "little") + removed.item_id
    return body + hashlib.sha256(body).digest()[: _RECORD_BYTES - _CHECKED_BYTES]


def _removed(record: bytes) -> Removed:
    return Removed(int.from_bytes(record[:8], "little"), record[8:_CHECKED_BYTES])


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _translate(error: OSError) -> DisruptError:
    if error.errno in _FULL:
        return StorageFullError(
            "The disk is full: the journal of removals could not be written. Free space, then try"
            " again."
        )
    return UnavailableError("The journal of removals cannot be written now. Try again.")
