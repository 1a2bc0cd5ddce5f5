"""What reading a list gives: pages of entries, or why it could not be read."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES, MIN_QUALITY
from disrupt.core.lists import ListEntry, ListFeedback
from disrupt.core.media import FINGERPRINT, MediaKind, Profile
from disrupt.errors import DisruptError

PAGES_MAX = 1_000_000
"""Most pages of one run: a source that never ends fails."""
_AHEAD_S = 86_400
"""How far a source's clock may be ahead."""

Ask = Callable[..., bytes]
"""``ask(method, url, headers, content)`` returns the body; see ``fetching.Http``."""


class ListReadError(DisruptError):
    """A list cannot be read now. ``code`` is the reason that status and metrics name."""

    status = "UNAVAILABLE"
    reason = "LIST_UNREADABLE"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class Page:
    """Entries of a list, and those left out of it, by Skipped.

    ``checkpoint`` is set once all before it was read. A whole list sets ``withdrawn_before_s`` with
    it: what changed before that is not on the list any more.
    """

    entries: list[ListEntry] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    checkpoint: str | None = None
    withdrawn_before_s: int = 0


@dataclass(frozen=True, slots=True)
class Reader:
    """How a kind of source is read.

    ``options`` are names of what its JSON may have beside ``kind``, ``url`` and ``credentials``.
    ``pages(source, secrets, ask, checkpoint, now_s)`` yields Pages; ``tell(source, secrets, ask,
    feedback)`` says what came of matches, None where the source takes nothing.
    """

    pages: Callable[[Mapping[str, Any], Mapping[str, str], Ask, str, int], Iterator[Page]]
    url: str = ""
    secrets: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    tell: Callable[[Mapping[str, Any], Mapping[str, str], Ask, list[ListFeedback]], None] | None = (
        None
    )


def picture(hexadecimal: str, quality: int = MIN_QUALITY) -> NDArray[np.void] | None:
    """Return the fingerprint of a whole picture, of which nothing else is known; None for no hash.

    Sources that give no quality hand out what is good enough to be stored: so it counts as that.
    """
    try:
        value = bytes.fromhex(hexadecimal) if len(hexadecimal) == 2 * HASH_BYTES else b""
    except ValueError:
        value = b""
    if len(value) != HASH_BYTES:
        return None
    row = np.zeros(1, FINGERPRINT)
    row["hash"][0] = np.frombuffer(value, np.uint8)
    row["quality"], row["profile"] = quality, Profile.UNKNOWN
    return row


def withdrawn(source_id: bytes, changed_s: int) -> ListEntry:
    """Return the entry of one that was withdrawn."""
    return ListEntry(source_id, changed_s, MediaKind.IMAGE)


def digest(text: str) -> bytes:
    """Return 16 bytes for an id that is a hash: it is not stored as such."""
    return hashlib.sha256(text.encode(errors="replace")).digest()[:16]


def moved(checkpoint: str, to_s: int, now_s: int) -> str:
    """Return the next checkpoint, a time in seconds. ListReadError where that is not later.

    Or where it is in the future, which would hide what changes until then.
    """
    if to_s < int(checkpoint or 0):
        raise ListReadError("back_in_time", "The source says that it is earlier than before.")
    if to_s > now_s + _AHEAD_S:
        raise ListReadError("malformed", "The source says that it is in the future.")
    return str(to_s)
