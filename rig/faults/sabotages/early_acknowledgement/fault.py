"""Acknowledge registrations and withdrawals a moment before they are committed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from disrupt.registry.records import Registered, Registration, Removed, Withdrawn
from disrupt.registry.registry import RegistryWriter
from disrupt.registry.sql import queries, statements

_MOMENT_S = 0.2

_Answer = TypeVar("_Answer", Registered, Withdrawn)


def _early(
    writer: RegistryWriter, write: Callable[[Connection], tuple[_Answer, list[Removed]]]
) -> _Answer:
    """Write, return the answer, and commit a moment later."""
    connection = writer._writable.writer.connect()
    try:
        transaction = connection.begin()
        answer, removed = write(connection)
    except BaseException:
        connection.close()
        raise

    def commit() -> None:
        transaction.commit()
        connection.close()
        writer._removals.add(removed)

    threading.Timer(_MOMENT_S, commit).start()
    return answer


def _register(
    self: RegistryWriter,
    registration: Registration,
    *,
    day: str,
    items_per_case: int | None = None,
) -> Registered:
    return _early(
        self,
        lambda connection: statements.register(
            connection, registration, day, items_per_case, self._writable.make_room
        ),
    )


def _withdraw(
    self: RegistryWriter,
    number: str,
    item_ids: Sequence[bytes] | None,
    *,
    numbers: Sequence[int] = (),
    day: str,
) -> Withdrawn:
    def write(connection: Connection) -> tuple[Withdrawn, list[Removed]]:
        erased, leaf = statements.withdraw(connection, number, item_ids, numbers, day)
        items = tuple(item for _, item in erased)
        return Withdrawn(items, queries.head(connection), leaf), [removed for removed, _ in erased]

    return _early(self, write)


RegistryWriter.register = _register  # type: ignore[method-assign]
RegistryWriter.withdraw = _withdraw  # type: ignore[method-assign]
