"""Search files for a hash in every form in which it could lie there."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_BLOCK_BYTES = 1 << 24


def forms(value: bytes) -> dict[str, tuple[bytes, ...]]:
    """Return the pieces to search for, by form; any of them is a trace.

    They are halves, since a value may cross the end of a database page: one of them is whole then.
    For base64 they are the characters that no neighbouring byte affects, for each of the three
    alignments of a value to groups of three bytes.
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
    by_form: dict[str, tuple[bytes, ...]] = {name: _halves(text) for name, text in raw.items()}
    for shift in range(3):
        first, second = _halves(value)
        pieces = [_base64(first, shift), _base64(second, (shift + len(first)) % 3)]
        urlsafe = [piece.replace(b"+", b"-").replace(b"/", b"_") for piece in pieces]
        by_form[f"base64, shifted by {shift}"] = tuple(dict.fromkeys([*pieces, *urlsafe]))
    return by_form


def traces(directory: Path, value: bytes) -> dict[str, list[str]]:
    """Return the files with a trace of a value, by path within the directory, and the forms."""
    wanted = forms(value)
    longest_bytes = max(len(piece) for pieces in wanted.values() for piece in pieces)
    by_path: dict[str, list[str]] = {}
    for path in sorted(directory.rglob("*")):
        if not path.is_file():
            continue
        names: set[str] = set()
        for block in _blocks(path, longest_bytes):
            names |= {
                name for name, pieces in wanted.items() if any(piece in block for piece in pieces)
            }
        if names:
            by_path[str(path.relative_to(directory))] = sorted(names)
    return by_path


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
