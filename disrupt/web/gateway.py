"""The application: the page's files, and the calls that are passed on to the server."""

from __future__ import annotations

import asyncio
import base64
import math
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from disrupt.core.hashes import HASH_BYTES
from disrupt.errors import DeadlineExceededError, DisruptError, LimitExceededError
from disrupt.fair_queue import FairQueue, Turn, turn_of
from disrupt.v1 import registration_pb2
from disrupt.web.files import File
from disrupt.web.origins import Origins, busy
from disrupt.web.upstream import Upstream
from disrupt.wire.errors import details
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX, parsed, register_hashes

CONTENT_TYPE = "application/proto"
SERVICE = "/disrupt.v1.RegistrationService"

_ITEMS_MAX, _HASHES_MAX = 64, 64_000
"""Most items and hashes of a registration: defaults of the server's settings."""
_REGISTRATION_BYTES_MAX = 64 * (_HASHES_MAX + _ITEMS_MAX) + ENVELOPE_BYTES_MAX

_REGISTRATIONS, _OTHER_CALLS = 16, 64
"""Calls at the server, of both kinds apart: registrations keep nobody from withdrawing. Further
calls wait, and origins take turns."""
_WAIT_S = 10.0
_LARGE_BYTES_MAX, _ORIGIN_LARGE_BYTES_MAX = 128 * 2**20, 8 * 2**20
"""Bodies in memory beyond ENVELOPE_BYTES_MAX of each, those that are still arriving too: of all,
and of an origin. Below, as every small call is, a body always has room: connections bound these."""
_BODY_S, _REGISTRATION_BODY_S = 10.0, 90.0
"""Longest time for a body. 4 MB of a registration take 46 kB a second."""
_RETRY_AFTER_S = 5.0

_START = "sha256-VFNshEa4ZzBnIRBYTEXnriJ34x1AAozO2O7a9b0mNOs="
"""Hash of the inline script of index.html, as a Content-Security-Policy has it."""

