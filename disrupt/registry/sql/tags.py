"""Tags, by which staff tell cases and origins apart, in one transaction of the caller."""

import secrets
from datetime import date, timedelta

from sqlalchemy import Connection, func, select, update

from disrupt.core.review import TAG_BYTES, TAGGED_DAYS
from disrupt.registry.sql import schema

_AT_ONCE = 10_000
"""Most tags that one call erases: some tens of milliseconds, in which nobody else writes."""


def of_case(connection: Connection, case_id: int, day: str) -> bytes:
    """Return the tag of a case, drawn if it has none, and note that it is needed on this day."""
    cases = schema.cases.c
    tag: bytes = connection.execute(
        update(schema.cases)
        .where(cases.id == case_id)
        .values(tag=func.coalesce(cases.tag, secrets.token_bytes(TAG_BYTES)), tagged_on=day)
        .returning(cases.tag)
    ).scalar_one()
    return tag


def forget(connection: Connection, *, day: str) -> bool:
    """Erase tags that are ``TAGGED_DAYS`` old on a day; tell whether more may be."""
    cases, items = schema.cases.c, schema.items.c
    last = (date.fromisoformat(day) - timedelta(TAGGED_DAYS)).isoformat()
    old_cases = select(cases.id).where(cases.tagged_on <= last).limit(_AT_ONCE)
    old_items = (
        select(items.number)
        .where(items.origin_tag.is_not(None), items.registered_on <= last)
        .limit(_AT_ONCE)
    )
    erased = (
        update(schema.cases).where(cases.id.in_(old_cases)).values(tag=None, tagged_on=None),
        update(schema.items).where(items.number.in_(old_items)).values(origin_tag=None),
    )
    counts = [connection.execute(erase).rowcount for erase in erased]
    return _AT_ONCE in counts
