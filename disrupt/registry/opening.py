"""Open the registry of a data directory. The backend is chosen here.

Beside ``registry/``, ``data_directory`` knows the names of its files, and ``doctor`` looks at them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import ModuleType

from disrupt import extras
from disrupt.data_directory import REGISTRY, REGISTRY_URL, SECRETS, DataDirectory, Secrets
from disrupt.errors import DataDirectoryError, StorageFullError, UnavailableError
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryReader, RegistryWriter


def reading(directory: DataDirectory) -> AbstractContextManager[RegistryReader]:
    """Open an existing registry for reading only, also while a writer has it open.

    DataDirectoryError if it is missing, no registry, or of another schema revision; also where an
    interrupted restore waits for the next writer, as parts of two registries may lie there.
    """
    if directory.restored.exists():
        raise DataDirectoryError(
            f"A restore of {directory.path} is not complete; nothing was read or changed. `disrupt"
            " keys list` completes it, and so does the start of the server: then try again."
        )
    url = directory.registry_url
    if url is None:
        return sqlite.open_reader(directory.registry)
    opened: AbstractContextManager[RegistryReader] = postgresql().open_reader(url, directory.path)
    return opened


@contextmanager
def writing(
    directory: DataDirectory, *, restoring: bool = False, wait: bool = False
) -> Iterator[RegistryWriter]:
    """Open the registry for writing; make it and its secrets, and migrate it, where needed.

    The caller holds the lock of the directory. DataDirectoryError if the directory is missing, a
    file in it is no registry or of a newer version, or the secrets are those of another registry.
    An older registry than its journal is logged as an error unless ``restoring``. Where a process
    of another machine writes to the registry: DataDirectoryInUseError, or ``wait`` for its end.
    """
    secrets = writers_secrets(directory)
    url = directory.registry_url
    opened: AbstractContextManager[RegistryWriter]
    if url is None:
        opened = sqlite.open_writer(directory.registry, restoring=restoring)
    else:
        opened = postgresql().open_writer(url, directory.path, restoring=restoring, wait=wait)
    with opened as registry:
        check_secrets(directory, registry)
        with suppress(StorageFullError):  # a later start notes it
            registry.note_pepper(secrets.pepper_check)
        yield registry


@contextmanager
def wakeups(directory: DataDirectory) -> Iterator[Callable[[float], bool]]:
    """Listen for changes of a registry in PostgreSQL, as a hint beside polling.

    Yields a function that waits for one, for so many seconds at most, and tells whether there was
    any; UnavailableError once the database cannot be reached. With SQLite it only waits.
    """
    url = directory.registry_url
    if url is not None:
        with postgresql().wakeups(url) as wait:
            yield wait
        return

    def sleep(timeout_s: float) -> bool:
        time.sleep(timeout_s)
        return False

    yield sleep


def reads_cases(directory: DataDirectory) -> bool:
    """Tell whether the database's user may read cases; with SQLite, whoever reads the file may.

    Raises as ``reading`` does.
    """
    url = directory.registry_url
    return url is None or bool(postgresql().reads_cases(url))


def postgresql() -> ModuleType:
    """Return the backend. ConfigurationError where its extra is not installed."""
    if problem := extras.lacking("A registry in PostgreSQL", "postgresql"):
        raise problem
    from disrupt.registry import postgresql  # noqa: PLC0415 servers with SQLite do without psycopg

    return postgresql


def writers_secrets(directory: DataDirectory) -> Secrets:
    """Return the secrets of a machine that writes; make them together with a new registry.

    The caller holds the lock. DataDirectoryError where they are damaged, gone, or those of another
    registry: where that is in a database, it is asked first, as a writer may wait for long, and
    would make others. One that cannot be read now, or is empty, is left to whoever opens it next.
    """
    if directory.registry_url is not None:
        exist, belong = directory.secrets_file.exists(), True
        check = directory.secrets().pepper_check if exist else b""
        with suppress(DataDirectoryError, UnavailableError), reading(directory) as registry:
            belong = registry.takes_pepper(check)
        if not belong:
            raise _of_another(directory)
    return directory.secrets()


def check_secrets(directory: DataDirectory, registry: RegistryReader) -> None:
    """Raise DataDirectoryError where the secrets are damaged, or those of another registry."""
    if registry.takes_pepper(directory.secrets().pepper_check):
        return
    raise _of_another(directory)


def _of_another(directory: DataDirectory) -> DataDirectoryError:
    if directory.registry_url is not None:
        return DataDirectoryError(
            f"{directory.secrets_file} is missing, or belongs to another registry than the database"
            f" of {REGISTRY_URL}: no PIN would open its case. Nothing was registered. All writers"
            f" of a registry have the same {SECRETS}: copy that of the first one."
        )
    return DataDirectoryError(
        f"{directory.secrets_file} belongs to another registry than the {REGISTRY} beside it:"
        f" no PIN would open its case. Nothing was registered. Put the {SECRETS} back that was"
        f" with this {REGISTRY}; the one in any backup of this server is the same."
    )
