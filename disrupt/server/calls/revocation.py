"""End calls that may last when their key does not allow them any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from disrupt.core.policy import ApiKey, Right, visible
from disrupt.errors import DisruptError, UnauthenticatedError, UnavailableError
from disrupt.services.keys import KeyRing


@dataclass(slots=True)
class _OpenCall:
    """A call: its key as that was when it began, the right that it needs, and why it ends.

    ``banks`` are those that it could search at the first look at it, None before that.
    """

    key: ApiKey
    right: Right
    banks: frozenset[int] | None = None
    error: DisruptError | None = None


class OpenCalls:
    """The open calls of one worker, with their keys. For its event loop alone."""

    def __init__(self) -> None:
        """Start with none."""
        self._calls: dict[asyncio.Timeout, _OpenCall] = {}

    @asynccontextmanager
    async def while_valid(self, key: ApiKey, right: Right) -> AsyncIterator[None]:
        """Run a call of ``key``, which needs ``right``, and end it once the key allows less.

        Raises UnauthenticatedError if the key was revoked or has expired, PermissionDeniedError if
        it lost the right, and UnavailableError if it lost a bank, or may not see it any more, as
        the call may be searching it; or its organisation, whose quotas the call counts for.
        """
        call = _OpenCall(key, right)
        try:
            async with asyncio.timeout(None) as timeout:
                self._calls[timeout] = call
                try:
                    yield
                finally:
                    del self._calls[timeout]
        except TimeoutError:
            if call.error is not None:
                raise call.error from None
            raise

    def end_refused(self, ring: KeyRing) -> None:
        """End the calls that their keys, as they are in ``ring``, do not allow any more."""
        for timeout, call in self._calls.items():
            if call.error is None and (error := _refusal(call, ring)) is not None:
                call.error = error
                timeout.reschedule(asyncio.get_running_loop().time())


def _refusal(call: _OpenCall, ring: KeyRing) -> DisruptError | None:
    try:
        key = ring.still(call.key)
        key.require(call.right)
    except UnauthenticatedError:
        return UnauthenticatedError("This key was revoked, or expired, during the call.")
    except DisruptError as error:
        return error
    if call.key.organisation != key.organisation:
        return UnavailableError(
            "This key belongs to another organisation than when the call began. Call again.",
            retry_after_s=0.0,
        )
    banks = visible(key, ring.banks)
    call.banks = banks if call.banks is None else call.banks
    if call.key.banks - key.banks or call.banks - banks:
        return UnavailableError(
            "This key may search fewer banks than when the call began. Call again.",
            retry_after_s=0.0,
        )
    # The call may be searching farther than other keys may.
    if Right.OPERATOR in call.key.rights - key.rights:
        return UnavailableError(
            "This key may search less far than when the call began. Call again.",
            retry_after_s=0.0,
        )
    return None
