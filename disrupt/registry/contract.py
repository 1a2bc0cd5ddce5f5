"""The contract of every registry backend, put together of the roles in ``roles``.

The conformance suite in tests/registry holds each backend to it.
"""

from typing import Protocol

from disrupt.registry.roles.cases import (
    CaseItem,
    CaseReader,
    CaseRecord,
    CaseWriter,
    NewCase,
    NewItem,
    Place,
    Registered,
    Registration,
)
from disrupt.registry.roles.erasures import ErasureWriter
from disrupt.registry.roles.feed import BYTES_AT_ONCE, CHANGES_AT_ONCE, FeedReader
from disrupt.registry.roles.items import ROWS_AT_ONCE, ItemReader, ItemWriter, Negatives
from disrupt.registry.roles.keys import KeyReader, KeyWriter, Successor

__all__ = [
    "BYTES_AT_ONCE",
    "CHANGES_AT_ONCE",
    "ROWS_AT_ONCE",
    "CaseItem",
    "CaseRecord",
    "Negatives",
    "NewCase",
    "NewItem",
    "Place",
    "Registered",
    "Registration",
    "RegistryReader",
    "RegistryWriter",
    "Successor",
]


class RegistryReader(FeedReader, CaseReader, ItemReader, KeyReader, Protocol):
    """Reading: any number of processes and threads at once, in short transactions.

    Every method, here and in RegistryWriter, raises UnavailableError when the store cannot be
    reached now, and DataDirectoryError when what it holds is damaged.
    """


class RegistryWriter(RegistryReader, CaseWriter, ErasureWriter, ItemWriter, KeyWriter, Protocol):
    """Writing: one process at a time. Every method returns only when its effect is durable.

    What takes an ``act`` appends it to the log of acts in the transaction of its effect, with what
    it changed in the subject: no effect without its act, and no act where nothing was changed.

    StorageFullError when the disk is full: nothing of the call is kept, but see ``withdraw``. Some
    space is reserved for that, for ``revoke_key`` and for what switches items off, so that only
    what is larger than it fails.
    """

    def checkpoint(self) -> bool:
        """Clear the database's log, so that no file holds bytes erased before.

        False when a reader held it up: then call again. Call it from time to time, in case the
        checkpoint of a withdrawal could not finish. Takes milliseconds, at most about a second.
        """

    def check_storage(self) -> None:
        """Write durably, as any call that changes something does, and change nothing.

        Also notes the head, see ``lacks``, where that is possible.
        """
