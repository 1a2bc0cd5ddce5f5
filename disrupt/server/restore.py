"""Restoring a backup: what was withdrawn since stays withdrawn."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from disrupt.errors import DataDirectoryError
from disrupt.feed.rebuild import rebuild
from disrupt.index import generations
from disrupt.registry import backup, journal
from disrupt.registry.sql import SqlRegistry
from disrupt.server.directory import DataDirectory, sync_directory


@dataclass(frozen=True, slots=True)
class Restored:
    """What is served from now on: ``cursor`` is its head, ``items`` and ``hashes`` its index.

    ``removals_known``: whether every withdrawal since the backup was known, and so is done again.
    """

    cursor: str
    items: int
    hashes: int
    removals_known: bool


def restore(source: Path, data_dir: Path, *, day: str, accept_unknown_removals: bool) -> Restored:
    """Replaces what is in a data directory by a backup, without what was withdrawn since.

    The registry gets a new epoch and a new index, earlier generations go: they are of the epoch
    before. Killed at any point it leaves the old state or the restored one, and can be repeated.
    DataDirectoryError while a server or an indexer runs there, or if the backup is damaged; also
    if the withdrawals since the backup are not known, unless ``accept_unknown_removals``.
    """
    directory = DataDirectory(data_dir)
    directory.make()
    with directory.locked(), generations.locked(directory.index):
        backup.check(source)
        since = backup.known(data_dir)
        known = since.complete and _is_the_same(source, data_dir)
        if not (known or accept_unknown_removals):
            raise DataDirectoryError(
                "What was withdrawn since this backup is not known: the data directory has neither"
                " the journal of removals nor a registry of the server that made the backup. Put"
                f" its {journal.NAME} there and try again; or accept with"
                " --accept-unknown-removals that what was withdrawn since matches again."
            )
        restored = _make_ready(source, directory, since, day)
        directory.restoring.rename(directory.restored)
        sync_directory(data_dir)
        directory.complete_restore()
    return Restored(*restored, removals_known=known)


def _make_ready(
    source: Path, directory: DataDirectory, since: backup.Known, day: str
) -> tuple[str, int, int]:
    """All that is to replace what is there, durable, in a directory aside."""
    aside = directory.restoring
    aside.mkdir(mode=0o700)
    try:
        backup.unpack(source, aside, since, day=day)
        with SqlRegistry.open_reader(aside / backup.REGISTRY) as reader:
            rebuilt = rebuild(reader, aside / directory.index.name)
            cursor = reader.head().to_text()
        for suffix in ("-wal", "-shm"):  # empty ones, which a reader leaves
            (aside / f"{backup.REGISTRY}{suffix}").unlink(missing_ok=True)
        sync_directory(aside)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return cursor, rebuilt.items, rebuilt.hashes


def _is_the_same(source: Path, data_dir: Path) -> bool:
    """Whether the data directory is that of the server that made the backup, or has no own yet."""
    secrets = data_dir / backup.SECRETS
    return not secrets.exists() or secrets.read_bytes() == (source / backup.SECRETS).read_bytes()
