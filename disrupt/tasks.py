"""Tasks whose errors nobody waits for any more."""

from __future__ import annotations

import asyncio
from typing import Any


def ignore_error(task: asyncio.Future[Any]) -> None:
    """Retrieve the error of a task that is done, so that the event loop does not report it."""
    if not task.cancelled():
        task.exception()
