"""Open the registry of a data directory. The backend is chosen here.

Beside ``registry/``, ``data_directory`` knows the names of its files, and ``doctor`` looks at them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from disrupt.data_directory import DataDirectory
from disrupt.errors import DataDirectoryError
from disrupt.registry.contract import RegistryReader, RegistryWriter
from disrupt.registry.sql import SqlRegistry


def reading(directory: DataDirectory) -> AbstractContextManager[RegistryReader]:
    """Open an existing registry for reading only, also while a writer has it open.

    DataDirectoryError if it is missing, no registry, or of another schema revision (if of an
    earlier one, OlderSchemaError); also where an interrupted restore waits for the next writer, as
    parts of two registries may lie there.
    """
    if directory.restored.exists():
        raise DataDirectoryError(
            f"A restore of {directory.path} is not complete; nothing was read or changed. `disrupt"
            " keys list` completes it, and so does the start of the server: then try again."
        )
    return SqlRegistry.open_reader(directory.registry)


def writing(directory: DataDirectory) -> AbstractContextManager[RegistryWriter]:
    """Open the registry for writing, made and migrated where needed.

    The caller holds the lock of the directory. DataDirectoryError if the directory is missing, or a
    file in it is no registry or of a newer version.
    """
    return SqlRegistry.open_writer(directory.registry)
