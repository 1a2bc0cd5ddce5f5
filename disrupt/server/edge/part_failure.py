"""End the process where a part of it fails, so that it is started anew.

What a server process does beside its calls runs in ``vital`` tasks, and in threads that these, or
calls, wait for. No part is restarted alone, since a failure may leave anything half done: the
supervisor starts a new process, in a clean state, and whoever runs the server a new supervisor.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, NoReturn

import structlog

_FAILED = 70
"""Exit code of a process that ended because a part of it failed: EX_SOFTWARE of sysexits.h."""

_log = structlog.get_logger(__name__)


def install_handlers() -> None:
    """Prepare this process and its running event loop, before they do anything else.

    An error in a thread that nobody waits for ends the process. One in a task or callback that
    nobody waits for is logged. SIGHUP, which a closing terminal sends, is logged too.
    """
    threading.excepthook = _thread_failed
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_log_unread)
    loop.add_signal_handler(signal.SIGHUP, _log.warning, "hangup_ignored")


def vital(name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task that the process cannot do without: if it fails, the process ends.

    It may return, and whoever started it may cancel it.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_end_if_failed)
    return task


async def forever(step: Callable[[], Awaitable[None]], pause_s: float) -> NoReturn:
    """Await ``step`` again and again, with a pause after each time."""
    while True:
        await step()
        await asyncio.sleep(pause_s)


def end_process(part: str, error: BaseException) -> NoReturn:
    """End the process at once, without waiting for its threads, which may hang."""
    try:
        _log.critical("part_failed", part=part, kind=type(error).__name__, frames=_frames(error))
    finally:
        with suppress(BaseException):
            sys.stderr.flush()
        os._exit(_FAILED)


def _end_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        end_process(task.get_name(), error)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None and failure.exc_type is not SystemExit:
        end_process(failure.thread.name if failure.thread else "thread", failure.exc_value)


def _log_unread(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    kind, frames = (type(error).__name__, _frames(error)) if error else ("", [])
    _log.error("error_unread", kind=kind, frames=frames)


def _frames(error: BaseException) -> list[str]:
    """Return where it was raised; neither message nor locals: they could quote what was sent."""
    return traceback.format_tb(error.__traceback__)
