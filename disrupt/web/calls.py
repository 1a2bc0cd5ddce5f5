"""The calls that the page may make: decode their messages, and add what the gateway adds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from disrupt.errors import InvalidRequestError, Violation
from disrupt.v1 import registration_pb2
from disrupt.web.limits import ITEMS_MAX, REGISTRATION_BYTES_MAX, REQUEST_BYTES_MAX
from disrupt.wire.payloads import canonical_register_hashes

_SERVICE = "/disrupt.v1.RegistrationService/"


@dataclass(frozen=True, slots=True)
class Call:
    """A call: its method, how its message is decoded, and its largest size.

    Of calls that see, withdraw or keep a case, ``registers`` is False: they have places of their
    own, so that registrations never keep anybody from their case.
    """

    method: str
    decode: Callable[[bytes], Any]
    bytes_max: int = REQUEST_BYTES_MAX
    registers: bool = False


def _registration(body: bytes) -> registration_pb2.RegisterHashesRequest:
    return canonical_register_hashes(body, items_max=ITEMS_MAX)


CALLS = {
    "RegisterHashes": Call(
        f"{_SERVICE}RegisterHashes", _registration, REGISTRATION_BYTES_MAX, registers=True
    ),
    "GetCase": Call(f"{_SERVICE}GetCase", registration_pb2.GetCaseRequest.FromString),
    "WithdrawItems": Call(
        f"{_SERVICE}WithdrawItems", registration_pb2.WithdrawItemsRequest.FromString
    ),
    "WithdrawCase": Call(
        f"{_SERVICE}WithdrawCase", registration_pb2.WithdrawCaseRequest.FromString
    ),
    "KeepCase": Call(f"{_SERVICE}KeepCase", registration_pb2.KeepCaseRequest.FromString),
}


def with_origin(call: Call, body: bytes, origin_token: bytes) -> bytes:
    """Return the message of a request with the token of its origin.

    Raises InvalidRequestError unless the body is what its own fields encode to, so that nothing
    else passes, and for a token that the caller wrote itself.
    """
    try:
        message = call.decode(body)
    except DecodeError:
        raise InvalidRequestError("The body is not the message of this call.") from None
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != body:
        raise InvalidRequestError("The body has more than the fields of its message, or others.")
    access = message.context.access if call.registers else message.access
    if access.origin_token:
        violation = Violation("access.origin_token", "leave it empty: the gateway sets it")
        raise InvalidRequestError.of(violation)
    access.origin_token = origin_token
    encoded: bytes = message.SerializeToString()
    return encoded
