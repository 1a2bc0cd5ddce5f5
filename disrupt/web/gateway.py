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
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from disrupt.core.hashes import HASH_BYTES
from disrupt.errors import DisruptError, LimitExceededError
from disrupt.fair_queue import FairQueue, Turn, turn_of
from disrupt.http_server import HTTP_STATUS, closing, in_time
from disrupt.v1 import registration_pb2
from disrupt.web.files import File
from disrupt.web.origins import Origins, busy
from disrupt.web.partners import Partners
from disrupt.web.upstream import Upstream
from disrupt.wire.errors import details
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX, parsed, register_hashes

CONTENT_TYPE = "application/proto"
SERVICE = "/disrupt.v1.RegistrationService"

_ITEMS_MAX, _HASHES_MAX = 64, 64_000
"""Most items and hashes of a registration: defaults of the server's settings."""
_REGISTRATION_BYTES_MAX = 64 * (_HASHES_MAX + _ITEMS_MAX) + ENVELOPE_BYTES_MAX

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

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What calls may take.

    ``registrations`` and ``other_calls`` are at the server, apart: registrations keep nobody from
    withdrawing. Further calls wait up to ``wait_s``, and origins take turns.

    ``large_bytes`` are bodies in memory beyond ENVELOPE_BYTES_MAX of each, those that are still
    arriving too: of all, and of an origin. Below, as every small call is, a body always has room:
    connections bound these.

    A body has ``body_s`` to arrive. 4 MB of a registration take 46 kB a second.
    """

    registrations: int = 16
    other_calls: int = 64
    wait_s: float = 10.0
    large_bytes: int = 128 * 2**20
    origin_large_bytes: int = 8 * 2**20
    body_s: float = 10.0
    registration_body_s: float = 90.0


@dataclass(frozen=True, slots=True)
class _Call:
    """A call: how its request is decoded, where its tokens go, its largest body, its hashes.

    Without ``access`` its request has no tokens.
    """

    decode: Callable[[bytes], Any]
    access: Callable[[Any], Any] | None = lambda message: message.access
    bytes_max: int = ENVELOPE_BYTES_MAX
    hashes: Callable[[Any], int] = lambda _message: 0


def _decoder(kind: type[Any]) -> Callable[[bytes], Any]:
    return lambda body: parsed(kind, body)


_CALLS = {
    "RegisterHashes": _Call(
        lambda body: register_hashes(body, items_max=_ITEMS_MAX, hashes_max=_HASHES_MAX),
        lambda message: message.context.access,
        _REGISTRATION_BYTES_MAX,
        lambda message: sum(len(item.fingerprints.hashes) for item in message.items) // HASH_BYTES,
    ),
    "GetCase": _Call(_decoder(registration_pb2.GetCaseRequest)),
    "KeepCase": _Call(_decoder(registration_pb2.KeepCaseRequest)),
    "GetReceipt": _Call(_decoder(registration_pb2.GetReceiptRequest), access=None),
    "GetChallenge": _Call(_decoder(registration_pb2.GetChallengeRequest), lambda message: message),
    "WithdrawItems": _Call(_decoder(registration_pb2.WithdrawItemsRequest)),
    "WithdrawCase": _Call(_decoder(registration_pb2.WithdrawCaseRequest)),
}


class Gateway:
    """Serve the files of the page, and pass its calls on to the server. For one event loop."""

    def __init__(
        self,
        files: Mapping[str, File],
        upstream: Upstream,
        origins: Origins,
        bounds: Bounds | None = None,
    ) -> None:
        self._files = files
        self._upstream = upstream
        self._partners = Partners(upstream)
        self._origins = origins
        self._bounds = bounds or Bounds()
        self._registrations = FairQueue(self._bounds.registrations)
        self._other_calls = FairQueue(self._bounds.other_calls)
        self._large_bytes = Counter[bytes]()
        """Bytes of large bodies in memory, by origin."""

    def application(self) -> ASGIApp:
        """Return the application for an ASGI server."""
        answering = Starlette(
            routes=[
                Route(f"{SERVICE}/{{method}}", self._call, methods=["POST"]),
                Route("/health", self._health, methods=["GET"]),
                Route("/partners.json", self._list_partners, methods=["GET"]),
                # As index.html asks again for what did not come.
                Route("/{attempt:int}/{path:path}", self._file, methods=["GET"]),
                Route("/{path:path}", self._file, methods=["GET"]),
            ],
            exception_handlers={HTTPException: _nothing_here, Exception: _failed},
        )
        return partial(closing, answering)

    async def _file(self, request: Request) -> Response:
        file = self._files.get(f"/{request.path_params['path']}")
        if file is None:
            raise HTTPException(404)
        return _as_accepted(file, request)

    async def _list_partners(self, request: Request) -> Response:
        """Name the partner platforms."""
        try:
            return _as_accepted(await self._partners.file(), request)
        except DisruptError as error:
            return _refusal(error)

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
        places, body_s = self._other_calls, self._bounds.body_s
        if method == "RegisterHashes":
            places, body_s = self._registrations, self._bounds.registration_body_s
        body = bytearray()
        try:
            async with in_time(body_s):
                await self._read(request, body, call.bytes_max, origin)
            with self._origins.asking(origin):
                message, hashes = await _with_origin(call, bytes(body), tokens)
                if hashes:
                    self._origins.register(origin, hashes)
                turn = await _turn(places, origin, self._bounds.wait_s)
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

    async def _read(self, request: Request, body: bytearray, bytes_max: int, origin: bytes) -> None:
        """Read a body. Raises DisruptError for one that is too large or has no room."""
        async for part in request.stream():
            before_bytes = _large_bytes(body)
            body += part
            self._large_bytes[origin] += _large_bytes(body) - before_bytes
            if len(body) > bytes_max:
                raise LimitExceededError(
                    f"At most {bytes_max} bytes. Nothing was changed: send less.",
                    limit=str(bytes_max),
                )
            if _large_bytes(body) and (
                self._large_bytes[origin] > self._bounds.origin_large_bytes
                or self._large_bytes.total() > self._bounds.large_bytes
            ):
                raise busy(_RETRY_AFTER_S)


def _as_accepted(file: File, request: Request) -> Response:
    headers = {"Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(file.body, headers=headers, media_type=file.media_type)
    headers["Content-Encoding"] = "gzip"
    return Response(file.compressed, headers=headers, media_type=file.media_type)


def _large_bytes(body: bytearray) -> int:
    """Return how many bytes of a body need room of their own."""
    return max(0, len(body) - ENVELOPE_BYTES_MAX)


async def _turn(places: FairQueue, origin: bytes, wait_s: float) -> Turn:
    """Return a turn at the server. Raises OverloadedError where none comes soon."""
    turn_of.set(origin)
    try:
        async with asyncio.timeout(wait_s):
            return await places.begin()
    except TimeoutError:
        raise busy(_RETRY_AFTER_S) from None


async def _with_origin(call: _Call, body: bytes, tokens: tuple[bytes, ...]) -> tuple[bytes, int]:
    """Return a request with its door and the tokens of its origin, whatever the caller wrote there.

    The number is that of the hashes that it registers.
    """

    def encoded() -> tuple[bytes, int]:
        message = call.decode(body)
        if isinstance(message, registration_pb2.RegisterHashesRequest):
            message.context.door = registration_pb2.DOOR_PAGE
        if call.access:
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
    response = JSONResponse(content, HTTP_STATUS.get(error.status, 500))
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
