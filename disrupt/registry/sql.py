"""The registry on SQL. Its promises are those of ``contract``."""

import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import Connection, Engine

from disrupt.core.changes import Change, Cursor
from disrupt.core.media import StoredItems
from disrupt.core.policy import ApiKey, Bank
from disrupt.core.registrations import Outcome
from disrupt.data_directory import JOURNAL, NOTED_HEAD, RESERVE
from disrupt.errors import DataDirectoryError, DisruptError, StorageFullError, UnavailableError
from disrupt.registry import identity, journal, migrations, noted, queries, statements
from disrupt.registry.contract import CaseRecord, Registered, Registration
from disrupt.registry.engine import (
    Numbering,
    reader_engine,
    rewrite_header,
    translated_errors,
    truncate_wal,
    writer_engine,
)
from disrupt.registry.journal import Epoch, Journal, Record, Removed, Revoked
from disrupt.registry.reconciliation import begin_epoch, reconcile
from disrupt.registry.reserve import Reserve

__all__ = ["SqlRegistry", "SqlRegistryWriter"]

_Result = TypeVar("_Result")

_log = structlog.get_logger(__name__)


class SqlRegistry:
    """A RegistryReader. Each call is one short transaction; threads may call at once."""

    def __init__(self, engine: Engine, note: Path) -> None:
        self._reader = engine
        self._note = note

    @staticmethod
    @contextmanager
    def open_reader(path: Path) -> Iterator["SqlRegistry"]:
        """Open an existing registry for reading only, also while a writer has it open.

        DataDirectoryError if it is missing, no registry, or of another schema revision.
        """
        if not path.is_file():
            raise DataDirectoryError(
                f"There is no registry at {path}. Check --data-dir, or start `disrupt serve` once"
                " to make one."
            )
        with _opening(path):
            identity.check(path)
        with _reader(path) as engine:
            yield SqlRegistry(engine, path.with_name(NOTED_HEAD))

    @staticmethod
    @contextmanager
    def open_writer(path: Path) -> Iterator["SqlRegistryWriter"]:
        """Open a registry for writing, make it if missing (mode 0600), and migrate its schema.

        Then makes it and the journal of removals beside it agree, see ``reconciliation``. On a full
        disk the reserve is given up for that, and as much of it taken again as there is room. The
        caller holds the lock of the data directory: one writer at a time. DataDirectoryError if
        the directory is missing, or a file is no registry or of a newer version.
        """
        space = Reserve(path.with_name(RESERVE))
        with ExitStack() as stack:
            try:
                opened = stack.enter_context(_opened(path, space))
            except StorageFullError:
                if not space.release():
                    raise
                opened = stack.enter_context(_opened(path, space))
            yield opened

    def head(self) -> Cursor:
        """Return the cursor of the newest change; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.head(connection)

    def knows(self, cursor: Cursor) -> bool:
        """Tell whether the cursor is a point of this history; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.knows(connection, cursor)

    def takes_pepper(self, check: bytes) -> bool:
        """Tell whether PINs are hashed with this pepper; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.pepper_check(connection) in {None, check}

    def lacks(self) -> Cursor | None:
        """See RegistryReader."""
        head = noted.read(self._note)
        return head if head is not None and not self.knows(head) else None

    def accept_head(self) -> None:
        """See RegistryReader."""
        try:
            noted.write(self._note, self.head())
        except OSError as error:
            raise UnavailableError(f"{self._note.name} cannot be written: {error}") from error

    def changes(
        self, after: Cursor, limit: int, banks: Collection[int] | None = None
    ) -> tuple[Sequence[Change], Cursor]:
        """Return a page of changes and the next cursor; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.changes(connection, after, limit, banks)

    def additions(self, after: Cursor, until: Cursor, limit: int) -> tuple[StoredItems, Cursor]:
        """Return a page of living items and the next cursor; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.additions(connection, after, until, limit)

    def removed_since(self, cursor: Cursor) -> int:
        """Count the items removed since a cursor; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.removed_since(connection, cursor)

    def hashes_since(self, cursor: Cursor) -> int:
        """Count the hashes added since a cursor; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.hashes_since(connection, cursor)

    def journaled(self) -> list[Record]:
        """List what the journal has to hold; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.journaled(connection)

    def banks(self) -> tuple[Bank, ...]:
        """Return all banks; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.banks(connection)

    def keys(self) -> tuple[ApiKey, ...]:
        """Return all keys; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.keys(connection)

    def case(self, number: str) -> CaseRecord | None:
        """Return the case, or None; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.case(connection, number)

    def pin_hash(self, number: str) -> str | None:
        """Return the PIN hash of a case, or None; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.pin_hash(connection, number)

    def registered(self, request_id: bytes) -> tuple[bytes, Registered] | None:
        """Return digest and result of an earlier registration; see RegistryReader."""
        with _transaction(self._reader) as connection:
            return queries.registered(connection, request_id)


