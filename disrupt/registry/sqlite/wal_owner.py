"""Record the database file that the log beside it (``-wal``) belongs to.

SQLite writes a log into whichever file lies beside it, also into a copy put in that place: that
spoils the copy, and what only the log held is lost. So a writer gives the file a random number,
SQLite's application id, when it opens it and soon after each log was begun anew, and notes it
beside the file. A copy from before, and a backup, has another number; a whole directory may be
copied or moved.
"""

import secrets
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine

from disrupt.data_directory import WAL_OWNER, write_private
from disrupt.errors import DataDirectoryError, StorageFullError, UnavailableError
from disrupt.registry.sqlite.engine import translated_errors

_OFFSET_BYTES, _SIZE_BYTES = 68, 4
"""Place of the application id in an SQLite file; it is big-endian."""
_LOG_HEADER_BYTES = 32
"""Size of the header of a log, with random numbers that are drawn whenever it is begun anew."""


def draw() -> int:
    """Return a new number for a file."""
    return secrets.randbelow(2**31 - 1) + 1


def check(path: Path) -> None:
    """Raise DataDirectoryError where the log beside the file belongs to another one.

    To be called before this process opens the file, see ``WalOwner``.
    """
    for _ in range(2):  # a writer may be changing both
        noted = _noted(path)
        if not noted or not _log_header(path) or _number(path) in noted:
            return
    raise DataDirectoryError(
        f"{path.name}-wal holds what was stored last, and belongs to another file than this"
        f" {path.name}. Nothing was changed. Put back the {path.name} that was there, and start"
        f" again; or restore a backup with `disrupt restore`. To go on with this {path.name},"
        f" without what only {path.name}-wal holds, delete {path.name}-wal."
    )


class WalOwner:
    """Keep it known which file owns the log, while that file is open for writing.

    SQLite begins a log anew once the file has all of it; the number that the file has then is the
    last one of the log before. The caller serialises the calls.
    """

    def __init__(self, path: Path) -> None:
        """Read the numbers that the file may have once its log is in it, after ``check``.

        To be called before SQLite has the file open in this process: closing it afterwards would
        drop SQLite's locks.
        """
        self._path = path
        noted = _noted(path) if _log_header(path) else ()
        self._numbers = (*noted, _number(path))
        self._log: bytes | None = None

    def renumber(self, engine: Engine) -> None:
        """Give the file another number, unless the log is still that of the last call.

        It may fail, and does not raise: then an older copy is not told from the file.
        """
        if _log_header(self._path) == self._log:
            return
        number = draw()
        self._numbers = (*self._numbers, number)
        with suppress(OSError, StorageFullError, UnavailableError), translated_errors():
            numbers = "".join(f"{number}\n" for number in self._numbers)
            write_private(self._path.with_name(WAL_OWNER), numbers)
            with engine.begin() as connection:
                connection.exec_driver_sql(f"PRAGMA application_id = {number}")
            self._numbers = (number,)
        self._log = _log_header(self._path)


def _log_header(path: Path) -> bytes:
    """Return what distinguishes the log beside the file from an earlier one; empty without one."""
    try:
        with path.with_name(f"{path.name}-wal").open("rb") as file:
            return file.read(_LOG_HEADER_BYTES)
    except FileNotFoundError:
        return b""


def _noted(path: Path) -> tuple[int, ...]:
    try:
        return tuple(map(int, path.with_name(WAL_OWNER).read_text(encoding="ascii").split()))
    except (OSError, ValueError):
        return ()


def _number(path: Path) -> int:
    with path.open("rb") as file:
        file.seek(_OFFSET_BYTES)
        return int.from_bytes(file.read(_SIZE_BYTES))
