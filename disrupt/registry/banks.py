"""The banks of the registry: each function runs in one transaction of its caller."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from disrupt.core.acts import Act
from disrupt.core.policy import Bank, BankPolicy
from disrupt.errors import InvalidRequestError, NotFoundError, Violation
from disrupt.registry import acts, schema

_NUMBER_MAX = 2**16 - 1


def banks(connection: Connection) -> tuple[Bank, ...]:
    """Return all banks, by number."""
    rows = connection.execute(select(schema.banks).order_by(schema.banks.c.number))
    return tuple(map(_bank, rows))


def waits(connection: Connection, number: int) -> bool:
    """Tell whether what is registered into a bank waits for review."""
    waiting = select(schema.banks.c.waiting).where(schema.banks.c.number == number)
    return bool(connection.execute(waiting).scalar())


def insert_all(connection: Connection, new: Iterable[Bank]) -> None:
    """Insert banks with all of their policy, under the numbers that they have."""
    rows = [{"number": bank.number, "name": bank.name} | _columns(bank) for bank in new]
    connection.execute(insert(schema.banks), rows)


def add(connection: Connection, name: str, policy: BankPolicy, act: Act) -> Bank:
    """Add a bank under the next number, which no bank ever had: none is deleted."""
    present = banks(connection)
    if any(bank.name == name for bank in present):
        raise InvalidRequestError.of(
            Violation("name", f"there is a bank {name!r}: `disrupt banks set` changes it")
        )
    number = max((bank.number for bank in present), default=0) + 1
    if number > _NUMBER_MAX:
        raise InvalidRequestError.of(Violation("name", f"there are {_NUMBER_MAX} banks already"))
    bank = policy.of(Bank(number, name))
    insert_all(connection, [bank])
    acts.append(connection, _on(act, bank))
    return bank


def change(connection: Connection, name: str, policy: BankPolicy, act: Act) -> Bank:
    """Give a bank another policy, with an act if that changes anything; return it as it is now."""
    bank = next((bank for bank in banks(connection) if bank.name == name), None)
    if bank is None:
        raise NotFoundError(f"There is no bank {name!r}. `disrupt banks list` shows all.")
    changed = policy.of(bank)
    if changed != bank:
        own = schema.banks.c.number == bank.number
        connection.execute(update(schema.banks).where(own).values(**_columns(changed)))
        acts.append(connection, _on(act, changed))
    return changed


def _bank(row: Row[Any]) -> Bank:
    return Bank(
        row.number,
        row.name,
        row.max_distance_bits,
        bool(row.waiting),
        frozenset(row.visible_to),
        row.share_percent,
    )


def _columns(bank: Bank) -> dict[str, Any]:
    return {
        "max_distance_bits": bank.max_distance_bits,
        "waiting": int(bank.waiting),
        "visible_to": sorted(bank.visible_to),
        "share_percent": bank.share_percent,
    }


def _on(act: Act, bank: Bank) -> Act:
    """Return an act with a bank in its subject, as it is now."""
    return act.on(bank=bank.name, **_columns(bank))
