"""The journal of removals: items ever withdrawn and keys ever revoked, outside all backups.

A backup brings back what was withdrawn or revoked after it was made; the journal lists what to
remove again. It holds item numbers, item ids and key ids, nothing made from a hash or a secret. An
item that was renewed is listed with the id of what took its place, so that a restore can tell it
from a withdrawn one. The journal also names the epochs of its registry, so that a restore knows the
journal of another registry.

The file is a header of 48 bytes, then records of 48 bytes: number (7 bytes, little-endian), kind (1
byte), id (16 bytes), successor (16 bytes), and the first 8 bytes of the SHA-256 of these 40. Kind 0
is an item: its number, its id, and the id of the item that took its place, or zeros if it was
withdrawn. Kind 1 is a key: number 0, its id in ASCII, filled up with zeros, and zeros. Kind 2 is an
epoch: number 0, its id, and zeros. It only grows.
"""

import errno
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from disrupt.data_directory import sync
from disrupt.errors import DataDirectoryError, DisruptError, StorageFullError, UnavailableError
from disrupt.registry.records import Removed, Revoked

_RECORD_BYTES = 48
_CHECKED_BYTES, _CHECK_BYTES = 40, 8
_HEADER = b"disrupt removals journal 1\n".ljust(_RECORD_BYTES, b"\0")
_NUMBER_BYTES = 7
_ID_BYTES = 16
_ID_AT = _NUMBER_BYTES + 1
_SUCCESSOR_AT = _ID_AT + _ID_BYTES
_WORDS = _RECORD_BYTES // 8
_ITEM, _KEY, _EPOCH = b"\0", b"\1", b"\2"
_KEY_WORD, EPOCH_WORD = (kind << 8 * _NUMBER_BYTES for kind in (1, 2))
_AT_ONCE = 1 << 14
_DONE = " What was withdrawn or revoked has taken effect, and trying again lists it."
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch of the registry whose removals the journal lists, by its 16 bytes."""

    epoch: bytes


Record = Removed | Revoked | Epoch

PACKED = np.dtype("<u8")
"""Dtype of records as the file has them, shape (n, 6): objects would take too much memory for
millions of them. The first word of a record is the number of an item, or else the kind; the next
two are the id, the two after that the successor's; the last is the check."""


@dataclass(frozen=True, eq=False)
class Contents:
    """Contents of a journal; ``packed`` are its good records, PACKED.

    ``torn``: the end was not written completely, and so was never acknowledged, or it was damaged
    since: the file alone does not show which. ``damaged_records`` lie between good ones: they were
    acknowledged, and their content is lost.
    """

    packed: NDArray[np.uint64]
    torn: bool = False
    damaged_records: int = 0

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """Return all good records, an object for each."""
        return tuple(_unpacked(record.tobytes()) for record in self.packed)

    @property
    def removed(self) -> tuple[Removed, ...]:
        """Return the items among the records."""
        return tuple(record for record in self.records if isinstance(record, Removed))

    @property
    def revoked(self) -> tuple[Revoked, ...]:
        """Return the keys among the records."""
        return tuple(record for record in self.records if isinstance(record, Revoked))

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """Return the epochs among the records."""
        return tuple(record for record in self.records if isinstance(record, Epoch))


def read(path: Path) -> Contents | None:
    """Read the journal; None if there is none.

    DataDirectoryError if it cannot be read, is no journal, or of a newer version.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataDirectoryError(f"The journal of removals cannot be read: {error}") from error
    return parsed(content, path.name)


def parsed(content: bytes, name: str) -> Contents:
    """Return what the bytes of a journal say; ``name`` is that of the file, for errors.

    DataDirectoryError if it is no journal, or of a newer version.
    """
    if content[:_RECORD_BYTES] != _HEADER:
        raise DataDirectoryError(
            f"{name} is no journal of removals, or of a newer version of Disrupt. Bring the"
            " right file back; or move this one away, and one is written from the registry."
        )
    count = len(content) // _RECORD_BYTES - 1
    records = np.frombuffer(content, PACKED, _WORDS * count, _RECORD_BYTES).reshape(-1, _WORDS)
    good = _are_good(records)
    end = int(np.flatnonzero(good)[-1]) + 1 if good.any() else 0
    damaged = end - int(np.count_nonzero(good))
    torn = len(content) > (1 + end) * _RECORD_BYTES
    return Contents(records[good] if damaged else records[:end], torn, damaged)


def with_checks(items: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return PACKED records of items, of which only the checks are missing: shape (n, 5)."""
    return np.column_stack((items, _checks(items)))


