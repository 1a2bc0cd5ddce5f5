"""Banks. Each function runs in one transaction of its caller."""

from dataclasses import asdict, replace

from sqlalchemy import Connection, insert, select, update

from disrupt.core.acts import Act
from disrupt.core.policy import Bank
from disrupt.errors import InvalidRequestError, NotFoundError, Violation
from disrupt.registry.sql import acts, schema


def banks(connection: Connection) -> tuple[Bank, ...]:
    """Return all banks, by number."""
    return tuple(
        Bank(
            row.number,
            row.name,
            row.max_distance_bits,
            row.goes_live,
            frozenset(row.organisations),
        )
        for row in connection.execute(select(schema.banks).order_by(schema.banks.c.number))
    )


def add_bank(connection: Connection, bank: Bank, act: Act) -> Bank:
    """Add a bank under the next number, whatever ``bank.number`` is, and return it.

    InvalidRequestError if its name is taken.
    """
    present = banks(connection)
    if any(bank.name == other.name for other in present):
        raise InvalidRequestError.of(Violation("name", f"there is a bank {bank.name!r} already"))
    added = replace(bank, number=max((other.number for other in present), default=0) + 1)
    insert_bank(connection, added)
    acts.note(connection, act, bank=added.number)
    return added


def change_bank(connection: Connection, bank: Bank, act: Act) -> None:
    """Change the bank of this number, all but its name.

    NotFoundError if there is none.
    """
    if not store_policy(connection, bank):
        raise NotFoundError("There is no bank of this number.")
    acts.note(connection, act, bank=bank.number)


def store_policy(connection: Connection, bank: Bank) -> bool:
    """Store all of a bank but its name, by its number; tell whether there is one."""
    stored = _stored(bank)
    del stored["number"], stored["name"]
    table = schema.banks
    changed = connection.execute(update(table).where(table.c.number == bank.number).values(stored))
    return bool(changed.rowcount)


def insert_bank(connection: Connection, bank: Bank) -> None:
    """Store a bank under its own number."""
    connection.execute(insert(schema.banks).values(_stored(bank)))


def _stored(bank: Bank) -> dict[str, object]:
    return asdict(bank) | {"organisations": sorted(bank.organisations)}
