"""Report the health of each service over gRPC's health protocol.

docs/watch.md says what each name means. Every function here checks once; see ``forever``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from disrupt.errors import DisruptError, OverloadedError
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.registry.contract import RegistryWriter
from disrupt.server.admission.pool import Pool
from disrupt.server.calls.watches import HealthServicer
from disrupt.server.following import Following

OVERALL = ""
MATCH = "disrupt.v1.MatchService"
FEED = "disrupt.v1.FeedService"
REGISTRATION = "disrupt.v1.RegistrationService"
WRITTEN = (REGISTRATION, "disrupt.v1.ReviewService", "disrupt.v1.ErasureService")
"""Services that the writer answers: they serve where it does."""

WRITER_LOOK_S = 1.0
"""Pause between two checks of the writer by a worker."""
STORAGE_LOOK_S = 5.0
"""Pause between two checks of the storage by the writer; each writes a page and waits for it."""

_ANSWER_WITHIN_S = 5.0
"""A writer that does not answer for so long hangs: a check waits for no other call."""
_WRITE_WITHIN_S = 10.0
"""A registration that is large, or many, may hold the database for some seconds."""

_WITHOUT_DECODER_S = 10.0
"""A process that decodes starts within a second or two, on a busy machine, too, and a picture takes
5 s of its time at most."""

_log = structlog.get_logger(__name__)


class Health:
    """The statuses of one process. A change for the worse is logged as an error."""

    def __init__(self) -> None:
        """Start with no service serving."""
        self.servicer = HealthServicer()
        self._serving: dict[str, bool] = {}

    def serves(self, service: str) -> bool:
        """Tell whether a service serves, as was last set."""
        return self._serving.get(service, False)

    async def tell(self, services: Sequence[str], *, serving: bool, reason: str) -> None:
        """Set whether services serve; ``reason`` is logged for each that does not any more."""
        for service in services:
            await self._tell(service, serving=serving, reason=reason)

    async def _tell(self, service: str, *, serving: bool, reason: str) -> None:
        if serving != self._serving.get(service):
            if not serving:
                _log.error("not_serving", service=service, reason=reason)
            elif service in self._serving:
                _log.info("serving_again", service=service)
            self._serving[service] = serving
        states = health_pb2.HealthCheckResponse
        await self.servicer.set(service, states.SERVING if serving else states.NOT_SERVING)


async def look_at_index(
    health: Health, following: Following, hashing: IsolatedHashing, most_behind_s: float
) -> None:
    """Check, in a worker, that index and keys are not older than ``most_behind_s``.

    Lookups and the feed need both, and lookups a decoder of pictures. Raises UnavailableError where
    index or keys are too old to serve on.
    """
    behind_s = following.behind_s()
    following.check()
    fresh = behind_s <= most_behind_s
    reason = f"The registry was last followed {behind_s:.0f} s ago."
    await health.tell([FEED], serving=fresh, reason=reason)
    if fresh and not following.serving:
        reason = "There is no index."
    serving = fresh and following.serving
    without_s = max(hashing.without_decoder_s(), hashing.silent_s())
    if serving and without_s > _WITHOUT_DECODER_S:
        serving = False
        reason = f"No process that decodes pictures has started or answered for {without_s:.0f} s."
    await health.tell([MATCH, OVERALL], serving=serving, reason=reason)


async def look_at_writer(health: Health, channel: aio.Channel) -> None:
    """Check, in a worker, that the writer answers and can write, as what it serves needs."""
    writer: Any = health_pb2_grpc.HealthStub(channel)  # the stubs do not know its calls
    request = health_pb2.HealthCheckRequest(service=REGISTRATION)
    try:
        answer = await writer.Check(request, timeout=_ANSWER_WITHIN_S)
    except aio.AioRpcError as error:
        reason = f"The writer does not answer ({error.code().name})."
        await health.tell(WRITTEN, serving=False, reason=reason)
    else:
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        await health.tell(WRITTEN, serving=serving, reason="The writer cannot write.")


async def look_at_storage(health: Health, registry: RegistryWriter, pools: Sequence[Pool]) -> None:
    """Check, in the writer, that storage takes writes and that threads work.

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
        await health.tell(WRITTEN, serving=False, reason=reason)
    reason = await writing
    await health.tell(WRITTEN, serving=not reason, reason=reason)
