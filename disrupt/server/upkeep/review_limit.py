"""Make items LIVE again that wait by a rule and that nobody has reviewed in time."""

from __future__ import annotations

import asyncio

import structlog

from disrupt.errors import DisruptError
from disrupt.registry.contract import RegistryWriter
from disrupt.server.days import now_s, today

RELEASE_LOOK_S = 60.0
"""Pause between two looks for items that have waited for long enough."""

_AT_ONCE = 1000
"""Most items of one transaction, so that no report or registration waits for long."""

_H = 3600

_log = structlog.get_logger(__name__)


async def release_overdue(registry: RegistryWriter, within_h: float) -> None:
    """Release all items that have waited for ``within_h``; where that fails, a later look does."""
    try:
        while len(await asyncio.to_thread(release, registry, within_h, now_s())) == _AT_ONCE:
            pass
    except DisruptError as error:
        _log.error("release_failed", reason=error.message)


def release(registry: RegistryWriter, within_h: float, at_s: int) -> tuple[bytes, ...]:
    """Release some items that have waited for ``within_h`` at ``at_s``; return their ids.

    The registry knows the hour in which a wait began. It counts from its end, so that no item is
    released early.
    """
    until_s = int(at_s - within_h * _H) - _H
    released = registry.release(until_s, day=today(), at_s=at_s, limit=_AT_ONCE)
    if released:
        _log.warning("items_released", item_ids=[item_id.hex() for item_id in released])
    return released
