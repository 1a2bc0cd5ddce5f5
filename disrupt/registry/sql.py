"""Open a registry on SQL: ``sql_reader`` reads it, ``sql_writer`` also writes."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from disrupt.data_directory import JOURNAL, NOTED_HEAD, RESERVE
from disrupt.errors import DataDirectoryError, StorageFullError
from disrupt.registry import identity, sqlite_file
from disrupt.registry.reserve import Reserve
from disrupt.registry.sql_reader import SqlReader
from disrupt.registry.sql_writer import SqlRegistryWriter

__all__ = ["SqlRegistry", "SqlRegistryWriter"]


class SqlRegistry(SqlReader):
    """A registry that is opened for reading; ``open_writer`` opens one for writing."""

    @staticmethod
    @contextmanager
    def open_reader(path: Path) -> Iterator["SqlRegistry"]:
        """Open an existing registry for reading only, also while a writer has it open.

        DataDirectoryError if it is missing, no registry, or of another schema revision;
        OlderSchemaError if that is an earlier one.
        """
        if not path.is_file():
            raise DataDirectoryError(
                f"There is no registry at {path}. Check --data-dir, or start `disrupt serve` once"
                " to make one."
            )
        with sqlite_file.explained(path):
            identity.check(path)
        with sqlite_file.open_reader(path) as engine:
            yield SqlRegistry(engine, path.with_name(NOTED_HEAD))

    @staticmethod
    @contextmanager
    def open_writer(path: Path) -> Iterator[SqlRegistryWriter]:
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


@contextmanager
def _opened(path: Path, space: Reserve) -> Iterator[SqlRegistryWriter]:
    with (
        sqlite_file.open_writer(path) as (writer, numbering),
        sqlite_file.open_journal(writer, path.with_name(JOURNAL)) as removals,
        sqlite_file.open_reader(path) as reader,
    ):
        opened = SqlRegistryWriter(
            reader, writer, numbering, path.with_name(NOTED_HEAD), removals, space
        )
        try:
            yield opened
        finally:
            opened.note_head()
