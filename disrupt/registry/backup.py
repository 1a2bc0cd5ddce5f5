"""Backups of the registry: made while a server runs, checked before they are restored.

A directory with a copy of the database, the secrets it is used with, and a manifest. The journal of
removals is not in it: what was withdrawn since must outlive the restore of an older backup.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from disrupt import ownership
from disrupt.core.policy import ApiKey
from disrupt.data_directory import JOURNAL, NOTED_HEAD, REGISTRY, SECRETS, DataDirectory
from disrupt.errors import DataDirectoryError, DisruptError, OlderSchemaError, StorageFullError
from disrupt.registry import journal, migrations, noted, opening, queries
from disrupt.registry.engine import copy_database, reader_engine, translated_errors
from disrupt.registry.journal import Contents, Epoch, Record
from disrupt.registry.sql import SqlRegistry

MANIFEST = "backup.json"
_FILES = (REGISTRY, SECRETS)

_log = structlog.get_logger(__name__)

_LISTS_KEYS, _LISTS_EPOCHS = 2, 3
"""Versions of the journal from which on it does."""

_MAX_MANIFEST_BYTES = 64 * 1024
_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class FileSum(BaseModel):
    """Size and SHA-256 of one file."""

    model_config = _STRICT

    size_bytes: _Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BackupManifest(BaseModel):
    """Contents of backup.json; ``epoch`` (hex) and ``sequence`` are the head of the copy."""

    model_config = _STRICT

    format_version: Literal[1] = 1
    epoch: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    sequence: _Count
    schema_revision: str
    files: dict[str, FileSum]


def back_up(data_dir: Path, target: Path) -> BackupManifest:
    """Make a backup in a new directory, durable and complete on return; modes 0700 and 0600.

    The copy is the registry at one moment; registering goes on meanwhile. DataDirectoryError if
    ``target`` exists, lies in the data directory, which erasures keep free of what was withdrawn,
    or cannot be made; also if the data directory is incomplete, another user's, has the secrets of
    another registry, or is restored meanwhile. StorageFullError when the disk is full. What is
    unfinished has another name, and is removed unless the process is killed.
    """
    aside = target.parent / f"{target.name}.unfinished"
    for path in (target, aside):
        if os.path.lexists(path):
            raise DataDirectoryError(
                f"{path} exists already. Choose another name for the backup, or remove it."
            )
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(data_dir)):
        raise DataDirectoryError(
            f"{target} lies in the data directory, where `disrupt erase` would not find what is"
            " withdrawn. Nothing was written. Choose a place outside it, best on another disk."
        )
    ownership.check(data_dir)
    # Opening refuses what is no registry. One of an older version is restored as any other.
    directory = DataDirectory(data_dir)
    with suppress(OlderSchemaError), opening.reading(directory) as registry:
        opening.check_secrets(directory, registry)
    try:
        aside.mkdir(mode=0o700)
    except OSError as error:
        raise DataDirectoryError(f"The backup cannot be written: {error}") from error
    try:
        manifest = _write(data_dir, aside)
        aside.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise DataDirectoryError(f"The backup cannot be written: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def check(directory: Path) -> BackupManifest:
    """Check every byte of a backup's files against its manifest, and return the manifest.

    DataDirectoryError names what is missing, altered, or of a newer version.
    """
    if not directory.is_dir():
        raise DataDirectoryError(f"There is no directory {directory}. Is its name right?")
    path = directory / MANIFEST
    try:
        with path.open("rb") as file:
            manifest = BackupManifest.model_validate_json(file.read(_MAX_MANIFEST_BYTES))
    except OSError as error:
        raise _refused(path, "missing or unreadable") from error
    except ValidationError as error:
        raise _refused(path, "no manifest of a backup, or of a newer version") from error
    if set(manifest.files) != set(_FILES):
        raise _refused(path, f"it lists other files than {', '.join(_FILES)}")
    for name, expected in manifest.files.items():
        try:
            actual = _sum(directory / name)
        except OSError as error:
            raise _refused(directory / name, "missing or unreadable") from error
        if actual != expected:
            raise _refused(directory / name, "altered or truncated: its checksum does not fit")
    if _described(directory / REGISTRY) != (
        manifest.epoch,
        manifest.sequence,
        manifest.schema_revision,
    ):
        raise _refused(path, "it does not describe its registry.db")
    return manifest


@dataclass(frozen=True, slots=True)
class Known:
    """What a data directory lists as withdrawn and revoked since a backup.

    ``doubt`` is a clause that says why something may be missing from ``records``; else empty, and
    ``epochs`` are those whose removals are all known.
    """

    records: tuple[Record, ...]
    doubt: str
    epochs: tuple[Epoch, ...] = ()


def unpack(directory: Path, into: Path) -> None:
    """Copy a checked backup into an existing empty directory, and migrate its schema.

    Its journal of removals then lists what the backup itself knows.
    """
    try:
        for name in _FILES:
            _copy(directory / name, into / name)
    except OSError as error:
        raise StorageFullError(f"The backup cannot be copied: {error}") from error
    with SqlRegistry.open_writer(into / REGISTRY):
        pass


def known(data_dir: Path, unpacked: Path) -> Known:
    """Collect what the journal and registry of a data directory list, as far as readable.

    The registry is complete if it has in its history the backup's newest change and the one noted
    beside it. Where none is noted it needs a newer one than the backup: it may be the backup's own
    file. Else the journal is, unless it lacks something that the backup has: then it is older than
    the backup, or of another registry; or unless a registry older than the backup lies there, from
    which the journal may have been written anew. It may still be a copy that is older than the
    newest withdrawal, which cannot be detected.
    """
    with SqlRegistry.open_reader(unpacked / REGISTRY) as backup:
        head = backup.head()
        in_backup: set[Record] = {*backup.journaled(), Epoch(head.epoch)}
    records: dict[Record, None] = {}
    epochs = {Epoch(head.epoch)}
    doubt = f"there is neither {JOURNAL} nor a registry that is complete and newer than the backup"
    try:
        contents = journal.read(data_dir / JOURNAL)
    except DisruptError as error:
        _log.warning("removals_journal_unreadable", reason=error.message)
        doubt = f"{JOURNAL} cannot be read"
    else:
        if contents is not None:
            records |= dict.fromkeys((*contents.removed, *contents.revoked))
            doubt = _doubt(contents, in_backup)
            if not doubt:
                epochs.update(contents.epochs)
    try:
        with SqlRegistry.open_reader(data_dir / REGISTRY) as registry:
            records |= dict.fromkeys(registry.journaled())
            newest = noted.read(data_dir / NOTED_HEAD)
            is_newest = registry.knows(newest) if newest else registry.head() != head
            if registry.knows(head):
                doubt = "" if is_newest else doubt
            elif registry.head().epoch == head.epoch:
                doubt = doubt or f"{REGISTRY} is older than the backup, and so may be {JOURNAL}"
    except DisruptError as error:
        _log.warning("old_registry_unreadable", reason=error.message)
    return Known(tuple(records), doubt, () if doubt else tuple(epochs))


def _doubt(contents: Contents, in_backup: set[Record]) -> str:
    """Return why a journal may not list everything since a backup; empty if it seems complete."""
    if contents.damaged_records:
        return f"{contents.damaged_records} records of {JOURNAL} are damaged"
    if contents.torn:  # by a crash, in what was not acknowledged; or by damage to what was
        return f"the end of {JOURNAL} is incomplete or damaged"
    if contents.version < _LISTS_KEYS:
        return f"{JOURNAL} is of an earlier version, which listed no revoked keys"
    missing = in_backup - set(contents.records)
    if contents.version < _LISTS_EPOCHS and missing != in_backup:
        # What both list shows that they are of one registry.
        missing = {record for record in missing if not isinstance(record, Epoch)}
    if missing:
        return f"{JOURNAL} is older than the backup, or that of another server"
    return ""


def bring_up_to_date(unpacked: Path, records: Iterable[Record]) -> tuple[ApiKey, ...]:
    """Erase and revoke in an unpacked backup what ``records`` and the backup itself list.

    Its journal then lists all of it, and of epochs those of ``records`` and the new one, which
    begins: every cursor given out before is refused. Returns the keys that are valid.
    """
    with SqlRegistry.open_reader(unpacked / REGISTRY) as registry:
        together = dict.fromkeys([*records, *registry.journaled()])
    journal.write(unpacked / JOURNAL, together)
    with SqlRegistry.open_writer(unpacked / REGISTRY) as writer:
        writer.begin_epoch()
        writer.checkpoint()
        keys, epoch = writer.keys(), Epoch(writer.head().epoch)
    journal.write(unpacked / JOURNAL, [*together, epoch])
    _sync(unpacked / REGISTRY)
    _sync(unpacked)
    return tuple(key for key in keys if not key.revoked_on)


def _write(data_dir: Path, aside: Path) -> BackupManifest:
    (aside / REGISTRY).touch(mode=0o600)
    with translated_errors():
        copy_database(data_dir / REGISTRY, aside / REGISTRY)
    _sync(aside / REGISTRY)
    _copy(data_dir / SECRETS, aside / SECRETS)
    _check_pair(DataDirectory(aside))
    epoch, sequence, revision = _described(aside / REGISTRY)
    manifest = BackupManifest(
        epoch=epoch,
        sequence=sequence,
        schema_revision=revision,
        files={name: _sum(aside / name) for name in _FILES},
    )
    text = json.dumps(manifest.model_dump(mode="json"), indent=2)
    (aside / MANIFEST).touch(mode=0o600)
    (aside / MANIFEST).write_text(f"{text}\n", encoding="ascii")
    _sync(aside / MANIFEST)
    _sync(aside)
    return manifest


def _check_pair(copy: DataDirectory) -> None:
    """Raise DataDirectoryError where copied files are of two registries: a restore came between."""
    with suppress(OlderSchemaError), opening.reading(copy) as registry:
        if not registry.takes_pepper(copy.secrets().pepper_check):
            raise DataDirectoryError(
                "The data directory was restored while the backup was made, which would have files"
                " of two servers. Nothing was written. Try again."
            )


def _described(path: Path) -> tuple[str, int, str]:
    """Return epoch (hex), newest sequence and schema revision of a copy."""
    engine = reader_engine(path)
    try:
        with translated_errors(), engine.begin() as connection:
            epoch, sequence = queries.position(connection)
            return epoch.hex(), sequence, migrations.revision(connection)
    finally:
        engine.dispose()


def _copy(source: Path, target: Path) -> None:
    target.touch(mode=0o600)
    shutil.copyfile(source, target)
    _sync(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sum(path: Path) -> FileSum:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileSum(size_bytes=os.fstat(file.fileno()).st_size, sha256=digest)


def _refused(path: Path, reason: str) -> DataDirectoryError:
    return DataDirectoryError(
        f"Backup file {path} refused: {reason}. Use another copy of this backup, or another backup."
    )
