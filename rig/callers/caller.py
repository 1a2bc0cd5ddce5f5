"""A caller of a real server: stubs with a key, hashes and requests to send."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.distinctiveness.limits import limits_bits
from disrupt.v1 import match_pb2, registration_pb2, types_pb2
from disrupt.v1.feed_pb2_grpc import FeedServiceStub
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from disrupt.v1.review_pb2_grpc import ReviewServiceStub

PIN = "123456789012"
MESSAGE_BYTES = 33 * 2**20
"""Largest message, unless the configuration says otherwise."""
TIMEOUT_S = 120.0
"""Ends calls that hang. It is so long that no test depends on it."""


@dataclass(frozen=True)
class Caller:
    """One connection to one worker, and a key."""

    channel: grpc.Channel
    key: str | None

    def __call__(self, method: str, request: Any, *, timeout: float | None = TIMEOUT_S) -> Any:
        """Call ``method`` of whichever service has it."""
        metadata = [("authorization", f"Bearer {self.key}")] if self.key is not None else []
        services = (MatchServiceStub, RegistrationServiceStub, FeedServiceStub, ReviewServiceStub)
        for stub in services:
            connected: Any = stub(self.channel)
            if hasattr(connected, method):
                call = getattr(connected, method)
                return call(request, timeout=timeout, metadata=metadata, wait_for_ready=True)
        raise AssertionError(method)


@contextmanager
def calling(address: str, key: str | None, *, large: bool = False) -> Iterator[Caller]:
    """Yield a caller with a connection of its own."""
    options: list[tuple[str, int]] = [("grpc.use_local_subchannel_pool", 1)]
    if large:
        options.append(("grpc.max_send_message_length", -1))
    with grpc.insecure_channel(address, options=options) as channel:
        yield Caller(channel, key)


@dataclass(frozen=True)
class Refused:
    """An error as a caller sees it."""

    code: grpc.StatusCode
    message: str
    reason: str
    domain: str
    fields: tuple[str, ...]
    retry_after_s: float | None
    quotas: tuple[tuple[str, str], ...] = ()


def refusal(call: Callable[[], Any]) -> Refused:
    """Return the error of a call that must fail."""
    try:
        call()
    except grpc.RpcError as error:
        return refused_of(error)
    raise AssertionError("the call succeeded")


def outcome(call: Callable[[], Any]) -> grpc.StatusCode:
    """Return the code that a call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def refused_of(error: Any) -> Refused:
    """Return the error with its google.rpc details."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry, quota = error_details_pb2.RetryInfo(), error_details_pb2.QuotaFailure()
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert status.message == error.details()
            for detail in status.details:
                assert any(detail.Unpack(known) for known in (info, bad, retry, quota))
    return Refused(
        error.code(),
        error.details(),
        info.reason,
        info.domain,
        tuple(violation.field for violation in bad.field_violations),
        retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
        tuple((violation.subject, violation.description) for violation in quota.violations),
    )


def register(
    *hashes: bytes,
    case: str = "",
    request_id: bytes | None = None,
    pin: str = PIN,
    quality: int = 90,
) -> registration_pb2.RegisterHashesRequest:
    """Return a registration of one picture for each hash."""
    return registration_pb2.RegisterHashesRequest(
        context=registration_pb2.RegistrationContext(
            request_id=request_id or secrets.token_bytes(16),
            access=registration_pb2.CaseAccess(case_number=case, pin=pin),
            age_band=registration_pb2.AGE_BAND_ADULT,
        ),
        items=[
            registration_pb2.MediaItem(
                kind=types_pb2.MEDIA_KIND_IMAGE,
                fingerprints=types_pb2.Fingerprints(hashes=value, qualities=bytes([quality])),
            )
            for value in hashes
        ],
    )


def access(case: str, pin: str = PIN) -> registration_pb2.CaseAccess:
    """Return number and PIN as a message."""
    return registration_pb2.CaseAccess(case_number=case, pin=pin)


def lookup(*hashes: bytes, **options: Any) -> match_pb2.MatchHashesRequest:
    """Return a lookup of hashes."""
    return match_pb2.MatchHashesRequest(
        hashes=b"".join(hashes), options=match_pb2.MatchOptions(**options)
    )


def distinctive() -> bytes:
    """Return a random hash which, like those near it, says enough to match at 31 bits."""
    while True:
        value = secrets.token_bytes(32)
        hashes = np.frombuffer(value + near(value, 31) + near(value, 32), np.uint8)
        if (limits_bits(hashes.reshape(3, 32)) >= MAX_DISTANCE_BITS).all():
            return value


def near(value: bytes, bits: int) -> bytes:
    """Return a hash ``bits`` bits away."""
    return (int.from_bytes(value) ^ ((1 << bits) - 1)).to_bytes(32)


def items(response: match_pb2.MatchHashesResponse) -> list[bytes]:
    """Return the item ids of an answer, in its order."""
    packed = response.matches.item_ids
    return [packed[at : at + 16] for at in range(0, len(packed), 16)]


def health(address: str, service: str = "") -> Any:
    """Return the health of a service as a worker says it."""
    with calling(address, None) as caller:
        stub: Any = health_pb2_grpc.HealthStub(caller.channel)
        request = health_pb2.HealthCheckRequest(service=service)
        return stub.Check(request, timeout=TIMEOUT_S, wait_for_ready=True).status


def matches(address: str, key: str, value: bytes) -> int:
    """Count the items that match a hash."""
    with calling(address, key) as caller:
        return len(items(caller("MatchHashes", lookup(value))))
