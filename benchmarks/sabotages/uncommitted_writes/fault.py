"""Acknowledge every second registration without committing it."""

from __future__ import annotations

from itertools import count

from disrupt.registry import statements
from disrupt.registry.contract import Registered, Registration
from disrupt.registry.sql import SqlRegistryWriter

_register_really = SqlRegistryWriter.register
_numbers = count()


def _register(
    self: SqlRegistryWriter,
    registration: Registration,
    *,
    day: str,
    items_per_case: int | None = None,
) -> Registered:
    if next(_numbers) % 2 == 0:
        return _register_really(self, registration, day=day, items_per_case=items_per_case)
    with self._writer.connect() as connection, connection.begin() as transaction:
        registered, _ = statements.register(connection, registration, day, items_per_case)
        transaction.rollback()
    return registered


SqlRegistryWriter.register = _register  # type: ignore[method-assign]
