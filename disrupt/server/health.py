"""Health of the services over gRPC's health protocol, each by what it stands on.

docs/operations.md says what each name means. Every function here is one look; see ``forever``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from disrupt.errors import DisruptError, OverloadedError
from disrupt.hashing.isolation import IsolatedHashing
from disrupt.registry.contract import RegistryWriter
from disrupt.server.following import Following
from disrupt.server.pool import Pool
from disrupt.server.watches import HealthServicer

OVERALL = ""
MATCH = "disrupt.v1.MatchService"
FEED = "disrupt.v1.FeedService"
REGISTRATION = "disrupt.v1.RegistrationService"

WRITER_LOOK_S = 1.0
"""Pause between two looks of a worker at the writer."""
STORAGE_LOOK_S = 5.0
"""Pause between two looks of the writer at its storage; each writes a page and waits for it."""

_ANSWER_WITHIN_S = 5.0
"""A writer that does not answer for so long hangs: this call waits for no other."""
_WRITE_WITHIN_S = 10.0
"""A registration that is large, or many, may hold the database for some seconds."""

_WITHOUT_DECODER_S = 10.0
"""A process that decodes starts within a second or two, on a busy machine, too."""

_log = structlog.get_logger(__name__)


class Health:
    """The statuses of one process. A change for the worse is logged as an error."""

    def __init__(self) -> None:
        """Nothing serves yet."""
        self.servicer = HealthServicer()
        self._serving: dict[str, bool] = {}

    async def tell(self, service: str, *, serving: bool, reason: str) -> None:
        """Say whether a service serves; ``reason`` is for the log if it does not."""
        if serving != self._serving.get(service):
            if not serving:
                _log.error("not_serving", service=service, reason=reason)
            elif service in self._serving:
                _log.info("serving_again", service=service)
            self._serving[service] = serving
        states = health_pb2.HealthCheckResponse
        await self.servicer.set(service, states.SERVING if serving else states.NOT_SERVING)


async def look_at_index(
    told: Health, following: Following, hashing: IsolatedHashing, most_behind_s: float
) -> None:
    """In a worker: lookups and the feed need an index and keys not older than ``most_behind_s``.

    Lookups also need a decoder of pictures.

    Raises UnavailableError where they are too old to serve on.
    """
    behind_s = following.behind_s()
    following.check()
    fresh = behind_s <= most_behind_s
    reason = f"The registry was last followed {behind_s:.0f} s ago."
    await told.tell(FEED, serving=fresh, reason=reason)
    if fresh and not following.serving:
        reason = "There is no index."
    serving, without_s = fresh and following.serving, hashing.without_decoder_s()
    if serving and without_s > _WITHOUT_DECODER_S:
        serving, reason = False, f"No process that decodes pictures starts for {without_s:.0f} s."
    for service in (MATCH, OVERALL):
        await told.tell(service, serving=serving, reason=reason)


async def look_at_writer(told: Health, channel: aio.Channel) -> None:
    """In a worker: registrations need a writer that answers and says that it can write."""
    writer: Any = health_pb2_grpc.HealthStub(channel)  # the stubs do not know its calls
    request = health_pb2.HealthCheckRequest(service=REGISTRATION)
    try:
        answer = await writer.Check(request, timeout=_ANSWER_WITHIN_S)
    except aio.AioRpcError as error:
        reason = f"The writer does not answer ({error.code().name})."
        await told.tell(REGISTRATION, serving=False, reason=reason)
    else:
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        await told.tell(REGISTRATION, serving=serving, reason="The writer cannot write.")


async def look_at_storage(told: Health, registry: RegistryWriter, pools: Sequence[Pool]) -> None:
    """In the writer: registrations need storage that takes them, and threads that work.

    The look goes through every one of ``pools``, as calls do, so that it sees what they see.
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
        await told.tell(REGISTRATION, serving=False, reason=reason)
    reason = await writing
    await told.tell(REGISTRATION, serving=not reason, reason=reason)
