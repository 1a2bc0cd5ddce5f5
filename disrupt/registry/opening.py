"""Open the registry of a data directory. The backend is chosen here.

Beside ``registry/``, ``data_directory`` knows the names of its files, and ``doctor`` looks at them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from disrupt.data_directory import REGISTRY, SECRETS, DataDirectory
from disrupt.errors import DataDirectoryError, StorageFullError
from disrupt.registry import sqlite
from disrupt.registry.contract import RegistryReader, RegistryWriter


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
    return sqlite.open_reader(directory.registry)


@contextmanager
def writing(directory: DataDirectory, *, restoring: bool = False) -> Iterator[RegistryWriter]:
    """Open the registry for writing; make it and its secrets, and migrate it, where needed.

    The caller holds the lock of the directory. DataDirectoryError if the directory is missing, a
    file in it is no registry or of a newer version, or the secrets are those of another registry.
    An older registry than its journal is logged as an error unless ``restoring``.
    """
    secrets = directory.secrets()
    with sqlite.open_writer(directory.registry, restoring=restoring) as registry:
        check_secrets(directory, registry)
        with suppress(StorageFullError):  # a later start notes it
            registry.note_pepper(secrets.pepper_check)
        yield registry


def check_secrets(directory: DataDirectory, registry: RegistryReader) -> None:
    """Raise DataDirectoryError where the secrets are damaged, or those of another registry."""
    if not registry.takes_pepper(directory.secrets().pepper_check):
        raise DataDirectoryError(
            f"{directory.secrets_file} belongs to another registry than the {REGISTRY} beside it:"
            f" no PIN would open its case. Nothing was registered. Put the {SECRETS} back that was"
            f" with this {REGISTRY}; the one in any backup of this server is the same."
        )
