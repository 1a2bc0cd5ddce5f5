"""Searches files for a hash in every form in which it could lie there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_BLOCK_BYTES = 1 << 24


def forms(value: bytes) -> dict[str, tuple[bytes, ...]]:
    """What to search for, by form: pieces, any of which is a trace.

    Halves, since a value may go over the end of a database page: then one of them is whole. Of
    base64 the characters that no neighbouring byte has a part in, for each of the three ways a
    value can lie to the groups of three bytes.
    """
    bits = np.unpackbits(np.frombuffer(value, np.uint8))
    raw = {
        "raw": value,
        "bytes reversed": value[::-1],
        "bits of each byte reversed": np.packbits(bits.reshape(-1, 8)[:, ::-1]).tobytes(),
        "all bits reversed": np.packbits(bits[::-1]).tobytes(),
        "hex": value.hex().encode(),
        "HEX": value.hex().upper().encode(),
    }
    found: dict[str, tuple[bytes, ...]] = {name: _halves(text) for name, text in raw.items()}
    for shift in range(3):
        first, second = _halves(value)
        pieces = [_base64(first, shift), _base64(second, (shift + len(first)) % 3)]
        urlsafe = [piece.replace(b"+", b"-").replace(b"/", b"_") for piece in pieces]
        found[f"base64, shifted by {shift}"] = tuple(dict.fromkeys([*pieces, *urlsafe]))
    return found


def traces(directory: Path, value: bytes) -> dict[str, list[str]]:
    """Files with a trace of a value, by path within the directory, and in which forms."""
    wanted = forms(value)
    longest_bytes = max(len(piece) for pieces in wanted.values() for piece in pieces)
    found: dict[str, list[str]] = {}
    for path in sorted(directory.rglob("*")):
        if not path.is_file():
            continue
        names: set[str] = set()
        for block in _blocks(path, longest_bytes):
            names |= {
                name for name, pieces in wanted.items() if any(piece in block for piece in pieces)
            }
        if names:
            found[str(path.relative_to(directory))] = sorted(names)
    return found


def _halves(value: bytes) -> tuple[bytes, bytes]:
    middle = len(value) // 2
    return value[:middle], value[middle:]


def _base64(value: bytes, shift: int) -> bytes:
    text = base64.b64encode(bytes(shift) + value)
    first = -(-shift * 8 // 6)
    return text[first : (shift + len(value)) * 8 // 6]


def _blocks(path: Path, overlap_bytes: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            tail = b""
            while block := file.read(_BLOCK_BYTES):
                yield tail + block
                tail = block[-overlap_bytes:]
    except FileNotFoundError:  # the server removed it meanwhile
        return
