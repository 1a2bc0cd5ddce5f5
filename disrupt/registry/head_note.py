"""The newest change that a registry is known to have had, noted outside the registry's file.

An older copy put in that file's place does not know that change, so it can be told from the file
that was there. The note is never newer than what is durable in the registry, and may be older: a
writer notes its head now and then, and when it ends.
"""

from pathlib import Path

import structlog

from disrupt.core.changes import Cursor
from disrupt.data_directory import write_private
from disrupt.errors import InvalidRequestError

_log = structlog.get_logger(__name__)


def read(path: Path) -> Cursor | None:
    """Return what was noted; None where nothing was, or it cannot be read, which is logged."""
    try:
        return Cursor.from_text(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, InvalidRequestError) as error:
        _log.error("registry_head_unreadable", reason=str(error))
        return None


def write(path: Path, head: Cursor) -> None:
    """Note a head in place of any other, at once and durably; mode 0600. OSError if it cannot."""
    write_private(path, f"{head.to_text()}\n")
