"""Calls whose PIN waits to be checked: they wait here for a short time, else call again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from disrupt.errors import TooManyAttemptsError
from disrupt.server.edge.pool import Pool
from disrupt.services.throttle import Attempt, NotYetError

_T = TypeVar("_T")

_HELD_S = 5.0
"""Longest that a call waits here, which covers its turn in calm times and on a busy machine."""

_HELD_MAX = 32
"""Most calls that wait here at once; others get the time to come back at once."""

_POLL_S = 0.02
"""Pause between two looks at an attempt; a check takes about as long."""


class PinWaits:
    """Run use cases again when the PINs that they need are checked. For one event loop."""

    def __init__(self) -> None:
        """Start with no call that waits."""
        self._held = 0

    async def run(self, pool: Pool, use_case: Callable[..., _T]) -> _T:
        """Return what ``use_case`` returns in ``pool``, given ``now_s``.

        Raises TooManyAttemptsError where that would take long.
        """
        while True:
            try:
                return await pool.run(partial(use_case, now_s=time.monotonic()))
            except NotYetError as error:
                if not await self._answered(error.attempt):
                    raise TooManyAttemptsError(
                        "Many PINs are being tried just now. Your place is kept: come back when"
                        " this time is over. Nothing was changed.",
                        retry_after_s=error.wait_s,
                    ) from None

    async def _answered(self, attempt: Attempt) -> bool:
        """Wait until the attempt is answered; return False where that takes too long."""
        give_up_s = time.monotonic() + _HELD_S
        if self._held >= _HELD_MAX or attempt.due_s > give_up_s:
            return False
        self._held += 1
        try:
            while not attempt.answered(now_s := time.monotonic()):
                if attempt.right is None and now_s >= give_up_s:
                    return False
                await asyncio.sleep(_POLL_S)
        finally:
            self._held -= 1
        return True