class SqlRegistryWriter(SqlRegistry):
    """A RegistryWriter. Threads take turns at writing, and read beside it."""

    def __init__(
        self,
        reader: Engine,
        writer: Engine,
        numbering: Numbering,
        note: Path,
        removals: Journal,
        reserve: Reserve,
    ) -> None:
        super().__init__(reader, note)
        self._writer = writer
        self._numbering = numbering
        self._removals = removals
        self._reserve = reserve
        self._writing = threading.Lock()
        self._reserve.fill()

    def note_pepper(self, check: bytes) -> None:
        """Note a pepper's check value, unless one is noted; see RegistryWriter."""
        with _transaction(self._writer) as connection:
            statements.note_pepper(connection, check)

    def register(
        self, registration: Registration, *, day: str, items_per_case: int | None = None
    ) -> Registered:
        """Add items; see RegistryWriter."""
        # Not during a withdrawal: only that may use the reserve that it frees.
        with self._writing:
            with _transaction(self._writer) as connection:
                registered, replaced = statements.register(
                    connection, registration, day, items_per_case
                )
            self._list_replaced(registered, replaced)
            if replaced:
                self._checkpoint_if_possible()
            self._reserve.fill()
        return registered

    def registered(self, request_id: bytes) -> tuple[bytes, Registered] | None:
        """Return digest and result of an earlier registration, as durable as at first."""
        earlier = super().registered(request_id)
        if earlier is not None:
            with self._writing:
                self._list_replaced(earlier[1], ())
        return earlier

    def _list_replaced(self, registered: Registered, replaced: Sequence[Removed]) -> None:
        """List in the journal what a registration replaced, also where a first try failed."""
        if all(place.outcome == Outcome.ADDED for place in registered.items):
            return
        try:
            self._removals.add(replaced)
        except StorageFullError as error:  # which would say that nothing was stored
            raise UnavailableError(error.message) from error

    def withdraw(self, number: str, item_ids: Sequence[bytes] | None, *, day: str) -> Cursor:
        """Remove items of a case; see RegistryWriter."""

        def withdraw(connection: Connection) -> tuple[Sequence[Record], Cursor]:
            erased = statements.withdraw(connection, number, item_ids, day)
            return erased, queries.head(connection)

        return self._remove(withdraw)

    def revoke_key(self, key_id: str, *, day: str) -> ApiKey:
        """Revoke a key; see RegistryWriter."""

        def revoke(connection: Connection) -> tuple[Sequence[Record], ApiKey]:
            key, was_valid = statements.revoke_key(connection, key_id, day)
            return [Revoked(key_id)] if was_valid else [], key

        return self._remove(revoke)

    def _remove(self, change: Callable[[Connection], tuple[Sequence[Record], _Result]]) -> _Result:
        """Withdraw or revoke, then list it in the journal; on a full disk, in the reserve."""
        # A removal that another thread repeats is acknowledged only once the first is journaled.
        with self._writing:
            try:
                removed, result = self._journaled(change)
            except StorageFullError:
                if not self._reserve.release():
                    raise
                # Clear the log in any case, which frees the space that it took.
                _, result = self._journaled(change)
                removed = True
            if removed:
                self._checkpoint_if_possible()
            self._reserve.fill()
        return result

    def _journaled(
        self, change: Callable[[Connection], tuple[Sequence[Record], _Result]]
    ) -> tuple[bool, _Result]:
        with _transaction(self._writer) as connection:
            removed, result = change(connection)
        self._removals.add(removed)
        return bool(removed), result

    def _checkpoint_if_possible(self) -> None:
        try:
            done = self.checkpoint()
        except DisruptError as error:  # the withdrawal itself is durable
            _log.warning("registry_checkpoint_failed", reason=error.reason)
        else:
            if not done:
                _log.warning("registry_checkpoint_held_up")

    def checkpoint(self) -> bool:
        """Clear the database's log; see RegistryWriter."""
        with translated_errors():
            return truncate_wal(self._writer)

    def check_storage(self) -> None:
        """Write durably and change nothing; see RegistryWriter."""
        with self._writing:
            with _transaction(self._writer) as connection:
                rewrite_header(connection)
            self._numbering.follow(self._writer)
        self.note_head()

    def note_head(self) -> None:
        """Note the head outside the registry, unless what is noted is newer; does not raise.

        A note that this registry does not know stays, of whatever epoch: it says that this is an
        older copy.
        """
        with self._writing, suppress(DisruptError, OSError):
            head, before = self.head(), noted.read(self._note)
            if before is None or (before.sequence < head.sequence and self.knows(before)):
                noted.write(self._note, head)

    def begin_epoch(self) -> None:
        """Expire every earlier cursor, after the registry was restored from a backup."""
        with _transaction(self._writer) as connection:
            begin_epoch(connection)
        self._removals.add([Epoch(self.head().epoch)])
        self.accept_head()

    def add_key(self, key: ApiKey) -> None:
        """Add a key; see RegistryWriter."""
        with _transaction(self._writer) as connection:
            statements.add_key(connection, key)


