"""Call a method of the SDK, by threads and by asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from disrupt.client import AsyncMatchClient, MatchClient, RetryPolicy

NEVER = "127.0.0.1:1"
"""Address at which nothing listens."""

ONCE: dict[str, Any] = {"retries": RetryPolicy(attempts=1)}

Call: TypeAlias = "Callable[..., Any]"
"""The fixture ``call``: in_thread or in_loop."""


def in_thread(
    method: str,
    *arguments: object,
    address: str = NEVER,
    key: str = "key",
    settings: Mapping[str, Any] = ONCE,
    **named: object,
) -> Any:
    """Call a method of a new MatchClient, which has ``settings``."""
    with MatchClient(address, key=key, **settings) as client:
        return getattr(client, method)(*arguments, **named)


def in_loop(
    method: str,
    *arguments: object,
    address: str = NEVER,
    key: str = "key",
    settings: Mapping[str, Any] = ONCE,
    **named: object,
) -> Any:
    """Do what ``in_thread`` does with an AsyncMatchClient."""

    async def ask() -> Any:
        async with AsyncMatchClient(address, key=key, **settings) as client:
            return await getattr(client, method)(*arguments, **named)

    return asyncio.run(ask())
