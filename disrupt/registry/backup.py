"""Backups of the registry: made while a server runs, checked before they are restored.

A directory with a copy of the registry's file, or a dump of its database, the secrets it is used
with, the server's configuration if there is one, and a manifest. The journal of removals is not in
it, and copied apart: what was withdrawn since must outlive the restore of an older backup.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from disrupt import ownership
from disrupt.audit.entries import Leaf
from disrupt.audit.files import ACCESS, LEAVES
from disrupt.core.acts import ActFilter, Action
from disrupt.core.policy import ApiKey
from disrupt.data_directory import AUDIT, HEAD_NOTE, JOURNAL, REGISTRY, SECRETS, DataDirectory, sync
from disrupt.errors import DataDirectoryError, DisruptError, StorageFullError
from disrupt.registry import head_note, journal, opening
from disrupt.registry.decided import Decided
from disrupt.registry.journal import Contents, Epoch
from disrupt.registry.records import Removed, Revoked
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.registry.sqlite.copying import copy_database, described
from disrupt.registry.versions import missing, spread, versions_of

MANIFEST = "backup.json"
CONFIG = "disrupt.toml"
"""Name in a backup of the server's configuration; a server without one has none."""
COPIED_AUDIT = ".audit"
"""End of the name of the directory beside a copied journal that has the audit log."""
DUMP = "registry.dump"
"""Name in a backup of the dump of a PostgreSQL database, in place of REGISTRY."""
_FILES = ({REGISTRY, SECRETS}, {DUMP, SECRETS})
"""Each set of files that a backup has, beside CONFIG."""
_PATIENCE_S, _RETRY_S = 5.0, 0.05
"""For the end of a record that the writer appends to the journal."""

_MOST_ACTS = 2**31
"""All: few erasures are ever stopped."""

_log = structlog.get_logger(__name__)

_MAX_MANIFEST_BYTES = 64 * 1024
_STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")
_Count = Annotated[int, Field(ge=0, lt=2**63)]


class FileSum(BaseModel):
    """Size and SHA-256 of one file."""

    model_config = _STRICT

    size_bytes: _Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BackupManifest(BaseModel):
    """Contents of backup.json; ``epoch`` (hex) and ``sequence`` are the head of the copy.

    ``made_s`` is when it was begun, in seconds since 1970.
    """

    model_config = _STRICT

    format_version: Literal[1] = 1
    epoch: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    sequence: _Count
    made_s: _Count
    schema_revision: str
    files: dict[str, FileSum]


def back_up(data_dir: Path, target: Path, config: Path | None = None) -> BackupManifest:
    """Make a backup in a new directory, durable and complete on return; modes 0700 and 0600.

    ``config`` is the server's configuration, which goes with it as CONFIG. The copy is the registry
    at one moment; registering goes on meanwhile. DataDirectoryError if ``target`` exists, lies in
    the data directory, which erasures keep free of what was withdrawn, or cannot be made; also if
    the data directory is incomplete, another user's, has the secrets of another registry, or is
    restored meanwhile, and where pg_dump of a registry in PostgreSQL fails. StorageFullError when
    the disk is full. What is unfinished has another name, and is removed unless the process is
    killed.
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
    directory = DataDirectory(data_dir)
    with opening.reading(directory) as registry:
        opening.check_secrets(directory, registry)
    try:
        aside.mkdir(mode=0o700)
    except OSError as error:
        raise DataDirectoryError(f"The backup cannot be written: {error}") from error
    try:
        manifest = _write(data_dir, aside, config)
        aside.rename(target)
        sync(target.parent)
    except OSError as error:
        raise DataDirectoryError(f"The backup cannot be written: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def copy_journal(data_dir: Path, target: Path) -> None:
    """Put a whole copy of the journal of removals in place of ``target``, durably; mode 0600.

    DataDirectoryError where that lies in the data directory or in a backup, where the journal is
    missing or damaged, or lacks something that the present copy has: that copy is kept then.

    What a restore needs of the audit log goes into the directory ``target`` + COPIED_AUDIT.
    """
    ownership.check(data_dir)
    inside = Path(os.path.realpath(target)).is_relative_to(os.path.realpath(data_dir))
    if inside or (target.parent / MANIFEST).exists():
        raise DataDirectoryError(
            f"{target} lies in the data directory or in a backup. Keep the copy apart from both:"
            " it has to outlive the one, and to be newer than the other."
        )
    source, give_up_s = data_dir / JOURNAL, time.monotonic() + _PATIENCE_S
    aside = target.with_name(f"{target.name}.new")
    try:
        while True:
            _copy(source, aside)
            copied = journal.read(aside)
            if copied and not copied.torn and not copied.damaged_records:
                break
            if time.monotonic() > give_up_s:
                raise DataDirectoryError(
                    f"{source} is damaged; the copy is as it was. Start the server, which mends the"
                    " journal from the registry."
                )
            time.sleep(_RETRY_S)
        before = journal.read(target)
        if before and (lacking := len(missing(copied, before.records))):
            raise DataDirectoryError(
                f"{target} lists {lacking} removals that {source} does not, and was kept: an older"
                " journal lies there, or that of another server. Put the copy there with the server"
                " stopped, or give another name."
            )
        aside.rename(target)
        _copy_audit(data_dir / AUDIT, target.with_name(f"{target.name}{COPIED_AUDIT}"))
        sync(target.parent)
    except OSError as error:
        raise DataDirectoryError(f"{JOURNAL} cannot be copied: {error}") from error
    finally:
        aside.unlink(missing_ok=True)


def _copy_audit(source: Path, target: Path) -> None:
    """Copy what a restore needs of the audit log; a last line may be torn, as after a crash."""
    if not (source / LEAVES).exists():
        return
    target.mkdir(mode=0o700, exist_ok=True)
    for name in (LEAVES, ACCESS):
        aside = target / f"{name}.new"
        _copy(source / name, aside)
        aside.rename(target / name)
    sync(target)


def read_manifest(directory: Path) -> BackupManifest:
    """Return the manifest of a backup, whose files are not read. Raises DataDirectoryError."""
    path = directory / MANIFEST
    try:
        with path.open("rb") as file:
            manifest = BackupManifest.model_validate_json(file.read(_MAX_MANIFEST_BYTES))
    except OSError as error:
        raise _refused(path, "missing or unreadable") from error
    except ValidationError as error:
        raise _refused(path, "no manifest of a backup, or of a newer version") from error
    if manifest.files.keys() - {CONFIG} not in _FILES:
        raise _refused(
            path, f"it lists other files than {REGISTRY} or {DUMP}, {SECRETS} and {CONFIG}"
        )
    return manifest


def newest(backups: Path) -> Path | None:
    """Return the backup in a directory that was made last; None where there is none."""
    made = [path.parent for path in backups.glob(f"*/{MANIFEST}")]
    return max(made, key=lambda path: read_manifest(path).made_s, default=None)


def check(directory: Path) -> BackupManifest:
    """Check every byte of a backup's files against its manifest, and return the manifest.

    DataDirectoryError names what is missing, altered, or of a newer version.
    """
    manifest, path = read_manifest(directory), directory / MANIFEST
    for name, expected in manifest.files.items():
        try:
            actual = _sum(directory / name)
        except OSError as error:
            raise _refused(directory / name, "missing or unreadable") from error
        if actual != expected:
            raise _refused(directory / name, "altered or truncated: its checksum does not fit")
    if REGISTRY in manifest.files and described(directory / REGISTRY) != (
        manifest.epoch,
        manifest.sequence,
        manifest.schema_revision,
    ):
        raise _refused(path, "it does not describe its registry.db")
    return manifest


Removal = Removed | Revoked


@dataclass(frozen=True, slots=True)
class Known:
    """The removals and revocations since a backup that a data directory lists.

    ``doubt`` is a clause that says why something may be missing from ``removals``; else empty, and
    ``epochs`` are those whose removals are all known.
    """

    removals: tuple[Removal, ...]
    doubt: str
    epochs: tuple[Epoch, ...] = ()


def unpack(directory: Path, into: Path, url: str | None = None) -> None:
    """Copy a checked backup into an existing empty directory, and migrate its schema.

    A dump is loaded into the empty database of ``url``, which ``into`` then names. The journal of
    removals there lists what the backup itself knows.
    """
    try:
        _copy(directory / SECRETS, into / SECRETS)
        if url is None:
            _copy(directory / REGISTRY, into / REGISTRY)
        else:
            opening.postgresql().load(url, directory / DUMP)
            DataDirectory(into).note_registry_url(url)
    except OSError as error:
        raise StorageFullError(f"The backup cannot be copied: {error}") from error
    with opening.writing(DataDirectory(into)) as writer:
        head, manifest = writer.head(), read_manifest(directory)
    if (head.epoch.hex(), head.sequence) != (manifest.epoch, manifest.sequence):
        raise _refused(directory / MANIFEST, "it describes another registry than the backup has")


def discard(unpacked: Path) -> None:
    """Delete an unpacked backup, and what was loaded into a database."""
    url = DataDirectory(unpacked).registry_url
    shutil.rmtree(unpacked, ignore_errors=True)
    if url is not None:
        opening.postgresql().clear(url)


def known(data_dir: Path, unpacked: Path) -> Known:
    """Collect what a data directory lists as withdrawn and revoked, as far as it can be read.

    1. Read the head of the unpacked backup, and the removals that it knows itself.
    2. Take the removals of the journal. It is complete unless it is damaged, or lacks something
       that the backup has: then it is older than the backup, or of another registry.
    3. Add those of the registry that lies there. It is complete, and settles any doubt about the
       journal, if its history has the backup's newest change and the change noted beside it. Where
       none is noted it needs a newer one than the backup: it may be the backup's own file.
    4. If that registry is older than the backup, doubt the journal too: it may have been written
       anew from that registry.

    A journal that is a copy, made after the backup and before the newest withdrawal, seems
    complete: that cannot be detected. DataDirectoryError where one lies there that this user may
    not read.
    """
    with opening.reading(DataDirectory(unpacked)) as backup:
        head = backup.head()
        in_backup: set[journal.Record] = {*backup.journaled(), Epoch(head.epoch)}

    removals: dict[Removal, None] = {}
    epochs = {Epoch(head.epoch)}
    doubt = f"there is neither {JOURNAL} nor a registry that is complete and newer than the backup"
    try:
        contents = journal.read(data_dir / JOURNAL)
    except DisruptError as error:
        if isinstance(error.__cause__, PermissionError):  # as of a copy that root put there
            raise DataDirectoryError(
                f"{ownership.denied(error.__cause__)} Nothing was changed. Give the file to the"
                " user of the data directory with chown, and try again."
            ) from error
        _log.warning("removals_journal_unreadable", reason=error.message)
        doubt = f"{JOURNAL} cannot be read"
    else:
        if contents is not None:
            removals |= dict.fromkeys((*contents.removed, *contents.revoked))
            doubt = _doubt(contents, in_backup)
            if not doubt:
                epochs.update(contents.epochs)

    try:
        with opening.reading(DataDirectory(data_dir)) as registry:
            removals |= dict.fromkeys(registry.journaled())
            newest = head_note.read(data_dir / HEAD_NOTE)
            is_newest = registry.knows(newest) if newest else registry.head() != head
            if registry.knows(head):
                doubt = "" if is_newest else doubt
            elif registry.head().epoch == head.epoch:
                doubt = doubt or f"{REGISTRY} is older than the backup, and so may be {JOURNAL}"
    except DisruptError as error:
        if (data_dir / REGISTRY).exists():
            _log.warning("old_registry_unreadable", reason=error.message)
    return Known(tuple(removals), doubt, () if doubt else tuple(epochs))


def _doubt(contents: Contents, in_backup: set[journal.Record]) -> str:
    """Return why a journal may not list everything since a backup; empty if it seems complete."""
    if contents.damaged_records:
        return f"{contents.damaged_records} records of {JOURNAL} are damaged"
    if contents.torn:  # by a crash, in what was not acknowledged; or by damage to what was
        return f"the end of {JOURNAL} is incomplete or damaged"
    if missing(contents, in_backup):
        return f"{JOURNAL} is older than the backup, or that of another server"
    return ""


@dataclass(frozen=True, slots=True)
class UpToDate:
    """An unpacked backup that was brought up to date: the keys that are valid, and counts.

    ``renewals_undone`` items were renewed since, and are as they were before that.
    ``renewed_missing`` were renewed, are not withdrawn, and no version of them is here.
    ``erasures_stopped`` has the tag, in hex, of each case whose erasure staff had asked for and
    the new epoch has stopped; empty where the case has none any more. ``counted_until`` is the
    newest day of its tallies (ISO, UTC), empty if there is none. ``decisions_lost`` are those that
    could not be done again, in words.
    """

    valid_keys: tuple[ApiKey, ...]
    renewals_undone: int
    renewed_missing: int
    erasures_stopped: tuple[str, ...]
    counted_until: str
    decisions_lost: tuple[str, ...]


def bring_up_to_date(
    unpacked: Path, records: Iterable[journal.Record], decided: Decided | None = None
) -> UpToDate:
    """Erase and revoke in an unpacked backup what ``records`` and the backup itself list.

    And do again what was ``decided`` since.

    Or in a data directory whose registry was restored by other means; the caller holds its lock.

    An item that was only renewed since stays, as what took its place is not in the backup. The
    journal then lists all of ``records``, and of epochs those and the new one, which begins: every
    cursor given out before is refused.
    """
    with opening.reading(DataDirectory(unpacked)) as registry:
        together = dict.fromkeys([*records, *registry.journaled()])
        newest = [record.number for record in registry.acts(1)]
        counted_until = registry.counted_until()
    journal.write(unpacked / JOURNAL, together)
    with opening.writing(DataDirectory(unpacked), restoring=True) as writer:
        writer.begin_epoch()
        stops = writer.acts(_MOST_ACTS, wanted=ActFilter(actions=frozenset({Action.ERASE_STOPPED})))
        stopped = [stop.case_tag.hex() for stop in stops if [stop.number] > newest]
        forgotten = _decide_again(writer, decided) if decided else ()
        writer.checkpoint()
        keys, epoch = writer.keys(), Epoch(writer.head().epoch)
        undone, lost = _renewals(writer, together)
    journal.write(unpacked / JOURNAL, [*together, epoch])
    if (unpacked / REGISTRY).exists():
        sync(unpacked / REGISTRY)
    sync(unpacked)
    valid = tuple(key for key in keys if not key.revoked_on)
    return UpToDate(valid, undone, lost, tuple(stopped), counted_until, forgotten)


def _decide_again(writer: RegistryWriter, decided: Decided) -> tuple[str, ...]:
    """Take over what was decided since; return what could not be, in words."""
    if decided.access is not None:
        writer.put_access(decided.access)
    return tuple(map(_in_words, writer.take_over(decided.first, decided.leaves)))


def _in_words(leaf: Leaf) -> str:
    act = leaf.content
    at = datetime.fromtimestamp(act["at_s"], UTC)
    on = f" on item {act['item']}" if "item" in act else ""
    many = f" on {act['items']} items" if "items" in act else ""
    return (
        f"{at:%Y-%m-%d %H:%M} UTC, {act['actor']}: {Action(act['action']).name.lower()}{on}{many}"
    )


def _renewals(registry: RegistryReader, records: Iterable[journal.Record]) -> tuple[int, int]:
    """Count renewed items of which an older version lives here, and of which none does."""
    versions = versions_of(journal.pack(records))
    living = registry.living(versions.ids.tolist())
    is_living = np.array([item_id in living for item_id in versions.ids.tolist()], np.bool_)
    undone = int(is_living[np.unique(versions.older)].sum())
    newest = np.setdiff1d(versions.newer, versions.older)
    has_living = spread(is_living, versions.older, versions.newer)
    return undone, int((~(has_living | versions.withdrawn)[newest]).sum())


def _write(data_dir: Path, aside: Path, config: Path | None) -> BackupManifest:
    made_s = int(time.time())
    if config is not None:
        _copy(config, aside / CONFIG)
    url = DataDirectory(data_dir).registry_url
    copied = aside / (REGISTRY if url is None else DUMP)
    copied.touch(mode=0o600)
    if url is None:
        copy_database(data_dir / REGISTRY, copied)
        epoch, sequence, revision = described(copied)
    else:
        epoch, sequence, revision = opening.postgresql().dump(url, copied)
    sync(copied)
    _copy(data_dir / SECRETS, aside / SECRETS)
    _check_pair(DataDirectory(aside if url is None else data_dir), DataDirectory(aside))
    names = [copied.name, SECRETS] + ([] if config is None else [CONFIG])
    manifest = BackupManifest(
        epoch=epoch,
        sequence=sequence,
        made_s=made_s,
        schema_revision=revision,
        files={name: _sum(aside / name) for name in names},
    )
    text = json.dumps(manifest.model_dump(mode="json"), indent=2)
    (aside / MANIFEST).touch(mode=0o600)
    (aside / MANIFEST).write_text(f"{text}\n", encoding="ascii")
    sync(aside / MANIFEST)
    sync(aside)
    return manifest


def _check_pair(dumped: DataDirectory, copy: DataDirectory) -> None:
    """Raise DataDirectoryError where copied files are of two registries: a restore came between."""
    with opening.reading(dumped) as registry:
        if not registry.takes_pepper(copy.secrets().pepper_check):
            raise DataDirectoryError(
                "The data directory was restored while the backup was made, which would have files"
                " of two servers. Nothing was written. Try again."
            )


def _copy(source: Path, target: Path) -> None:
    target.touch(mode=0o600)
    shutil.copyfile(source, target)
    sync(target)


def _sum(path: Path) -> FileSum:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileSum(size_bytes=os.fstat(file.fileno()).st_size, sha256=digest)


def _refused(path: Path, reason: str) -> DataDirectoryError:
    return DataDirectoryError(
        f"Backup file {path} refused: {reason}. Use another copy of this backup, or another backup."
    )
