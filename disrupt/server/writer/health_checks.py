"""Check, in the writer, that registrations can be stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from disrupt.errors import DisruptError, OverloadedError
from disrupt.registry.registry import RegistryWriter
from disrupt.server.edge.health import REGISTRATION, Health
from disrupt.server.edge.pool import Pool

STORAGE_CHECK_S = 5.0
"""Pause between two checks; each writes a page and waits for it."""

_WRITE_WITHIN_S = 10.0
"""A registration that is large, or many, may hold the database for some seconds."""


async def check_storage(health: Health, registry: RegistryWriter, pools: Sequence[Pool]) -> None:
    """Check once that storage takes registrations and that threads work.

    The check goes through every one of ``pools``, as calls do, so that it sees what they see.
    """

    def refusal() -> str:
        try:
            registry.check_storage()
        except DisruptError as error:
            return error.message
        return ""

    async def through_pools() -> str:
        try:
            return next(filter(None, [await pool.run(refusal) for pool in pools]), "")
        except OverloadedError as error:  # more than admission lets in: nothing is worked off
            return error.message

    writing = asyncio.create_task(through_pools())
    if not (await asyncio.wait({writing}, timeout=_WRITE_WITHIN_S))[0]:
        reason = f"The registry was not written to for {_WRITE_WITHIN_S:g} s."
        health.set(REGISTRATION, serving=False, reason=reason)
    reason = await writing
    health.set(REGISTRATION, serving=not reason, reason=reason)
