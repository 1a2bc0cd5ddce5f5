"""Move the registry of a data directory from its SQLite file to a PostgreSQL database."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.data_directory import REGISTRY, REGISTRY_URL, DataDirectory, sync
from disrupt.errors import DataDirectoryError
from disrupt.registry import opening, sqlite

MOVED = f"{REGISTRY}.moved"
"""Name of the SQLite file once the registry was moved. It still has all fingerprints."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Counts of copied rows, and of items among them, and the cursor of the head."""

    rows: int
    items: int
    cursor: str


def move(directory: DataDirectory, url: str) -> Moved:
    """Copy the registry to the database of a URL, and let that have it from now on.

    The caller holds the lock of the directory: no server runs. The switch is the last step, one
    file; before, the database has all of the registry, compared row by row, or nothing. Cursors,
    ids and the index stay as they are. Killed at any point, it may be repeated. Raises
    DataDirectoryError where there is no SQLite file to move, or the database has another registry.
    """
    noted = directory.registry_url
    if noted is not None and (noted != url or not directory.registry.exists()):
        raise DataDirectoryError(
            f"The registry of {directory.path} is in a PostgreSQL database already, as its"
            f" {REGISTRY_URL} says. Nothing was changed."
        )
    if not directory.registry.exists():
        raise DataDirectoryError(f"There is no {REGISTRY} in {directory.path} to move.")
    if noted is None:
        # Makes registry and journal agree, and leaves no log beside the file.
        with opening.writing(directory):
            pass
    postgresql = opening.postgresql()
    with sqlite.open_reader(directory.registry) as source:
        contents = postgresql.receive(url, source.database)
        head = source.head()
    directory.note_registry_url(url)
    for suffix in ("-wal", "-shm"):
        directory.registry.with_name(f"{REGISTRY}{suffix}").unlink(missing_ok=True)
    directory.registry.rename(directory.registry.with_name(MOVED))
    sync(directory.path)
    rows = sum(count for count, _ in contents.values())
    return Moved(rows, contents["items"][0], head.to_text())
