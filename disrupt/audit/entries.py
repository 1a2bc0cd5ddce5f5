"""Entries of the audit log, and the leaves that commit to them.

A leaf is the SHA-256 of a random salt and the entry. Without salt and entry it tells nothing, and
the proofs that it is part of stay valid.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from disrupt.errors import DataDirectoryError

SALT_BYTES = 16
LEAF_BYTES = 32

ACT, REGISTRATION, WITHDRAWAL, ERASURE, DISPUTE, MIRROR, CLEARED, RESTORED = (
    *("act", "registration", "withdrawal", "erasure"),
    *("dispute", "mirror", "cleared", "restored"),
)
"""Kinds of entries. A cleared one says up to which leaf every file of every machine is free of what
was withdrawn."""

Entry = Mapping[str, Any]


_ID = re.compile(r"(0|[1-9][0-9]{0,17})-([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class LeafId:
    """Number and digest (32 bytes) by which a person names the leaf of a withdrawal."""

    number: int
    digest: bytes

    def __str__(self) -> str:
        """Return it as ``NUMBER-DIGEST``, the digest in hexadecimal."""
        return f"{self.number}-{self.digest.hex()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what ``str`` wrote, in any case and amid space. ValueError for anything else."""
        match = _ID.fullmatch("".join(text.split()).lower())
        if match is None:
            raise ValueError("A receipt is of the form NUMBER-DIGEST.")
        return cls(int(match[1]), bytes.fromhex(match[2]))


@dataclass(frozen=True, slots=True)
class Leaf:
    """Leaf of a number, from 0. ``salt`` and ``entry``, JSON, are both None once erased."""

    number: int
    leaf: bytes
    salt: bytes | None
    entry: str | None

    @classmethod
    def of(cls, number: int, entry: Entry) -> Self:
        """Make the leaf of an entry, with a salt of its own."""
        salt, text = secrets.token_bytes(SALT_BYTES), canonical(entry)
        return cls(number, committed(salt, text), salt, text)

    @property
    def fits(self) -> bool:
        """Tell whether the leaf is that of its entry, or its entry was erased."""
        if self.salt is None or self.entry is None:
            return self.salt is None and self.entry is None
        return self.leaf == committed(self.salt, self.entry)

    @property
    def content(self) -> dict[str, Any]:
        """What the entry says; nothing where it was erased, or is none."""
        try:
            content = json.loads(self.entry or "{}")
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def line(self) -> str:
        """Return the line of it in a file."""
        salt = self.salt and self.salt.hex()
        return f"{json.dumps([self.number, self.leaf.hex(), salt, self.entry])}\n"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the leaf of a line that ``line`` wrote. ValueError for any other."""
        match json.loads(line):
            case [int(number), str(leaf), (str() | None) as salt, (str() | None) as entry]:
                drawn = None if salt is None else bytes.fromhex(salt)
                made = cls(number, bytes.fromhex(leaf), drawn, entry)
            case _:
                raise ValueError("It is not a list of number, leaf, salt and entry.")
        if len(made.leaf) != LEAF_BYTES or made.number < 0:
            raise ValueError(f"A leaf has {LEAF_BYTES} bytes, and a number from 0 on.")
        if made.line() != line:
            raise ValueError("A line is not as it was written.")
        return made


REMOVALS = frozenset({WITHDRAWAL, ERASURE})
"""Kinds of entries after which bytes have to go from files."""


def decided(state: str) -> str:
    """Return the name under which an entry has the ids of items that an act gave a state."""
    return f"items_{state.lower()}"


def canonical(entry: Entry) -> str:
    """Return the one text of an entry: JSON in ASCII, keys in order, no spaces."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"))


def committed(salt: bytes, text: str) -> bytes:
    """Return the leaf of an entry's text."""
    return sha256(salt + text.encode()).digest()


def read(path: Path) -> Iterator[Leaf]:
    """Read a file of leaves. DataDirectoryError where it cannot be, or a line is damaged.

    A last line that was not written to its end is left out.
    """
    try:
        with path.open(encoding="ascii", newline="\n") as file:
            for line in file:
                if line.endswith("\n"):
                    yield Leaf.parse(line)
    except OSError as error:
        raise DataDirectoryError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError) as error:
        raise DataDirectoryError(f"{path} is damaged, or no audit log: {error}") from error
