"""Answers to the page: messages, and errors as google.rpc.Status with a status of HTTP."""

from __future__ import annotations

from starlette.responses import Response

from disrupt.errors import DisruptError
from disrupt.web.bodies import DIGEST_HEADER, MEDIA_TYPE, content_digest
from disrupt.wire.errors import status_message

TICKET_HEADER = "Waiting-Ticket"

_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""As google/rpc/code.proto maps them; any other is 500."""


def message(body: bytes, status: int = 200, ticket: str | None = None) -> Response:
    """Return an answer with an encoded message, its digest, and a waiting ticket."""
    headers = {DIGEST_HEADER: content_digest(body)}
    if ticket is not None:
        headers[TICKET_HEADER] = ticket
    return Response(body, status, headers, MEDIA_TYPE)


def refusal(error: DisruptError, status: int | None = None, ticket: str | None = None) -> Response:
    """Return an error; ``status`` takes the place of the one that its class has in HTTP.

    It shows no quotas, which name the organisation of the gateway's key.
    """
    error.quotas = ()
    body = status_message(error).SerializeToString()
    response = message(body, status or _HTTP_STATUS.get(error.status, 500), ticket)
    if response.status_code in {408, 411, 413, 415}:
        response.headers["Connection"] = "close"  # what follows is not read
    return response
