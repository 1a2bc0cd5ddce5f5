"""Open calls end once their key does not allow them any more, and no others."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from disrupt.core.policy import ApiKey, Right
from disrupt.errors import (
    DisruptError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from disrupt.server.calls.revocation import OpenCalls
from disrupt.services.keys import KeyRing

DAY, NEXT_DAY = "2026-01-01", "2026-01-02"
RIGHTS = frozenset([Right.MATCH, Right.OPERATOR])
KEPT, OTHER = (
    ApiKey(key_id, "p", bytes([number]) * 32, RIGHTS, frozenset([1, 2]), DAY)
    for number, key_id in enumerate(("0a1b2c3d", "4e5f6a7b"))
)


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (None, UnauthenticatedError),
        (replace(OTHER, revoked_on=NEXT_DAY), UnauthenticatedError),
        (replace(OTHER, expires_on=DAY), UnauthenticatedError),
        (replace(OTHER, rights=frozenset([Right.STAFF, Right.FEED])), PermissionDeniedError),
        (replace(OTHER, banks=frozenset([2, 3])), UnavailableError),
        (replace(OTHER, organisation="other"), UnavailableError),
        (replace(OTHER, rights=frozenset([Right.MATCH, Right.FEED])), UnavailableError),
    ],
    ids=[
        *("gone", "revoked", "expired", "without the right", "with fewer banks"),
        "of another organisation",
        "with a shorter reach",
    ],
)
def test_open_calls_end_once_their_key_does_not_allow_them_and_others_go_on(
    changed: ApiKey | None, error: type[DisruptError]
) -> None:
    calls = OpenCalls()
    ring = KeyRing([KEPT, changed] if changed else [KEPT], (), day=NEXT_DAY)

    async def wait(key: ApiKey) -> None:
        async with calls.while_valid(key, Right.MATCH):
            try:
                await asyncio.Event().wait()
            finally:
                calls.end_refused(ring)  # a second time, while the call is ending

    async def change() -> None:
        kept, ended = (asyncio.create_task(wait(key)) for key in (KEPT, OTHER))
        await asyncio.sleep(0)
        calls.end_refused(ring)
        with pytest.raises(error):
            await asyncio.wait_for(ended, 20)
        assert not kept.done()
        kept.cancel()

    asyncio.run(change())


@pytest.mark.parametrize(
    "changed",
    [
        replace(OTHER, expires_on=NEXT_DAY),
        replace(OTHER, rights=RIGHTS | {Right.FEED}),
        replace(OTHER, banks=frozenset([1, 2, 3])),
    ],
    ids=["on its last day", "with another right", "with another bank"],
)
def test_open_calls_go_on_while_their_key_allows_them(changed: ApiKey) -> None:
    calls = OpenCalls()

    async def call() -> None:
        async with calls.while_valid(OTHER, Right.MATCH):
            calls.end_refused(KeyRing([changed], (), day=NEXT_DAY))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(call())
