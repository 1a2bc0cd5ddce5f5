"""Logs: one JSON object per line on standard error; never media, hashes, PINs, keys, addresses."""

from __future__ import annotations

import sys

import structlog
from structlog.typing import EventDict


def configure(role: str, level: str = "info") -> None:
    """For this process; ``role`` is on every line, and those below ``level`` are left out."""

    def add_role(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["role"] = role
        return event

    structlog.configure(
        processors=[
            add_role,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