def pack(records: Iterable[Record]) -> NDArray[np.uint64]:
    """Return PACKED records."""
    return np.frombuffer(b"".join(map(_packed, records)), PACKED).reshape(-1, _WORDS)


def are_items(records: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which PACKED records are of items."""
    return records[:, 0] < _KEY_WORD


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a journal in place of any present one, atomically and durably; mode 0600.

    StorageFullError when the disk is full; the journal is then as it was.
    """
    write_packed(path, pack(records))


def write_packed(path: Path, records: NDArray[np.uint64]) -> None:
    """Write PACKED records as ``write`` does."""
    aside = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_HEADER)
            file.write(records.tobytes())
            file.flush()
            os.fsync(descriptor)
        aside.rename(path)
        sync(path.parent)
    except OSError as error:
        raise _translate(error) from error


class Journal:
    """The journal, open for adding to. One process at a time; its caller serialises the calls."""

    def __init__(self, path: Path, descriptor: int, size_bytes: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size_bytes = size_bytes
        self._pending: list[Record] = []

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a journal that ``write`` wrote or ``read`` found neither torn nor damaged."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            return cls(path, descriptor, os.fstat(descriptor).st_size)
        except OSError as error:
            raise DataDirectoryError(f"{path.name} cannot be opened: {error}") from error

    def add(self, records: Iterable[Record]) -> None:
        """Add records; return when they are durable.

        StorageFullError or UnavailableError where that fails. They are kept then, and the next
        call, also one that adds nothing, writes them or fails in turn.
        """
        self._pending.extend(records)
        if not self._pending:
            return
        content = b"".join(map(_packed, self._pending))
        self._check_in_place()
        try:
            # Overwrite what an earlier call left unfinished, in order: a tear is at the end.
            written = 0
            while written < len(content):
                at = self._size_bytes + written
                written += os.pwrite(self._descriptor, content[written:], at)
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size_bytes)
            raise _translate(error, _DONE) from error
        self._size_bytes += len(content)
        self._pending.clear()

    def _check_in_place(self) -> None:
        """Raise UnavailableError where another file, or none, has the path of the open one."""
        with suppress(OSError):
            if os.path.samestat(os.fstat(self._descriptor), self._path.stat()):
                return
        raise UnavailableError(
            f"{self._path.name} was replaced or deleted while it was open. What was withdrawn is"
            " erased, and not listed yet. Restart the server, which lists it."
        )

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _packed(record: Record) -> bytes:
    match record:
        case Removed(number, item_id, successor):
            body = number.to_bytes(_NUMBER_BYTES, "little") + _ITEM + item_id + successor
        case Revoked(key_id):
            body = bytes(_NUMBER_BYTES) + _KEY + key_id.encode("ascii")
        case Epoch(epoch):
            body = bytes(_NUMBER_BYTES) + _EPOCH + epoch
    body = body.ljust(_CHECKED_BYTES, b"\0")
    return body + hashlib.sha256(body).digest()[:_CHECK_BYTES]


def _unpacked(record: bytes) -> Record:
    """Return what a good record says."""
    number, kind = record[:_NUMBER_BYTES], record[_NUMBER_BYTES : _NUMBER_BYTES + 1]
    record_id, successor = record[_ID_AT:_SUCCESSOR_AT], record[_SUCCESSOR_AT:_CHECKED_BYTES]
    if kind == _KEY:
        return Revoked(record_id.rstrip(b"\0").decode("ascii"))
    if kind == _EPOCH:
        return Epoch(record_id)
    return Removed(
        int.from_bytes(number, "little"), record_id, successor if any(successor) else b""
    )


def _are_good(records: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which PACKED records are of a known kind and have the right check."""
    first = records[:, 0]
    good: NDArray[np.bool_] = (first <= _KEY_WORD) | (first == EPOCH_WORD)
    good &= records[:, 5] == _checks(records)
    return good


def _checks(records: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the checks that PACKED records should have."""
    checks = np.empty(len(records), PACKED)
    for first in range(0, len(records), _AT_ONCE):
        batch = records[first : first + _AT_ONCE, :5].tobytes()
        bodies = (batch[at : at + _CHECKED_BYTES] for at in range(0, len(batch), _CHECKED_BYTES))
        sums = b"".join([hashlib.sha256(body).digest()[:_CHECK_BYTES] for body in bodies])
        checks[first : first + _AT_ONCE] = np.frombuffer(sums, PACKED)
    return checks


def _translate(error: OSError, done: str = "") -> DisruptError:
    if error.errno in _FULL:
        return StorageFullError(
            f"The disk is full: the journal of removals could not be written.{done} Free space,"
            " then try again."
        )
    return UnavailableError(f"The journal of removals cannot be written now.{done} Try again.")
