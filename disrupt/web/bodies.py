"""Read the bodies of requests within their bounds, and compare them with their digests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

from starlette.requests import Request

from disrupt.errors import (
    DeadlineExceededError,
    DigestMismatchError,
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
)
from disrupt.web.limits import BODY_BYTES_PER_S, BODY_S

MEDIA_TYPE = "application/x-protobuf"
DIGEST_HEADER = "Content-Digest"

_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")
"""The one form that the page sends, of those of RFC 9530."""
_LENGTH = re.compile(r"[0-9]{1,10}")


class RefusedError(Exception):
    """A request that HTTP has a status of its own for."""

    def __init__(self, http_status: int, error: DisruptError) -> None:
        super().__init__(error.message)
        self.http_status = http_status
        self.error = error


class Announced(NamedTuple):
    """The length and SHA-256 that the headers of a request give of its body."""

    length: int
    digest: bytes


def content_digest(body: bytes) -> str:
    """Return the value of Content-Digest for a body (RFC 9530)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def announced(request: Request, bytes_max: int) -> Announced:
    """Return what the headers announce. Raises RefusedError, and DigestMismatchError without one.

    A body without a length is refused: it might never end.
    """
    if request.headers.get("content-type") != MEDIA_TYPE:
        raise RefusedError(415, InvalidRequestError(f"Send the message as {MEDIA_TYPE}."))
    length = request.headers.get("content-length", "")
    if not _LENGTH.fullmatch(length) or "transfer-encoding" in request.headers:
        raise RefusedError(411, InvalidRequestError("Send the length of the body."))
    if int(length) > bytes_max:
        message = f"At most {bytes_max} bytes. Send less."
        raise RefusedError(413, LimitExceededError(message, limit=str(bytes_max)))
    digest = _DIGEST.fullmatch(request.headers.get(DIGEST_HEADER, ""))
    if digest is None:
        raise DigestMismatchError(f"Send {DIGEST_HEADER} with the SHA-256 of the body.")
    return Announced(int(length), base64.b64decode(digest[1]))


async def read(request: Request, announced: Announced, take: Callable[[int], None]) -> bytes:
    """Return the body. ``take`` is called with the bytes of each part, and may refuse it.

    Raises RefusedError where it comes too slowly, and DigestMismatchError.
    """
    parts: list[bytes] = []
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    try:
        async with asyncio.timeout_at(start_s + BODY_S) as limit:
            arrived = 0
            async for part in request.stream():
                take(len(part))
                parts.append(part)
                arrived += len(part)
                limit.reschedule(start_s + BODY_S + arrived / BODY_BYTES_PER_S)
    except TimeoutError:
        error = DeadlineExceededError("The body came too slowly. Nothing was changed.")
        raise RefusedError(408, error) from None
    body = b"".join(parts)
    if not hmac.compare_digest(hashlib.sha256(body).digest(), announced.digest):
        raise DigestMismatchError("The body is not what was sent. Nothing was stored: send again.")
    return body
