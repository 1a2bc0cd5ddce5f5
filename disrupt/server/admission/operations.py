"""Await what gRPC does for a call, and let it end by itself where the call is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from disrupt.tasks import ignore_error

_Result = TypeVar("_Result")


def outlasting(operation: Awaitable[_Result]) -> asyncio.Future[_Result]:
    """Return an operation of gRPC to await, which goes on if whoever awaits it is cancelled.

    Of a read or write that is cancelled itself gRPC would never free the message. What it raises
    after its call was given up is of no interest: any caller can cause it, as often as it likes.
    """
    task = asyncio.ensure_future(operation)
    task.add_done_callback(ignore_error)
    return asyncio.shield(task)
