"""Logs: one JSON object per line on standard error; never media, hashes, secrets, addresses."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO, cast

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


def name_keys(name_of: Callable[[str], str]) -> None:
    """Add ``key_name``, which ``name_of`` returns, to each line of this process with a ``key_id``.

    Call it after ``configure``. Any thread may log.
    """

    def add_name(_logger: object, _method: str, event: EventDict) -> EventDict:
        if "key_id" in event:
            event["key_name"] = name_of(event["key_id"])
        return event

    structlog.configure(processors=[add_name, *structlog.get_config()["processors"]])


def configure(role: str, level: str = "info") -> None:
    """Configure this process's logs: every line has ``role`` and its process id, ``pid``.

    Lines below ``level`` are dropped.
    """
    pid = os.getpid()

    def add_process(_logger: object, _method: str, event: EventDict) -> EventDict:
        event["role"], event["pid"] = role, pid
        return event

    structlog.configure(
        processors=[
            add_process,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Write each line at once, so that lines of several processes do not mix.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _StandardError())),
    )
