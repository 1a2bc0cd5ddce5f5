"""Convert failed calls, with their google.rpc details, to classes of disrupt.errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    Violation,
)
from disrupt.wire.errors import DETAILS_KEY

_LOST_STATUS = "Internal error from Core"
"""Message of grpc.aio where a call ended while it was sending; its own status is lost."""

_WRONG_NAME = "does not match SSL server name"
_USE_ITS_NAME = (
    "its certificate is for another name. Use a name that the certificate has, or give the server a"
    " certificate for this one."
)
_ADVICE = {
    "WRONG_VERSION_NUMBER": "what listens there does not speak TLS, and this client does, beyond "
    "this machine and where tls_ca is given. Is the port right, and has the server a certificate?",
    _WRONG_NAME: _USE_ITS_NAME,
    "Hostname Verification Check failed": _USE_ITS_NAME,
    "certificate has expired": "its certificate has expired, or one of the two clocks is wrong. The"
    " server needs a new certificate.",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is signed by no authority that is trusted here. "
    "Name the authority's PEM file with tls_ca.",
    "Socket closed": "it closed the connection. On this machine this client speaks plaintext unless"
    " tls_ca is given: if the server has a certificate, name its authority's PEM file with tls_ca.",
    "Connection refused": "nothing listens there. Is it running, and is the port right?",
    "errors resolving": "its name is not known. Is the address right?",
}
"""Advice by what gRPC says of a connection that could not be made."""
NOT_TRUSTED = "NOT_TRUSTED"
"""Cause of the error for a certificate that is of no authority trusted here, or of another name."""
_UNTRUSTED = (_WRONG_NAME, "Hostname Verification Check failed", "CERTIFICATE_VERIFY_FAILED")
_ANY_ADVICE = "is it running there, and is the address right?"


def failure(error: grpc.RpcError, server: str) -> DisruptError:
    """Convert a failed call of the sync or async API; ``server`` is the address that was called.

    The class follows from the ErrorInfo reason. A reason that this version does not know gets the
    class of its gRPC status, and keeps its name.
    """
    status = error.code().name
    text = error.details() or ""
    if status == "CANCELLED" or (status == "INTERNAL" and text == _LOST_STATUS):
        # This client cancels no call and goes on; a server that drains does.
        status = "UNAVAILABLE"
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in _details(error):
        for known in (info, bad_request, retry):
            if detail.Is(known.DESCRIPTOR):
                with contextlib.suppress(DecodeError):
                    detail.Unpack(known)
    delay = retry.retry_delay
    retry_after_s = delay.seconds + delay.nanos / 1e9 if retry.HasField("retry_delay") else None

    known_class = _BY_REASON.get(info.reason)
    if _WRONG_NAME in text:
        status = "UNAVAILABLE"  # gRPC reports UNAUTHENTICATED, which would be about keys
    if known_class is None and status == "UNAVAILABLE" and not info.reason:
        advice = next((advice for sign, advice in _ADVICE.items() if sign in text), _ANY_ADVICE)
        if any(sign in text for sign in _UNTRUSTED):
            info.metadata["cause"] = NOT_TRUSTED
        text = f"No answer from the server at {server}: {advice} ({text})"
    elif status == "DEADLINE_EXCEEDED" and not info.reason:
        text = (
            f"No answer in time from the server at {server}: it hangs, is cut off, or needs longer"
            f" than timeout_s allows. ({text})"
        )
    converted = _new(
        known_class or _class_of(status, retryable=retry_after_s is not None),
        text or f"The call failed with {status}.",
        tuple(
            Violation(violation.field, violation.description)
            for violation in bad_request.field_violations
        ),
        retry_after_s,
        dict(info.metadata),
    )
    if known_class is None:
        converted.status = status
        converted.reason = info.reason or converted.reason
    return converted


def _classes(root: type[DisruptError]) -> Iterator[type[DisruptError]]:
    yield root
    for subclass in root.__subclasses__():
        yield from _classes(subclass)


_BY_REASON = {error_class.reason: error_class for error_class in _classes(DisruptError)}
_BY_STATUS: dict[str, type[DisruptError]] = {
    error_class.status: error_class
    for error_class in (
        InvalidRequestError,
        UnauthenticatedError,
        PermissionDeniedError,
        NotFoundError,
        UnavailableError,
        DeadlineExceededError,
        UnimplementedError,
    )
}


def _class_of(status: str, *, retryable: bool) -> type[DisruptError]:
    if status == "RESOURCE_EXHAUSTED":
        # gRPC itself gives this status to messages over the limit, without details.
        return OverloadedError if retryable else LimitExceededError
    return _BY_STATUS.get(status, DisruptError)


def _new(
    of: type[DisruptError],
    message: str,
    violations: tuple[Violation, ...],
    retry_after_s: float | None,
    metadata: dict[str, str],
) -> DisruptError:
    # Keep the server's words where the constructor of a class fixes its message.
    error = of.__new__(of)
    DisruptError.__init__(error, message, violations=violations, retry_after_s=retry_after_s)
    error.metadata = metadata
    return error


def _details(error: grpc.RpcError) -> list[Any]:
    # the stubs do not know that the pairs can be unpacked
    for key, value in cast("Iterable[tuple[str, bytes]]", error.trailing_metadata() or ()):
        if key == DETAILS_KEY:
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []
