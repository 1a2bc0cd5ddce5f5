"""The HTTP application: routes, tokens, health, metrics, and their description in OpenAPI."""

from __future__ import annotations

import asyncio
import hmac
import re
import time
import traceback
from functools import partial
from importlib.metadata import version
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from disrupt.door.fetching import Fetcher
from disrupt.door.grpc_service import UNKNOWN
from disrupt.door.hma import Hma
from disrupt.door.hooks import Hooks
from disrupt.door.matching import Matching
from disrupt.door.metrics import CONTENT_TYPE
from disrupt.errors import DisruptError
from disrupt.http_server import closing, in_time

_OPEN = frozenset({"/health", "/status", "/status/live", "/openapi/openapi.json"})
"""Paths that need no token: they say nothing of uploads."""
_HEALTH_S = 5.0
"""Time for which what the hotline says of itself holds, and longest to wait for it."""
_IN_PATH = re.compile(r"/token/(?P<token>[^/]+)(?P<path>/.*)")

_log = structlog.get_logger(__name__)


class Tokens:
    """The tokens of the door's callers; few, so that each is compared, in constant time."""

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self._tokens = [token.encode() for token in tokens]

    def know(self, token: str) -> bool:
        """Tell whether a token is one of them."""
        sent = token.encode("utf-8", "surrogateescape")
        return sum(hmac.compare_digest(sent, known) for known in self._tokens) > 0


def application(matching: Matching, fetcher: Fetcher, tokens: Tokens | None) -> ASGIApp:
    """Return the application for an ASGI server; ``tokens`` None lets all in, as on a socket."""
    routes = [
        *Hma(matching, fetcher).routes(),
        *Hooks(matching).routes(),
        *_Status(matching).routes(),
    ]
    described = JSONResponse(_openapi(routes))
    routes.append(Route("/openapi/openapi.json", lambda _request: described, methods=["GET"]))
    answering = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _nothing_here,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    return partial(closing, partial(_guarded, answering, tokens))


class _Status:
    """Health, metrics, and the health of an HMA."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching
        self._asked: asyncio.Task[str] | None = None
        self._ask_again_s = 0.0

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health, methods=["GET"]),
            Route("/status", self.status, methods=["GET"]),
            Route("/status/live", self.live, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def health(self, _request: Request) -> Response:
        """Tell whether the hotline answers lookups with the door's key."""
        why = await self._why_not()
        return PlainTextResponse(
            f"not serving: {why}\n" if why else "serving\n", 503 if why else 200
        )

    async def status(self, _request: Request) -> Response:
        """Tell the same in HMA's words."""
        why = await self._why_not()
        return PlainTextResponse(
            f"INDEX-NOT-LOADED ({why})" if why else "I-AM-ALIVE", 503 if why else 200
        )

    async def live(self, _request: Request) -> Response:
        """Tell that the door answers."""
        return PlainTextResponse("I-AM-ALIVE")

    async def metrics(self, _request: Request) -> Response:
        """Return the door's metrics for Prometheus."""
        return Response(self._matching.metrics.text(), media_type=CONTENT_TYPE)

    async def _why_not(self) -> str:
        """Ask at most once in a while: whoever reaches the door may ask it, without a token."""
        if self._asked is None or (self._asked.done() and time.monotonic() > self._ask_again_s):
            self._asked = asyncio.create_task(self._ask())
            self._ask_again_s = time.monotonic() + _HEALTH_S
        return await asyncio.shield(self._asked)

    async def _ask(self) -> str:
        try:
            async with in_time(_HEALTH_S):
                await self._matching.hotline.index_status()
        except DisruptError as error:
            return error.reason
        return ""


async def _guarded(
    answering: ASGIApp, tokens: Tokens | None, scope: Scope, receive: Receive, send: Send
) -> None:
    """Let callers with a token in, as a bearer's, or as /token/TOKEN before the path."""
    path = scope["path"]
    in_path = _IN_PATH.fullmatch(path)
    token = Headers(scope=scope).get("authorization", "").removeprefix("Bearer ")
    if in_path:
        token, path = in_path["token"], in_path["path"]
        scope = {**scope, "path": path, "raw_path": path.encode()}
    if tokens is not None and path not in _OPEN and not tokens.know(token):
        refusal = PlainTextResponse(f"{UNKNOWN}\n", 401, {"WWW-Authenticate": "Bearer"})
        await refusal(scope, receive, send)
        return
    await answering(scope, receive, send)


def _openapi(routes: list[Route]) -> dict[str, Any]:
    """Describe routes, each by the first line of its handler's docstring."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        summary = (route.endpoint.__doc__ or "").partition("\n")[0]
        for method in sorted((route.methods or set()) - {"HEAD"}):
            names = sorted(route.param_convertors)
            paths.setdefault(route.path_format, {})[method.lower()] = {
                "summary": summary,
                "parameters": [
                    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                    for name in names
                ],
                "responses": {"200": {"description": summary}},
                **({"security": []} if route.path in _OPEN else {}),
            }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Disrupt's door", "version": version("disrupt-hashes")},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


async def _nothing_here(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return PlainTextResponse("There is nothing here.\n", status)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # to nobody


async def _failed(_request: Request, error: Exception) -> Response:
    """Answer without a detail, and log where it failed: the message could quote what was sent."""
    frames = traceback.format_tb(error.__traceback__)
    _log.error("request_failed", kind=type(error).__name__, frames=frames)
    return PlainTextResponse("The door failed. Its log says how.\n", 500)