HEADERS = (
    (
        "Content-Security-Policy",
        (
            f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval' '{_START}';"
            " style-src 'self';"
            " img-src 'self' blob:; media-src blob:; connect-src 'self'; worker-src 'self';"
            " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-DNS-Prefetch-Control", "off"),
)
"""Headers of every answer. No Strict-Transport-Security: browsers would keep the site's name."""

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
"""As Connect maps them; any other is 500."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call: how its request is decoded, where its tokens go, bounds of its body, its hashes."""

    decode: Callable[[bytes], Any]
    access: Callable[[Any], Any] = lambda message: message.access
    bytes_max: int = ENVELOPE_BYTES_MAX
    body_s: float = _BODY_S
    hashes: Callable[[Any], int] = lambda _message: 0


def _decoder(kind: type[Any]) -> Callable[[bytes], Any]:
    return lambda body: parsed(kind, body)


_CALLS = {
    "RegisterHashes": _Call(
        lambda body: register_hashes(body, items_max=_ITEMS_MAX, hashes_max=_HASHES_MAX),
        lambda message: message.context.access,
        _REGISTRATION_BYTES_MAX,
        _REGISTRATION_BODY_S,
        lambda message: sum(len(item.fingerprints.hashes) for item in message.items) // HASH_BYTES,
    ),
    "GetCase": _Call(_decoder(registration_pb2.GetCaseRequest)),
    "KeepCase": _Call(_decoder(registration_pb2.KeepCaseRequest)),
    "GetChallenge": _Call(_decoder(registration_pb2.GetChallengeRequest), lambda message: message),
    "WithdrawItems": _Call(_decoder(registration_pb2.WithdrawItemsRequest)),
    "WithdrawCase": _Call(_decoder(registration_pb2.WithdrawCaseRequest)),
}


class Gateway:
    """Serve the files of the page, and pass its calls on to the server. For one event loop."""

    def __init__(self, files: Mapping[str, File], upstream: Upstream, origins: Origins) -> None:
        self._files = files
        self._upstream = upstream
        self._origins = origins
        self._registrations = FairQueue(_REGISTRATIONS)
        self._other_calls = FairQueue(_OTHER_CALLS)
        self._large_bytes = Counter[bytes]()
        """Bytes of large bodies in memory, by origin."""

    def application(self) -> ASGIApp:
        """Return the application for an ASGI server."""
        answering = Starlette(
            routes=[
                Route(f"{SERVICE}/{{method}}", self._call, methods=["POST"]),
                Route("/health", self._health, methods=["GET"]),
                # As index.html asks again for what did not come.
                Route("/{attempt:int}/{path:path}", self._file, methods=["GET"]),
                Route("/{path:path}", self._file, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _nothing_here, Exception: _failed},
        )
        return partial(_closing, answering)

    async def _file(self, request: Request) -> Response:
        file = self._files.get(f"/{request.path_params['path']}")
        if file is None:
            raise HTTPException(404)
        headers = {"Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(file.body, headers=headers, media_type=file.media_type)
        headers["Content-Encoding"] = "gzip"
        return Response(file.compressed, headers=headers, media_type=file.media_type)

    async def _health(self, _request: Request) -> Response:
        """Say whether the server behind the gateway serves."""
        serving = await self._upstream.is_serving()
        return PlainTextResponse(
            "serving\n" if serving else "not serving\n", 200 if serving else 503
        )

    async def _call(self, request: Request) -> Response:
        method = request.path_params["method"]
        call = _CALLS.get(method)
        if call is None or request.headers.get("content-type") != CONTENT_TYPE:
            raise HTTPException(404)
        tokens = self._origins.tokens(request.client.host if request.client else "")
        origin = tokens[0]
        places = self._registrations if method == "RegisterHashes" else self._other_calls
        body = bytearray()
        try:
            await self._read(request, body, call, origin)
            with self._origins.asking(origin):
                message, hashes = await _with_origin(call, bytes(body), tokens)
                if hashes:
                    self._origins.register(origin, hashes)
                turn = await _turn(places, origin)
                try:
                    answer = await self._upstream.call(f"{SERVICE}/{method}", message)
                finally:
                    turn.end()
        except ClientDisconnect:
            return Response(status_code=400)  # to nobody
        except DisruptError as error:
            return _refusal(error)
        finally:
            self._large_bytes[origin] -= _large_bytes(body)
            if not self._large_bytes[origin]:
                del self._large_bytes[origin]
        return Response(answer, media_type=CONTENT_TYPE)

    async def _read(self, request: Request, body: bytearray, call: _Call, origin: bytes) -> None:
        """Read a body. Raises DisruptError for one that is too large or slow, or has no room."""
        try:
            async with asyncio.timeout(call.body_s):
                async for part in request.stream():
                    before_bytes = _large_bytes(body)
                    body += part
                    self._large_bytes[origin] += _large_bytes(body) - before_bytes
                    if len(body) > call.bytes_max:
                        raise LimitExceededError(
                            f"At most {call.bytes_max} bytes. Nothing was changed: send less.",
                            limit=str(call.bytes_max),
                        )
                    if _large_bytes(body) and (
                        self._large_bytes[origin] > _ORIGIN_LARGE_BYTES_MAX
                        or self._large_bytes.total() > _LARGE_BYTES_MAX
                    ):
                        raise busy(_RETRY_AFTER_S)
        except TimeoutError:
            message = "The request came too slowly. Nothing was changed."
            raise DeadlineExceededError(message) from None


def _large_bytes(body: bytearray) -> int:
    """Return how many bytes of a body need room of their own."""
    return max(0, len(body) - ENVELOPE_BYTES_MAX)


async def _closing(application: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Close the connection after an answer that is given before the body is through.

    The server would go on reading the body, however large or slow, and keep the connection for it.
    """
    headers = Headers(scope=scope)
    is_whole = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers

    async def received() -> Message:
        nonlocal is_whole
        message = await receive()
        is_whole = is_whole or not message.get("more_body", False)
        return message

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and not is_whole:
            message["headers"] = [*message["headers"], (b"connection", b"close")]
        await send(message)

    await application(scope, received, sent)


async def _turn(places: FairQueue, origin: bytes) -> Turn:
    """Return a turn at the server. Raises OverloadedError where none comes soon."""
    turn_of.set(origin)
    try:
        async with asyncio.timeout(_WAIT_S):
            return await places.begin()
    except TimeoutError:
        raise busy(_RETRY_AFTER_S) from None


async def _with_origin(call: _Call, body: bytes, tokens: tuple[bytes, ...]) -> tuple[bytes, int]:
    """Return a request with the tokens of its origin, in place of what the caller wrote there.

    The number is that of the hashes that it registers.
    """

    def encoded() -> tuple[bytes, int]:
        message = call.decode(body)
        access = call.access(message)
        access.origin_token, access.wider_origin_tokens[:] = tokens[0], tokens[1:]
        whole: bytes = message.SerializeToString()
        return whole, call.hashes(message)

    return encoded() if len(body) <= ENVELOPE_BYTES_MAX else await asyncio.to_thread(encoded)


def _refusal(error: DisruptError) -> Response:
    """Return an error as Connect writes it, https://connectrpc.com/docs/protocol."""
    content = {
        "code": error.status.lower(),
        "message": error.message,
        "details": [
            {
                "type": detail.DESCRIPTOR.full_name,
                "value": base64.b64encode(detail.SerializeToString()).decode().rstrip("="),
            }
            for detail in details(error)
        ],
    }
    response = JSONResponse(content, _HTTP_STATUS.get(error.status, 500))
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


async def _nothing_here(_request: Request, error: Exception) -> Response:
    status = cast("HTTPException", error).status_code
    return PlainTextResponse("There is nothing here.\n", status)


async def _failed(_request: Request, error: Exception) -> Response:
    """Answer without a detail, and log where it failed: the message could quote what was sent."""
    frames = traceback.format_tb(error.__traceback__)
    _log.error("request_failed", kind=type(error).__name__, frames=frames)
    return _refusal(DisruptError("The gateway failed. Its log says how."))
