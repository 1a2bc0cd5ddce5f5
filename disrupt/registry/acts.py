"""The log of acts: written in the transaction of what was done, and read in pages."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from disrupt.core.acts import Act, ActRecord, recorded
from disrupt.registry import schema
from disrupt.registry.contract import BYTES_AT_ONCE


def append(connection: Connection, act: Act) -> None:
    """Append an act to the log."""
    newest = select(schema.acts).order_by(schema.acts.c.number.desc()).limit(1)
    row = connection.execute(newest).first()
    record = recorded(act, None if row is None else _record(row))
    connection.execute(insert(schema.acts).values(asdict(record)))


def page(connection: Connection, after: int, limit: int) -> Sequence[ActRecord]:
    """Return the acts after a number, oldest first, of at most BYTES_AT_ONCE but for the first."""
    acts = schema.acts.c
    query = select(schema.acts).where(acts.number > after).order_by(acts.number).limit(limit)
    records = list[ActRecord]()
    read_bytes = 0
    for row in connection.execute(query):
        read_bytes += len(row.subject)
        if records and read_bytes > BYTES_AT_ONCE:
            break
        records.append(_record(row))
    return records


def _record(row: Row[Any]) -> ActRecord:
    return ActRecord(row.number, row.at_s, row.actor, row.action, row.subject, row.digest)
