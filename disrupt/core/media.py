"""Media items as the registry keeps them: fingerprints in columns, packed in one blob per item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from disrupt.core.hashes import HASH_BYTES, MIN_QUALITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from disrupt.core.hashes import PdqHash


class Profile(IntEnum):
    """Preparation of pixels for PDQ; the numbers are those of proto/ and of stored blobs."""

    UNKNOWN = 0
    PDQ_512 = 1
    PDQ_FULL = 2


class MediaKind(IntEnum):
    """Kind of a media item; the numbers are those of proto/ and of stored columns."""

    IMAGE = 1
    VIDEO = 2


class Assurance(IntEnum):
    """Basis on which an item was stored; the numbers are those of proto/ and of stored columns."""

    SELF_REPORTED = 1
    REVIEWED = 2
    IMPORTED = 3


FINGERPRINT = np.dtype(
    [
        ("hash", np.uint8, HASH_BYTES),
        ("quality", np.uint8),
        ("profile", np.uint8),
        ("plan", "<u2"),
        ("ordinal", "<u2"),
        ("start_ms", "<u4"),
        ("end_ms", "<u4"),
    ]
)
"""One fingerprint: 46 bytes, little-endian, no padding. Stored blobs are arrays of it: it never
changes, a successor gets a new version byte."""

NOT_NARROWED = 255
"""``below_bits`` of a hash that is answered at any distance, also at 255 and 256 bits.

Any less narrows the hash: it is answered only at smaller distances, and with 0 at none.
"""

ALWAYS_NEW = 2**16 - 1
"""``new_day`` of an item that counts as new whatever day it is asked from."""

ITEM_ID_BYTES = 16
_BLOB_VERSION = b"\x01"
_FIRST_DAY = date(1970, 1, 1)


@cache
def day_number(day: str) -> int:
    """Return the number of an ISO date, counted from 1970-01-01, as ``new_day`` of items has it."""
    return (date.fromisoformat(day) - _FIRST_DAY).days


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One hash of one version of a media item, as hashing makes it."""

    hash: PdqHash
    quality: int
    profile: Profile
    plan: int = 0
    ordinal: int = 0
    start_ms: int = 0
    end_ms: int = 0


def columns(fingerprints: Iterable[Fingerprint]) -> NDArray[np.void]:
    """Return fingerprints as one array of dtype FINGERPRINT, shape (n,)."""
    rows = list(fingerprints)
    array = np.zeros(len(rows), FINGERPRINT)
    for at, fingerprint in enumerate(rows):
        array[at] = (
            np.frombuffer(fingerprint.hash.value, np.uint8),
            fingerprint.quality,
            fingerprint.profile,
            fingerprint.plan,
            fingerprint.ordinal,
            fingerprint.start_ms,
            fingerprint.end_ms,
        )
    return array


def pack(fingerprints: NDArray[np.void]) -> bytes:
    """Return the blob of an array of dtype FINGERPRINT: a version byte, then its rows."""
    return _BLOB_VERSION + fingerprints.astype(FINGERPRINT, copy=False).tobytes()


def unpack(blob: bytes) -> NDArray[np.void]:
    """Return the fingerprints of a blob that ``pack`` made, read-only.

    A blob of another version or length is a ValueError: the registry is damaged or was written by
    a newer version.
    """
    if blob[:1] != _BLOB_VERSION or (len(blob) - 1) % FINGERPRINT.itemsize:
        raise ValueError(f"not a fingerprint blob of version 1 ({len(blob)} bytes)")
    return np.frombuffer(blob, FINGERPRINT, offset=1)


def unpack_all(blobs: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Return how many fingerprints each blob holds, and all fingerprints in the same order.

    ValueError as ``unpack``.
    """
    sizes = np.fromiter(map(len, blobs), np.int64, len(blobs))
    ends = np.cumsum(sizes)
    joined = np.frombuffer(b"".join(blobs), np.uint8)
    lengths, over = np.divmod(sizes - 1, FINGERPRINT.itemsize)
    if np.any(over) or np.any(joined[ends - sizes] != _BLOB_VERSION[0]):
        raise ValueError("not fingerprint blobs of version 1")
    return lengths, np.delete(joined, ends - sizes).view(FINGERPRINT)


def rows_of(fingerprints: NDArray[np.void], fields: list[str]) -> NDArray[np.void]:
    """Return the bytes of some fields of fingerprints, an opaque row for each."""
    # not by numpy.lib.recfunctions, whose import takes a tenth of a command's start
    packed = np.empty(len(fingerprints), [(name, fingerprints.dtype[name]) for name in fields])
    for name in fields:
        packed[name] = fingerprints[name]
    return packed.view(f"V{packed.dtype.itemsize}")


def folded(fingerprints: NDArray[np.void]) -> NDArray[np.void]:
    """Fold equal fingerprints of one item whose intervals overlap or touch into one interval.

    Fingerprints (dtype FINGERPRINT) are equal if they differ at most in times and quality. The
    first of them in the array is kept and gets the times; the order and all others stay.
    """
    if len(fingerprints) < 2:  # noqa: PLR2004 as of a million entries of a list
        return fingerprints
    identical = rows_of(fingerprints, ["hash", "profile", "plan", "ordinal"])
    _, equal = np.unique(identical, return_inverse=True)
    order = np.lexsort((fingerprints["start_ms"], equal))
    # Add an offset per fingerprint, so that intervals of different ones never touch.
    base_ms = equal[order].astype(np.int64) << 33
    starts_ms = base_ms + fingerprints["start_ms"][order]
    latest_ms = np.maximum.accumulate(base_ms + fingerprints["end_ms"][order])
    begins = np.ones(len(order), np.bool_)
    begins[1:] = starts_ms[1:] > latest_ms[:-1]
    kept = np.minimum.reduceat(order, np.flatnonzero(begins))
    rows = fingerprints[kept]
    rows["start_ms"] = (starts_ms - base_ms)[begins]
    rows["end_ms"] = (latest_ms - base_ms)[np.roll(begins, -1)]
    return rows[np.argsort(kept)]


def is_answered(distance: NDArray[np.uint16], below_bits: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which hashes, as narrowed by ``below_bits``, are answered at these distances in bits."""
    answered: NDArray[np.bool_] = (distance < below_bits) | (below_bits == NOT_NARROWED)
    return answered


@dataclass(frozen=True, slots=True, eq=False)
class StoredItem:
    """One media item of the registry.

    ``number`` is the internal u64, never reused; ``item_id`` are the 16 random bytes known
    outside, which cannot be linked to a case. ``fingerprints`` has dtype FINGERPRINT, shape (n,),
    n ≥ 1; ``below_bits`` u8 (n,): each is answered only at smaller distances, or NOT_NARROWED.
    ``new_day`` is the number of the day since which lookups find the item as it is: that of its
    addition, or of the newest change that shows it.
    """

    number: int
    item_id: bytes
    bank: int
    kind: MediaKind
    assurance: Assurance
    fingerprints: NDArray[np.void]
    below_bits: NDArray[np.uint8]
    new_day: int = ALWAYS_NEW

    @classmethod
    def of(
        cls,
        number: int,
        item_id: bytes,
        bank: int,
        kind: MediaKind,
        assurance: Assurance,
        fingerprints: NDArray[np.void],
    ) -> StoredItem:
        """Build an item of which no hash is narrowed."""
        below_bits = np.full(len(fingerprints), NOT_NARROWED, np.uint8)
        return cls(number, item_id, bank, kind, assurance, fingerprints, below_bits)


@dataclass(frozen=True, slots=True, eq=False)
class StoredItems:
    """Media items in columns of one length, and those of all their fingerprints of another.

    ``number`` u64, ``item_id`` u8 (n, 16), ``bank`` u16, ``kind`` u8, ``assurance`` u8, ``new_day``
    u16; ``lengths`` says how many of ``fingerprints`` and ``below_bits`` are of each item, see
    StoredItem.
    """

    number: NDArray[np.uint64]
    item_id: NDArray[np.uint8]
    bank: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    assurance: NDArray[np.uint8]
    new_day: NDArray[np.uint16]
    lengths: NDArray[np.int64]
    fingerprints: NDArray[np.void]
    below_bits: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        number: Sequence[int],
        item_id: Sequence[bytes],
        bank: Sequence[int],
        kind: Sequence[int],
        assurance: Sequence[int],
        new_day: Sequence[int],
        blobs: Sequence[bytes],
    ) -> StoredItems:
        """Build from plain columns and the blob of each item; no hash is narrowed.

        ValueError as ``unpack``.
        """
        lengths, fingerprints = unpack_all(blobs)
        return cls(
            np.array(number, np.uint64),
            np.frombuffer(b"".join(item_id), np.uint8).reshape(len(item_id), ITEM_ID_BYTES),
            np.array(bank, np.uint16),
            np.array(kind, np.uint8),
            np.array(assurance, np.uint8),
            np.array(new_day, np.uint16),
            lengths,
            fingerprints,
            np.full(len(fingerprints), NOT_NARROWED, np.uint8),
        )

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.number)


@dataclass(frozen=True, slots=True)
class LowQuality:
    """A picture or frame too featureless to identify: an outcome, not an error.

    ``quality`` is the PDQ quality found, 0-100. It is less than ``minimum_quality``, or the picture
    is so regular (stripes, a chessboard) that noise decides its hash, or it shows a line or an edge
    and nothing else, whose hash is that of any other. Nothing is searched or stored
    for it. ``advice`` says what the caller can do. ``frames_skipped`` are frames of an animation
    that were not looked at.
    """

    quality: int
    minimum_quality: int = MIN_QUALITY
    advice: str = "Use a version with more detail: the original file, neither blurred nor cropped."
    frames_skipped: int = 0

    @property
    def is_too_regular(self) -> bool:
        """Return True if not the quality but the regularity of the picture is the reason."""
        return self.quality >= self.minimum_quality

    @property
    def message(self) -> str:
        """Return the reason, and what the caller can do."""
        if self.is_too_regular:
            return self.advice
        return (
            f"Too featureless to be told from others: quality {self.quality}, and"
            f" {self.minimum_quality} is needed. {self.advice}"
        )
