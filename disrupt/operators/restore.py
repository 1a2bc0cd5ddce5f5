"""Restore a backup; what was withdrawn since stays withdrawn."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from disrupt.core.policy import ApiKey
from disrupt.data_directory import JOURNAL, REGISTRY, SECRETS, DataDirectory, sync
from disrupt.errors import DataDirectoryError
from disrupt.index import generations
from disrupt.registry import backup, decided, opening
from disrupt.registry.backup import BackupManifest
from disrupt.upkeep.rebuild import rebuild


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored state: ``cursor`` is the registry's head, ``items`` and ``hashes`` the index's.

    ``removals_known`` tells whether all that was withdrawn and revoked since the backup was known,
    and so is done again. If not, ``unsure_keys`` are ids of valid keys that may have been revoked.
    ``renewals_undone`` items were renewed since, and match as they were before that;
    ``renewed_missing`` were renewed since, and no version of them is in the backup.
    ``erasures_stopped`` and ``counted_until`` are those of UpToDate. ``made_s`` is when the backup
    was begun, in seconds since 1970. ``decisions_doubt`` says why it is not known what staff and
    operators decided since the backup, else it is empty; ``decisions_lost`` are those that could
    not be done again.
    """

    made_s: int
    cursor: str
    items: int
    hashes: int
    removals_known: bool
    unsure_keys: tuple[str, ...]
    renewals_undone: int
    renewed_missing: int
    erasures_stopped: tuple[str, ...]
    counted_until: str
    decisions_doubt: str
    decisions_lost: tuple[str, ...]


def restore(
    source: Path, data_dir: Path, *, accept_unknown_removals: bool, url: str | None = None
) -> Restored:
    """Replace a data directory's content by a backup, without what was withdrawn or revoked since.

    The registry gets a new epoch and a new index. Earlier generations, of the epoch before, are
    deleted. Killed at any point, it leaves the old state or the restored one, and can be repeated.

    The backup of a registry in PostgreSQL goes into the empty database of ``url``, or else of the
    data directory's ``registry.url``. No server may use it meanwhile. Killed, this may leave it
    filled: it has to be made anew then.

    Raises DataDirectoryError while a server or an indexer runs there, or if the backup is damaged;
    also if what was withdrawn or revoked since is not known, unless ``accept_unknown_removals``.
    What is refused leaves nothing behind.
    """
    directory = DataDirectory(data_dir)
    lock, index_lock = directory.path / "lock", directory.index / "lock"
    made = [path for path in (index_lock, directory.index, lock, data_dir) if not path.exists()]
    directory.make()
    with directory.locked(), generations.locked(directory.index):
        try:
            manifest = backup.check(source)
            url = _database(manifest, directory, url)
            restored = _make_ready(
                source,
                directory,
                manifest.made_s,
                url,
                accept_unknown_removals=accept_unknown_removals,
            )
        except BaseException:
            for path in made:  # what was there, and whatever came meanwhile, stays
                with suppress(OSError):
                    path.rmdir() if path.is_dir() else path.unlink()
            raise
        directory.restoring.rename(directory.restored)
        sync(data_dir)
        directory.complete_restore()
        if restored.decisions_doubt and directory.audit.exists():  # it is no copy of this log
            kept = f"{directory.audit.name}-{int(time.time())}"
            directory.audit.rename(directory.audit.with_name(kept))
        directory.followed.unlink(missing_ok=True)  # this registry is right, whatever was before
    return restored


def _database(manifest: BackupManifest, directory: DataDirectory, url: str | None) -> str | None:
    """Return the URL of the database to restore to; None where the backup has a file of SQLite."""
    url = url or directory.registry_url
    if (url is not None) == (backup.DUMP in manifest.files):
        return url
    raise DataDirectoryError(
        "The backup is of a registry in PostgreSQL. Nothing was changed. Give the URL of an empty"
        " database with --to."
        if url is None
        else f"The backup has a registry in SQLite, and that of {directory.path} is in a database."
        f" Nothing was changed. Restore into another data directory, with a copy of {JOURNAL} in"
        " it, and from there run `disrupt registry copy`."
    )


def _make_ready(
    source: Path,
    directory: DataDirectory,
    made_s: int,
    url: str | None,
    *,
    accept_unknown_removals: bool,
) -> Restored:
    """Build all that will replace the content, durably, in a directory aside."""
    aside = directory.restoring
    aside.mkdir(mode=0o700)
    try:
        backup.unpack(source, aside, url)
        since = backup.known(directory.path, aside)
        doubt = since.doubt
        if not _is_the_same(source, directory.path):
            doubt = "the data directory is that of another server: move all of it away first"
        epochs = () if doubt else since.epochs
        with opening.reading(DataDirectory(aside)) as unpacked:
            decisions = decided.since(unpacked, directory.path)
        done = backup.bring_up_to_date(aside, (*since.removals, *epochs), decisions)
        if doubt and not accept_unknown_removals:
            _refuse(doubt, done.valid_keys)
        with opening.reading(DataDirectory(aside)) as reader:
            rebuilt = rebuild(reader, aside / directory.index.name)
            cursor = reader.head().to_text()
        for suffix in ("-wal", "-shm"):  # empty files, which a reader leaves
            (aside / f"{REGISTRY}{suffix}").unlink(missing_ok=True)
        sync(aside)
    except BaseException:
        backup.discard(aside)
        raise
    return Restored(
        made_s,
        cursor,
        rebuilt.items,
        rebuilt.hashes,
        removals_known=not doubt,
        unsure_keys=tuple(key.key_id for key in done.valid_keys) if doubt else (),
        renewals_undone=done.renewals_undone,
        renewed_missing=done.renewed_missing,
        erasures_stopped=done.erasures_stopped,
        counted_until=done.counted_until,
        decisions_doubt=decisions.doubt,
        decisions_lost=done.decisions_lost,
    )


def _refuse(doubt: str, valid: tuple[ApiKey, ...]) -> NoReturn:
    names = ", ".join(f"{key.key_id} ({key.name})" for key in valid) or "none"
    raise DataDirectoryError(
        f"What was withdrawn and which keys were revoked since this backup is not known: {doubt}."
        f" Nothing was changed. Put the newest {JOURNAL} of the server that made the backup"
        " into the data directory and try again; or accept with --accept-unknown-removals that"
        f" what was withdrawn since matches again, and that these keys are valid: {names}."
    )


def _is_the_same(source: Path, data_dir: Path) -> bool:
    """Tell whether the data directory has the secrets of the backup, or none yet."""
    secrets = data_dir / SECRETS
    return not secrets.exists() or secrets.read_bytes() == (source / SECRETS).read_bytes()
