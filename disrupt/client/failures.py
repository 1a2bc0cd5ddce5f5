"""Convert failed calls to classes of disrupt.errors, with advice on connections."""

from __future__ import annotations

import grpc

from disrupt.errors import DisruptError
from disrupt.wire.errors import details_of, error_of

_LOST_STATUS = "Internal error from Core"
"""Message of grpc.aio where a call ended while it was sending; its own status is lost."""

_WRONG_NAME = "does not match SSL server name"
_USE_ITS_NAME = (
    "its certificate is for another name. Use a name that the certificate has, or give the server a"
    " certificate for this one."
)
_CLOSED = "Socket closed"
_ADVICE = {
    "WRONG_VERSION_NUMBER": "what listens there does not speak TLS, and this client does, beyond "
    "this machine and where tls_ca is given. Is the port right, and has the server a certificate?",
    _WRONG_NAME: _USE_ITS_NAME,
    "Hostname Verification Check failed": _USE_ITS_NAME,
    "certificate has expired": "its certificate has expired, or one of the two clocks is wrong. The"
    " server needs a new certificate.",
    "CERTIFICATE_VERIFY_FAILED": "its certificate is signed by no authority that is trusted here. "
    "Name the authority's PEM file with tls_ca.",
    _CLOSED: "it closed the connection. The address may ask for a client certificate, or refuse the"
    " one that it was shown: give client_cert and client_key (--client-cert, --client-key).",
    "Connection refused": "nothing listens there. Is it running, and is the port right?",
    "errors resolving": "its name is not known. Is the address right?",
}
"""Advice by what gRPC says of a connection that could not be made."""
_SPEAK_TLS = (
    "it closed the connection. On this machine this client speaks plaintext unless tls_ca is given:"
    " if the server has a certificate, name its authority's PEM file with tls_ca."
)
_ANY_ADVICE = "is it running there, and is the address right?"


def failure(error: grpc.RpcError, server: str, *, uses_tls: bool = False) -> DisruptError:
    """Convert a failed call of the sync or async API; ``server`` is the address that was called.

    A connection that could not be made is an UnavailableError with advice.
    """
    status = error.code().name
    text = error.details() or ""
    details = details_of(error)
    if status == "CANCELLED" or (status == "INTERNAL" and text == _LOST_STATUS):
        # This client cancels no call and goes on; a server that drains does.
        status = "UNAVAILABLE"
    if _WRONG_NAME in text:
        status = "UNAVAILABLE"  # gRPC reports UNAUTHENTICATED, which would be about keys
    if status == "UNAVAILABLE" and not details:
        advice = _advice(text, uses_tls=uses_tls)
        text = f"No answer from the server at {server}: {advice} ({text})"
    return error_of(status, text or f"The call failed with {status}.", details)


def _advice(text: str, *, uses_tls: bool) -> str:
    """Return what to do about a connection of which gRPC says ``text``."""
    if _CLOSED in text and not uses_tls:
        return _SPEAK_TLS
    return next((advice for sign, advice in _ADVICE.items() if sign in text), _ANY_ADVICE)
