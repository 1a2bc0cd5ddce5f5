"""Convert errors to google.rpc.Status with details."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from disrupt.errors import DisruptError, QuotaExceededError

DOMAIN = "disrupt"
DETAILS_KEY = "grpc-status-details-bin"
"""Trailing metadata entry that carries the google.rpc.Status."""

_VIOLATIONS_MAX = 8
_DESCRIPTION_BYTES_MAX = 200
_MESSAGE_BYTES_MAX = 1000
"""Clients refuse more than 8 KiB of metadata. The message is in it twice: percent-encoded, up to
three bytes for each, and in base64 with the violations."""

_CODES = {code.name: code for code in grpc.StatusCode}


def details(error: DisruptError) -> list[Message]:
    """Return ErrorInfo, and BadRequest, RetryInfo and QuotaFailure where they have anything."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    details: list[Message] = [info]
    if error.violations:
        bad_request = error_details_pb2.BadRequest()
        for violation in error.violations[:_VIOLATIONS_MAX]:
            description = _shortened(violation.description, _DESCRIPTION_BYTES_MAX)
            bad_request.field_violations.add(field=violation.field, description=description)
        details.append(bad_request)
    if error.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_s * 1000))
        details.append(retry)
    if isinstance(error, QuotaExceededError):
        failure = error_details_pb2.QuotaFailure()
        subject = f"organisation:{error.metadata['organisation']}"
        failure.violations.add(subject=subject, description=error.metadata["quota"])
        details.append(failure)
    return details


def status(error: DisruptError) -> grpc.Status:
    """Return the code, message and trailing metadata that report ``error`` to a caller."""
    packed = []
    for detail in details(error):
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    code: int = _CODES[error.status].value[0]
    message = _shortened(error.message, _MESSAGE_BYTES_MAX)
    return rpc_status.to_status(status_pb2.Status(code=code, message=message, details=packed))


def _shortened(text: str, most_bytes: int) -> str:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most_bytes:
        return encoded.decode()
    ellipsis = "…"
    kept = encoded[: most_bytes - len(ellipsis.encode())]
    return kept.decode("utf-8", "ignore") + ellipsis
