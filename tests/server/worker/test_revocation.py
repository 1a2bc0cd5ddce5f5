"""A change of a key ends its open calls where it allows less, and no others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from disrupt.core.policy import ApiKey, Right
from disrupt.errors import DisruptError, UnauthenticatedError, UnavailableError
from disrupt.server.worker.revocation import OpenCalls
from disrupt.services.keys import KeyRing

DAY = "2026-01-01"
KEPT, CHANGED = (
    ApiKey(
        key_id,
        "p",
        "o",
        bytes([number]) * 32,
        frozenset([Right.MATCH, Right.FEED]),
        frozenset([1, 2]),
        DAY,
    )
    for number, key_id in enumerate(("0a1b2c3d", "4e5f6a7b"))
)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"revoked_on": DAY}, UnauthenticatedError),
        ({"expires_on": DAY}, UnauthenticatedError),
        ({"rights": frozenset([Right.FEED, Right.STAFF])}, UnavailableError),
        ({"banks": frozenset([2, 3])}, UnavailableError),
    ],
)
def test_open_calls_end_once_their_key_allows_less_and_others_go_on(
    change: dict[str, object], refusal: type[DisruptError]
) -> None:
    calls = OpenCalls()
    more = replace(KEPT, rights=frozenset(Right), banks=frozenset([1, 2, 3]))
    ring = KeyRing([more, replace(CHANGED, **change)], day=DAY)  # type: ignore[arg-type]

    async def wait(key: ApiKey) -> None:
        async with calls.while_valid(key):
            try:
                await asyncio.Event().wait()
            finally:
                calls.end_changed(ring)  # a second time, while the call is ending

    async def follow() -> None:
        kept, changed = (asyncio.create_task(wait(key)) for key in (KEPT, CHANGED))
        await asyncio.sleep(0)
        calls.end_changed(ring)
        with pytest.raises(refusal):
            await asyncio.wait_for(changed, 20)
        assert not kept.done()
        kept.cancel()

    asyncio.run(follow())
