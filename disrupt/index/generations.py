"""The index directory: numbered generations, and CURRENT, which names the served one.

index/lock       held while a generation is written
index/building   a generation being written; the next writer removes what a killed one leaves
index/CURRENT    name of the served generation, replaced atomically
index/00000001/  a generation, see ``writing``
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from disrupt import ownership
from disrupt.core.changes import Cursor, History
from disrupt.core.progress import Progress, quiet
from disrupt.errors import (
    DataDirectoryError,
    DisruptError,
    OtherHistoryError,
    SnapshotRefusedError,
    StorageFullError,
    UnavailableError,
)
from disrupt.index import manifest as manifests
from disrupt.index import writing
from disrupt.index.columns import Columns
from disrupt.index.manifest import REMEDY, reading
from disrupt.index.snapshot import Snapshot

_CURRENT = "CURRENT"
_BUILDING = "building"
_LOCK = "lock"
_OLDER_COPY = (
    "It may be an older copy. Nothing is served from it, and nothing was changed. In PostgreSQL:"
    " see docs/fleet.md. In SQLite: stop the server and put the right registry.db back,"
    " or run `disrupt restore`; if there is no newer one, `disrupt-index rebuild --accept-registry`"
    " builds the index from this one."
)
_NAME = re.compile(r"[0-9]{8,18}", re.ASCII)

_log = structlog.get_logger(__name__)


def generations(index_dir: Path) -> list[int]:
    """List the numbers of the generations on disk, newest first, complete or not."""
    if not index_dir.is_dir():
        return []
    return sorted(
        (int(path.name) for path in index_dir.iterdir() if _NAME.fullmatch(path.name)),
        reverse=True,
    )


def directory_of(index_dir: Path, generation: int) -> Path:
    """Return the directory of a generation."""
    return index_dir / f"{generation:08d}"


def current(index_dir: Path) -> int:
    """Return the number of the generation that CURRENT names.

    SnapshotRefusedError if there is no such file, or it names none; UnavailableError if it cannot
    be read now.
    """
    path = index_dir / _CURRENT
    with reading(path), path.open("rb") as file:
        name = file.read(64).decode("latin-1").strip()
    if not _NAME.fullmatch(name):
        raise SnapshotRefusedError(f"index/CURRENT names no generation. {REMEDY}")
    return int(name)


def served(index_dir: Path) -> int:
    """Return the number of the generation that CURRENT names; 0 where it names none.

    UnavailableError if it cannot be read now.
    """
    try:
        return current(index_dir)
    except SnapshotRefusedError:
        return 0


def unfinished_s(index_dir: Path) -> float:
    """Return the time since a generation that is not published was written to; 0 without any."""
    building = index_dir / _BUILDING
    try:
        written_s = max(path.stat().st_mtime for path in (building, *building.iterdir()))
    except FileNotFoundError:  # or it was published meanwhile
        return 0.0
    return max(time.time() - written_s, 0.0)


def check_history(index_dir: Path, registry: History) -> None:
    """Raise OtherHistoryError if the index shows that it was not built from this registry.

    The generation that CURRENT names decides or, where that is damaged, the newest that is not. An
    older registry, put in place of the one that the index was built from, would lack what was
    registered since; and missing items cannot be distinguished from items that never existed.
    UnavailableError where the manifest that decides cannot be read now: one before it might fit an
    older registry. A registry that lacks what was noted beside it is an older one too, whatever the
    index shows.
    """
    named = served(index_dir)
    rest = (number for number in generations(index_dir) if number != named)
    for generation in (named, *rest) if named else rest:
        try:
            cursor = manifests.read(directory_of(index_dir, generation)).cursor
        except SnapshotRefusedError:
            continue
        _check_known(generation, cursor, registry)
        break
    lacking = registry.lacks()
    if lacking is not None:
        raise OtherHistoryError(
            f"The registry is not the one that was here before: it does not know change"
            f" {lacking.sequence}, which registry.head names. {_OLDER_COPY}"
        )


def _check_known(generation: int, cursor: Cursor, registry: History) -> None:
    if not registry.knows(cursor):
        raise OtherHistoryError(
            f"The registry is not the one that index/{generation:08d} was built from: it does not"
            f" know change {cursor.sequence} of it. {_OLDER_COPY}"
        )


def open_generation(
    index_dir: Path, generation: int, registry: History, *, checked: bool = False
) -> Snapshot:
    """Open a generation by Snapshot.open, if it was built from this registry.

    SnapshotRefusedError if it is damaged, UnavailableError if it cannot be read now,
    OtherHistoryError if the registry does not know its cursor.
    """
    opened = Snapshot.open(directory_of(index_dir, generation), checked=checked)
    _check_known(generation, opened.cursor, registry)
    return opened


def open_current(
    index_dir: Path, registry: History, *, checked_from: int | None = None
) -> Snapshot:
    """Open the generation that CURRENT names or, where that fails, the newest good one.

    Reads it whole, unless its number is at least ``checked_from``, see ``known_whole_from``.
    Each failure is logged by name. An older generation answers as well once the changes after
    its cursor are applied. UnavailableError if none can be opened and one of them may be good, or
    as of ``check_history``: try again. SnapshotRefusedError if all are refused, OtherHistoryError
    as of ``check_history``: there is no lookup until one is published.
    """
    check_history(index_dir, registry)
    candidates = generations(index_dir)
    errors: list[DisruptError] = []
    try:
        named = current(index_dir)
    except SnapshotRefusedError as error:
        errors.append(error)
        _log.warning("snapshot_refused", reason=error.message)
    else:
        candidates = [named, *(number for number in candidates if number != named)]
    for generation in candidates:
        try:
            checked = checked_from is not None and generation >= checked_from
            return open_generation(index_dir, generation, registry, checked=checked)
        except SnapshotRefusedError as error:
            errors.append(error)
            _log.warning("snapshot_refused", reason=error.message)
        except UnavailableError as error:
            errors.append(error)
            _log.warning("snapshot_unreadable", reason=error.message)
    raise next((failure for failure in errors if isinstance(failure, UnavailableError)), errors[0])


def known_whole_from(index_dir: Path, opened: Snapshot | None) -> int:
    """Return the number from which on generations need not be read whole any more.

    The newest of now does not if it is ``opened``, which was read whole; those that are published
    later do not either, since their writers sum what they write.
    """
    newest = max(generations(index_dir), default=0)
    return newest if opened is not None and opened.generation == newest else newest + 1


def publish(
    index_dir: Path, content: Iterable[Columns], cursor: Cursor, progress: Progress = quiet
) -> Snapshot:
    """Write a new generation aside, make it durable and name it in CURRENT.

    Running servers take it up. See ``writing.write`` for ``content``. At whatever point it is
    killed, CURRENT names a whole generation. The one that was served before stays, so that there
    is another should the new one be damaged; older ones go, as they hold hashes that were
    withdrawn since. A server that still maps one of them keeps its pages. DataDirectoryError while
    another process writes here, StorageFullError when the disk is full: any error means that
    nothing was published. What fails after that is logged as ``snapshot_published_but``.
    """
    with locked(index_dir):
        return publish_locked(index_dir, content, cursor, progress)


def publish_locked(
    index_dir: Path, content: Iterable[Columns], cursor: Cursor, progress: Progress = quiet
) -> Snapshot:
    """Publish as ``publish`` does, for a caller that is within ``locked``."""
    with _storage_errors():
        aside = index_dir / _BUILDING
        if aside.exists():
            shutil.rmtree(aside)
        try:
            writing.write(aside, content, cursor, progress)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        existing = generations(index_dir)
        before = served(index_dir)
        generation = max([before, *existing]) + 1
        directory = directory_of(index_dir, generation)
        aside.rename(directory)
        writing.sync(index_dir)
        opened = Snapshot.open(directory, checked=True)
        _point_to(index_dir, generation)
        for old in existing:
            if old != before:
                with _published_but(generation, f"generation {old:08d} could not be deleted"):
                    _remove(index_dir, old)
    _log.info("snapshot_published", generation=generation, hashes=opened.manifest.hashes)
    return opened


def roll_back(index_dir: Path, registry: History) -> Snapshot:
    """Name in CURRENT the newest good generation before the one that it names now.

    Running servers take it up, and apply every change after its cursor first: what was withdrawn
    since stays withdrawn. SnapshotRefusedError if there is none, DataDirectoryError while another
    process writes here.
    """
    with locked(index_dir), _storage_errors():
        before = current(index_dir)
        for generation in generations(index_dir):
            if generation >= before:
                continue
            try:
                opened = open_generation(index_dir, generation, registry)
            except SnapshotRefusedError as error:
                _log.warning("snapshot_refused", reason=error.message)
                continue
            _point_to(index_dir, generation)
            _log.info("snapshot_rolled_back", generation=generation)
            return opened
    raise SnapshotRefusedError(f"There is no good generation before {before}. {REMEDY}")


def delete(index_dir: Path, unwanted: Collection[int]) -> tuple[int, ...]:
    """Delete generations but for the one in CURRENT, and what a killed writer left.

    Returns those deleted, newest first. DataDirectoryError while another process writes here,
    though not where there is nothing to delete; DisruptError names what cannot be deleted, once the
    rest is.
    """
    if not unwanted and not (index_dir / _BUILDING).exists():
        return ()
    with locked(index_dir), _storage_errors():
        kept = served(index_dir)
        gone = tuple(
            number for number in generations(index_dir) if number in unwanted and number != kept
        )
        with ExitStack() as every:  # A failed deletion does not stop the others.
            every.callback(writing.sync, index_dir)
            if (index_dir / _BUILDING).exists():
                every.callback(shutil.rmtree, index_dir / _BUILDING)
            for generation in reversed(gone):
                every.callback(_remove, index_dir, generation)
    return gone


def create_first(index_dir: Path, epoch: bytes) -> None:
    """Publish an empty generation in a new data directory, unless an index was ever made.

    Where one was made and is gone, the operator decides: there is no lookup until ``disrupt-index
    rebuild``.
    """
    if not generations(index_dir) and not (index_dir / _CURRENT).exists():
        publish(index_dir, (), Cursor(epoch, 0))


@contextmanager
def locked(index_dir: Path) -> Iterator[None]:
    """Hold the index as its only writer; DataDirectoryError while another process does."""
    index_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(index_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataDirectoryError(
                "Another process is writing an index here; wait until it has finished."
            ) from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFullError(
                "The disk is full: no index was published. Free space and try again."
            ) from error
        if isinstance(error, PermissionError) and error.filename is not None:
            raise DisruptError(
                f"The index cannot be written, or not all of it deleted: {ownership.denied(error)}"
                " `disrupt doctor` lists such files; give them to the server's user with chown."
            ) from error
        raise DisruptError(f"The index could not be written: {error}") from error


def _remove(index_dir: Path, generation: int) -> None:
    shutil.rmtree(directory_of(index_dir, generation))


def _point_to(index_dir: Path, generation: int) -> None:
    aside = index_dir / f"{_CURRENT}.new"
    aside.write_text(directory_of(index_dir, generation).name + "\n", encoding="ascii")
    writing.sync(aside)
    aside.rename(index_dir / _CURRENT)
    with _published_but(generation, "a crash of the machine may undo that"):
        writing.sync(index_dir)


@contextmanager
def _published_but(generation: int, trouble: str) -> Iterator[None]:
    """Log what fails once CURRENT names a generation, as servers take that up all the same."""
    try:
        yield
    except OSError as error:
        reason = f"Generation {generation:08d} is published and served, but {trouble}: {error}"
        _log.error("snapshot_published_but", reason=reason)
