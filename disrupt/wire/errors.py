"""Convert errors to google.rpc.Status with its details, and what a call got of it to errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

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
    UsedQuota,
    Violation,
)

DOMAIN = "disrupt"
DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata entry that carries the google.rpc.Status."""

_VIOLATIONS_MAX = 8
_DESCRIPTION_BYTES_MAX = 200
_MESSAGE_BYTES_MAX = 1000
"""Clients refuse more than 8 KiB of metadata. The message is in it twice: percent-encoded, up to
three bytes for each, and in base64 with the violations."""

_CODES = {code.name: code for code in grpc.StatusCode}


def status(error: DisruptError) -> grpc.Status:
    """Return the code, message and trailing metadata that report ``error`` to a caller."""
    return rpc_status.to_status(status_message(error))


def status_message(error: DisruptError) -> status_pb2.Status:
    """Return ``error`` as a google.rpc.Status with its details."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    details: list[Message] = [info]
    if error.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in error.violations[:_VIOLATIONS_MAX]:
            description = _shortened(violation.description, _DESCRIPTION_BYTES_MAX)
            bad_request.field_violations.add(field=violation.field, description=description)
        details.append(bad_request)
    if error.quotas:
        failure = error_details_pb2.QuotaFailure()
        for quota in error.quotas[:_VIOLATIONS_MAX]:
            description = _shortened(quota.description, _DESCRIPTION_BYTES_MAX)
            failure.violations.add(subject=quota.subject, description=description)
        details.append(failure)
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(retry)
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    code: int = _CODES[error.status].value[0]
    message = _shortened(error.message, _MESSAGE_BYTES_MAX)
    return status_pb2.Status(code=code, message=message, details=packed)


def reason_of(details: bytes) -> str | None:
    """Return the reason in a value of DETAILS_KEY, which this module made; None without one."""
    info = error_details_pb2.ErrorInfo()
    packed = status_pb2.Status.FromString(details).details
    return info.reason if any(detail.Unpack(info) for detail in packed) else None


def details_of(error: grpc.RpcError) -> Sequence[Any]:
    """Return the details of a failed call's google.rpc.Status; none where it has none to read."""
    # the stubs do not know that the pairs can be unpacked
    for key, value in cast("Iterable[tuple[str, bytes]]", error.trailing_metadata() or ()):
        if key == DETAILS_KEY:
            with contextlib.suppress(DecodeError):
                return status_pb2.Status.FromString(value).details
    return ()


def error_of(code: str, message: str, details: Iterable[Any]) -> DisruptError:
    """Make the error that a gRPC status reports: its code's name, its message and its details.

    The class follows from the ErrorInfo reason. A reason that this version does not know gets the
    class of its code, and keeps its name.
    """
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    quota_failure, retry = error_details_pb2.QuotaFailure(), error_details_pb2.RetryInfo()
    for detail in details:
        for known in (info, bad_request, quota_failure, retry):
            if detail.Is(known.DESCRIPTOR):
                with contextlib.suppress(DecodeError):
                    detail.Unpack(known)
    delay = retry.retry_delay
    retry_after_s = delay.seconds + delay.nanos / 1e9 if retry.HasField("retry_delay") else None
    known_class = _BY_REASON.get(info.reason)
    error_class = known_class or _class_of(code, retryable=retry_after_s is not None)
    # keep the server's words where the constructor of a class fixes its message
    error = error_class.__new__(error_class)
    DisruptError.__init__(
        error,
        message,
        violations=tuple(
            Violation(violation.field, violation.description)
            for violation in bad_request.field_violations
        ),
        quotas=tuple(
            UsedQuota(violation.subject, violation.description)
            for violation in quota_failure.violations
        ),
        retry_after_s=retry_after_s,
    )
    error.metadata = dict(info.metadata)
    if known_class is None:
        error.status = code
        error.reason = info.reason or error.reason
    return error


def _classes(root: type[DisruptError]) -> Iterator[type[DisruptError]]:
    yield root
    for subclass in root.__subclasses__():
        yield from _classes(subclass)


_BY_REASON = {error_class.reason: error_class for error_class in _classes(DisruptError)}
_BY_CODE: dict[str, type[DisruptError]] = {
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


def _class_of(code: str, *, retryable: bool) -> type[DisruptError]:
    if code == "RESOURCE_EXHAUSTED":
        # gRPC itself gives this code to messages over the limit, without details.
        return OverloadedError if retryable else LimitExceededError
    return _BY_CODE.get(code, DisruptError)


def _shortened(text: str, most_bytes: int) -> str:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most_bytes:
        return encoded.decode()
    ellipsis = "…"
    kept = encoded[: most_bytes - len(ellipsis.encode())]
    return kept.decode("utf-8", "ignore") + ellipsis