@contextmanager
def _opened(path: Path, space: Reserve) -> Iterator[SqlRegistryWriter]:
    with (
        _writer(path) as (writer, numbering),
        _journal(writer, path.with_name(JOURNAL)) as removals,
        _reader(path) as reader,
    ):
        opened = SqlRegistryWriter(
            reader, writer, numbering, path.with_name(NOTED_HEAD), removals, space
        )
        try:
            yield opened
        finally:
            opened.note_head()


@contextmanager
def _transaction(engine: Engine) -> Iterator[Connection]:
    with translated_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def _reader(path: Path) -> Iterator[Engine]:
    with _disposed(reader_engine(path)) as engine:
        with _opening(path), _transaction(engine) as connection:
            migrations.check(connection)
        yield engine


@contextmanager
def _writer(path: Path) -> Iterator[tuple[Engine, Numbering]]:
    with _disposed(writer_engine(path)) as engine:
        with _opening(path):
            _refuse_to_replace(path)
            # SQLite gives its -wal and -shm files the mode of this file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            identity.check(path)
            numbering = Numbering(path, identity.numbers(path))
            with _transaction(engine) as connection:
                migrations.upgrade(connection)
                statements.seed(connection)
            numbering.follow(engine)
        yield engine, numbering


def _refuse_to_replace(path: Path) -> None:
    """Raise DataDirectoryError where a registry was, and is gone.

    A new one in its place would note a head of its own, so that an older copy put in that place
    later could not be told any more.
    """
    note = path.with_name(NOTED_HEAD)
    if noted.read(note) is not None and not (path.is_file() and path.stat().st_size):
        raise DataDirectoryError(
            f"{path.name} is gone or empty, and {note.name} says that there was one. Put the right"
            f" {path.name} back, or restore a backup. To begin anew with nothing registered, delete"
            f" {note.name}, too."
        )


@contextmanager
def _journal(writer: Engine, path: Path) -> Iterator[Journal]:
    day = datetime.now(UTC).date().isoformat()
    with translated_errors():
        with writer.begin() as connection:
            records = reconcile(connection, path, day)
        if records is not None:
            journal.write_packed(path, records)
    with closing(Journal.open(path)) as opened:
        yield opened


@contextmanager
def _disposed(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, UnavailableError) as error:
        raise DataDirectoryError(
            f"The registry at {path} cannot be opened. Check that its directory exists, that this"
            " user may read and write there, and that no other process has it open for writing."
        ) from error
