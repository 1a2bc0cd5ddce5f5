"""The day, and the time, that registrations, withdrawals, keys and acts are dated by."""

from __future__ import annotations

from datetime import UTC, datetime


def today() -> str:
    """Return today's ISO date, UTC."""
    return datetime.now(UTC).date().isoformat()


def now_s() -> int:
    """Return the seconds since 1970, UTC."""
    return int(datetime.now(UTC).timestamp())
