"""Follow the hotline, report to it, and pass outcomes on: each again and again."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable

import structlog

import disrupt
from disrupt.core.mirrors import FeedPage
from disrupt.durable_queue import DurableQueue
from disrupt.errors import (
    CursorExpiredError,
    DisruptError,
    InvalidRequestError,
    NotFoundError,
    QuotaExceededError,
)
from disrupt.feed.mirror import Mirror, now
from disrupt.server.metrics import families
from disrupt.server.mirror.hotline import Hotline
from disrupt.wire import feed as wire

POLL_S = 0.3
"""Pause between two pages once all has been read: a change matches within a second."""
REPORT_S = 10.0
"""Pause between two reports."""
SEND_S = 1.0
"""Pause between two looks at outcomes to pass on."""

_RETRY_S = 2.0
"""Pause after the hotline could not be asked."""
_DISPUTES_RETRY_S = 600.0
"""Pause in disputes once the hotline takes no more on this day; other outcomes are passed on."""
_HASHES_AT_ONCE = 100_000
"""Hashes from which on pages are applied though more follow; until then all are, together, so that
an item which goes and comes is never gone for longer than a call."""

_log = structlog.get_logger(__name__)


class Following:
    """Makes the calls of a mirror, and applies what comes, in threads."""

    def __init__(
        self,
        mirror: Mirror,
        hotline: Hotline,
        outcomes: DurableQueue,
        *,
        hashes_at_once: int = _HASHES_AT_ONCE,
        retry_s: float = _RETRY_S,
    ) -> None:
        self._mirror = mirror
        self._hashes_at_once = hashes_at_once
        self._retry_s = retry_s
        self._hotline = hotline
        self._outcomes = outcomes
        self._applying = asyncio.Lock()
        self._faults: dict[str, str] = {}
        self._disputes_s = 0.0
        """Time of the monotonic clock until which the hotline takes no disputes."""

    def report(self) -> dict[str, object]:
        """Set the metrics; return what the supervisor tells operators."""
        age_s = self._mirror.age_s()
        families.MIRROR_AGE.set(value=age_s)
        families.MIRROR_OUTCOMES.set(value=len(self._outcomes))
        return {"lag_ms": round(age_s * 1000)} if math.isfinite(age_s) else {}

    async def follow(self) -> None:
        """Ask for changes until there are no more, and apply them."""

        async def once() -> None:
            while not await self._follow():
                pass

        await self._logged("mirror_fault", once())

    async def _follow(self) -> bool:
        """Apply some pages; tell whether nothing follows."""
        asked = now()
        try:
            page = await self._hotline.page(self._mirror.cursor)
            while not page.caught_up and _hashes(page) < self._hashes_at_once:
                page = page.joined(await self._hotline.page(page.cursor))
        except (CursorExpiredError, InvalidRequestError) as error:
            if not self._mirror.cursor or not _is_of_cursor(error):
                raise
            async with self._applying:
                await asyncio.to_thread(self._mirror.start_over)
            return False
        async with self._applying:
            await asyncio.to_thread(self._mirror.apply, page, asked)
        return page.caught_up and bool(self._mirror.cursor)

    async def tell(self) -> None:
        """Report how far this mirror is, and what its files hold no more."""

        async def once() -> None:
            cursor = self._mirror.cursor
            if not cursor:
                return
            async with self._applying:
                erased = await asyncio.to_thread(self._mirror.erased_cursor)
            request = wire.mirror_request(cursor, erased, disrupt.__version__)
            try:
                await self._hotline.call("ReportMirror", request)
            except CursorExpiredError:
                return  # `follow` starts over

        await self._logged("mirror_report_fault", once())

    async def send(self) -> None:
        """Pass on the outcomes that wait, in their order; those that are refused are dropped."""

        async def once() -> None:
            for entry in await asyncio.to_thread(self._outcomes.entries):
                request, is_dispute = wire.queued_outcome(entry)
                if is_dispute and time.monotonic() < self._disputes_s:
                    continue
                try:
                    await self._hotline.call("ReportItemOutcome", request)
                    result = "sent"
                except QuotaExceededError as error:
                    _log.warning("outcomes_wait", reason=error.message)
                    self._disputes_s = time.monotonic() + _DISPUTES_RETRY_S
                    continue
                except (NotFoundError, InvalidRequestError):
                    result = "dropped"
                await asyncio.to_thread(self._outcomes.remove, entry)
                families.MIRROR_OUTCOMES_PASSED.add(result)

        await self._logged("outcomes_wait", once())

    async def _logged(self, event: str, work: Awaitable[None]) -> None:
        """Do something; where it fails, log that once, and wait."""
        try:
            await work
        except (DisruptError, OSError) as error:
            self._log_once(event, str(error))
            await asyncio.sleep(self._retry_s)
        else:
            self._faults.pop(event, None)

    def _log_once(self, event: str, reason: str) -> None:
        if self._faults.get(event) != reason:
            self._faults[event] = reason
            _log.error(event, reason=reason)


def _is_of_cursor(error: DisruptError) -> bool:
    """Tell whether the hotline does not know the cursor, of this registry or of any."""
    return isinstance(error, CursorExpiredError) or any(
        violation.field == "cursor" for violation in error.violations
    )


def _hashes(page: FeedPage) -> int:
    return sum(len(item.fingerprints) for item in page.items.values() if item)
