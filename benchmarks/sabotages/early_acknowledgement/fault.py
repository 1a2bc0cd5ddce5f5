"""Acknowledge registrations and withdrawals a moment before they are committed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from disrupt.core.changes import Cursor
from disrupt.registry import queries, statements
from disrupt.registry.contract import Registered, Registration
from disrupt.registry.sql import SqlRegistryWriter

_MOMENT_S = 0.2


def _register(
    self: SqlRegistryWriter,
    registration: Registration,
    *,
    day: str,
    items_per_case: int | None = None,
) -> Registered:
    connection = self._writer.connect()
    try:
        transaction = connection.begin()
        registered, replaced = statements.register(connection, registration, day, items_per_case)
    except BaseException:
        connection.close()
        raise

    def commit() -> None:
        transaction.commit()
        connection.close()
        self._removals.add(replaced)

    threading.Timer(_MOMENT_S, commit).start()
    return registered


def _withdraw(
    self: SqlRegistryWriter, number: str, item_ids: Sequence[bytes] | None, *, day: str
) -> Cursor:
    connection = self._writer.connect()
    try:
        transaction = connection.begin()
        erased = statements.withdraw(connection, number, item_ids, day)
        cursor = queries.head(connection)
    except BaseException:
        connection.close()
        raise

    def commit() -> None:
        transaction.commit()
        connection.close()
        self._removals.add(erased)

    threading.Timer(_MOMENT_S, commit).start()
    return cursor


SqlRegistryWriter.register = _register  # type: ignore[method-assign]
SqlRegistryWriter.withdraw = _withdraw  # type: ignore[method-assign]
