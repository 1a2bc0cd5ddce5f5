"""Logs: one JSON object per line on standard error.

No line holds media, a hash, a PIN, the secret of a key, or the address of a caller.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
import traceback
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict


class _StandardError:
    """Standard error that drops what cannot be written.

    Neither a full disk nor a pipe that nobody reads may stop the server. A pipe with room takes a
    line of PIPE_BUF bytes at once.
    """

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: closed
            line = text.encode("utf-8", "backslashreplace")
            descriptor = sys.stderr.fileno()
            if len(line) > select.PIPE_BUF:
                line = line[: select.PIPE_BUF - 1] + b"\n"
            _, has_room, _ = select.select((), (descriptor,), (), 0)
            if has_room:
                os.write(descriptor, line)

    def flush(self) -> None:
        """Nothing is kept back."""


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


def frames(error: BaseException) -> list[str]:
    """Return where an error was raised; neither message nor locals, which could quote a caller."""
    return traceback.format_tb(error.__traceback__)


def unread_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error of a task or callback that nobody waits for: an event loop's handler."""
    error = context.get("exception")
    kind, raised = (type(error).__name__, frames(error)) if error else ("", [])
    structlog.get_logger(__name__).error("error_unread", kind=kind, frames=raised)
