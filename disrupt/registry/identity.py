"""Which file the log beside the registry (``-wal``) belongs to.

SQLite writes a log into whichever file lies beside it, also into a copy put in that place: that
spoils the copy, and what only the log held is lost. So a writer gives the file a random number,
SQLite's application id, when it opens it and soon after each log was begun anew, and notes it
beside the file. A copy from before, and a backup, has another number; a whole directory may be
copied or moved.
"""

import secrets
from pathlib import Path

from disrupt.data_directory import IDENTITY, write_private
from disrupt.errors import DataDirectoryError

_OFFSET_BYTES, _SIZE_BYTES = 68, 4
"""Where an SQLite file has its application id, big-endian."""
_LOG_HEADER_BYTES = 32
"""At the beginning of a log: random numbers, drawn whenever it is begun anew, among others."""


def draw() -> int:
    """Return a new number for a file."""
    return secrets.randbelow(2**31 - 1) + 1


def check(path: Path) -> None:
    """Raise DataDirectoryError where the log beside the file belongs to another one.

    To be called before this process opens the file, see ``numbers``.
    """
    for _ in range(2):  # a writer may be changing both
        noted = _noted(path)
        if not noted or not log(path) or _number(path) in noted:
            return
    raise DataDirectoryError(
        f"{path.name}-wal holds what was stored last, and belongs to another file than this"
        f" {path.name}. Nothing was changed. Put back the {path.name} that was there, and start"
        f" again; or restore a backup with `disrupt restore`. To go on with this {path.name},"
        f" without what only {path.name}-wal holds, delete {path.name}-wal."
    )


def log(path: Path) -> bytes:
    """Return what distinguishes the log beside the file from an earlier one; empty without one."""
    try:
        with path.with_name(f"{path.name}-wal").open("rb") as file:
            return file.read(_LOG_HEADER_BYTES)
    except FileNotFoundError:
        return b""


def numbers(path: Path) -> tuple[int, ...]:
    """Return the numbers that a checked file may have once its log is in it.

    To be called before SQLite has the file open in this process: to close it drops SQLite's locks.
    """
    return (*(_noted(path) if log(path) else ()), _number(path))


def note(path: Path, numbers: tuple[int, ...]) -> None:
    """Note the numbers that the file may have, durably. OSError if that cannot be done."""
    write_private(path.with_name(IDENTITY), "".join(f"{number}\n" for number in numbers))


def _noted(path: Path) -> tuple[int, ...]:
    try:
        return tuple(map(int, path.with_name(IDENTITY).read_text(encoding="ascii").split()))
    except (OSError, ValueError):
        return ()


def _number(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(_OFFSET_BYTES)
        return int.from_bytes(file.read(_SIZE_BYTES))
