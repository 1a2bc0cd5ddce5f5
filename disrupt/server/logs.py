"""Logs: one JSON object per line on standard error; never media, hashes, PINs, keys, addresses."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict


class _StandardError:
    """Standard error that drops what cannot be written: a full disk must not stop the server."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure(role: str, level: str = "info") -> None:
    """Configure this process's logs: every line has ``role``, lines below ``level`` are dropped."""

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
        # Write each line at once, so that lines of several processes do not mix.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _StandardError())),
    )
