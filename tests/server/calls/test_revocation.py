"""Revoking a key ends its open calls, and no others."""

from __future__ import annotations

import asyncio

import pytest

from disrupt.core.policy import ApiKey, Right
from disrupt.errors import UnauthenticatedError
from disrupt.server.calls.revocation import OpenCalls
from disrupt.services.keys import KeyRing

KEPT, REVOKED = (
    ApiKey(key_id, "p", bytes([number]) * 32, frozenset([Right.MATCH]), frozenset(), "2026-01-01")
    for number, key_id in enumerate(("0a1b2c3d", "4e5f6a7b"))
)
RING = KeyRing([KEPT], ())


def test_open_calls_end_once_their_key_is_revoked_and_others_go_on() -> None:
    calls = OpenCalls()

    async def wait(key: ApiKey) -> None:
        async with calls.while_valid(key):
            try:
                await asyncio.Event().wait()
            finally:
                calls.end_revoked(RING)  # a second time, while the call is ending

    async def revoke() -> None:
        kept, revoked = (asyncio.create_task(wait(key)) for key in (KEPT, REVOKED))
        await asyncio.sleep(0)
        calls.end_revoked(RING)
        with pytest.raises(UnauthenticatedError, match="revoked"):
            await asyncio.wait_for(revoked, 20)
        assert not kept.done()
        kept.cancel()

    asyncio.run(revoke())
