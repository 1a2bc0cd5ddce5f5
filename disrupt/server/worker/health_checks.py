"""Check, in a worker, what lookups, feed and registrations need. Each function checks once."""

from __future__ import annotations

from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from disrupt.isolation.pictures import IsolatedHashing
from disrupt.server.edge.health import FEED, LOOKUPS, MATCH, OVERALL, REGISTRATION, Health
from disrupt.server.worker.state import WorkerState

WRITER_CHECK_S = 1.0
"""Pause between two checks of the writer."""

_ANSWER_WITHIN_S = 5.0
"""A writer that does not answer for so long hangs: a check waits for no other call."""

_WITHOUT_DECODER_S = 10.0
"""A process that decodes starts within a second or two, on a busy machine, too, and a picture takes
5 s of its time at most."""


async def check_index(
    health: Health,
    state: WorkerState,
    hashing: IsolatedHashing,
    most_behind_s: float,
    *,
    feeds: bool,
) -> None:
    """Check that index and keys are not older than ``most_behind_s``.

    Lookups need both, a decoder of pictures, and on a mirror a hotline that was followed not too
    long ago; the feed, where this server ``feeds``, needs index and keys. Raises
    UnavailableError where these are too old to serve on.
    """
    behind_s = state.behind_s()
    state.check_fresh()
    reason = state.mirror_fault or "There is no index."
    answers = state.serving and not state.mirror_fault
    health.set(LOOKUPS, serving=answers, reason=reason)
    fresh = behind_s <= most_behind_s
    stale = f"The registry was last followed {behind_s:.0f} s ago."
    if feeds:
        health.set(FEED, serving=fresh, reason=stale)
    if not fresh:
        reason = stale
    serving = fresh and answers
    without_s = max(hashing.without_decoder_s(), hashing.silent_s())
    if serving and without_s > _WITHOUT_DECODER_S:
        serving = False
        reason = f"No process that decodes pictures has started or answered for {without_s:.0f} s."
    for service in (MATCH, OVERALL):
        health.set(service, serving=serving, reason=reason)


async def check_writer(health: Health, channel: aio.Channel) -> None:
    """Check that the writer answers and can write, as registrations need."""
    writer: Any = health_pb2_grpc.HealthStub(channel)  # the stubs do not know its calls
    request = health_pb2.HealthCheckRequest(service=REGISTRATION)
    try:
        answer = await writer.Check(request, timeout=_ANSWER_WITHIN_S)
    except aio.AioRpcError as error:
        reason = f"The writer does not answer ({error.code().name})."
        health.set(REGISTRATION, serving=False, reason=reason)
    else:
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        health.set(REGISTRATION, serving=serving, reason="The writer cannot write.")
