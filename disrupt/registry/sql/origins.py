"""Tags of origins. Each function runs in one transaction of its caller."""

import hmac
import secrets

from sqlalchemy import Connection, delete, insert, select

from disrupt.registry.sql import schema

_TAG_BYTES = 8
_SECRET_BYTES = 32


def tag(connection: Connection, origin: bytes, day: str) -> bytes | None:
    """Return the tag of an origin, by which only those of one day can be compared; None of none."""
    if not origin:
        return None
    columns = schema.origin_secrets.c
    secret = connection.scalar(select(columns.secret).where(columns.day == day))
    if secret is None:
        forget_secrets(connection, day)
        secret = secrets.token_bytes(_SECRET_BYTES)
        connection.execute(insert(schema.origin_secrets).values(day=day, secret=secret))
    return hmac.digest(secret, origin, "sha256")[:_TAG_BYTES]


def forget_secrets(connection: Connection, day: str) -> None:
    """Delete the secrets of other days, so that nobody can make their tags again."""
    connection.execute(delete(schema.origin_secrets).where(schema.origin_secrets.c.day != day))
