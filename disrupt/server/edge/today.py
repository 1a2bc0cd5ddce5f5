"""The day that acts, keys and cases are dated by."""

from __future__ import annotations

from datetime import UTC, datetime


def today() -> str:
    """Return today's ISO date, UTC."""
    return datetime.now(UTC).date().isoformat()
