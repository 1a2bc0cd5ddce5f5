"""Which file the log beside the registry (``-wal``) belongs to.

SQLite writes a log into whichever file lies beside it, also into a copy put in that place: that
spoils the copy, and what only the log held is lost. So each opening for writing gives the file a
random number, SQLite's application id, and notes it beside the file. A backup, or a copy from
before that opening, has another number; a whole directory may be copied or moved.
"""

import secrets
from pathlib import Path

from disrupt.data_directory import IDENTITY, write_private
from disrupt.errors import DataDirectoryError

_OFFSET_BYTES, _SIZE_BYTES = 68, 4
"""Where an SQLite file has its application id, big-endian."""


def draw() -> int:
    """Return a new number for a file."""
    return secrets.randbelow(2**31 - 1) + 1


def check(path: Path) -> None:
    """Raise DataDirectoryError where the log beside the file belongs to another one."""
    log = path.with_name(f"{path.name}-wal")
    for _ in range(2):  # a writer may be changing both
        noted = read(path)
        if not noted or not log.exists() or not log.stat().st_size or number(path) in noted:
            return
    raise DataDirectoryError(
        f"{log.name} holds what was stored last, and belongs to another file than this"
        f" {path.name}. Nothing was changed. Put back the {path.name} that was there, and start"
        f" again; or restore a backup with `disrupt restore`. To go on with this {path.name},"
        f" without what only {log.name} holds, delete {log.name}."
    )


def read(path: Path) -> tuple[int, ...]:
    """Return the numbers that the file may have; none where none was noted, or legibly so."""
    try:
        return tuple(map(int, path.with_name(IDENTITY).read_text(encoding="ascii").split()))
    except (OSError, ValueError):
        return ()


def note(path: Path, *numbers: int) -> None:
    """Note the numbers that the file may have, durably. OSError if that cannot be done."""
    write_private(path.with_name(IDENTITY), "".join(f"{each}\n" for each in numbers))


def number(path: Path) -> int:
    """Return the number that the file has now, whatever its log says."""
    with path.open("rb") as file:
        file.seek(_OFFSET_BYTES)
        return int.from_bytes(file.read(_SIZE_BYTES))
