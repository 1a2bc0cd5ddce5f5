"""Serve the figures over HTTP: /metrics, /livez and /readyz."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class _NoForeignName:
    """Refuse requests that name a host other than ``localhost`` or an address.

    A web page whose name was made to lead to this machine could read the answers otherwise, in the
    browser of whoever opens it.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._application
        # browsers always name the host
        host = Headers(scope=scope).get("host") if scope["type"] == "http" else None
        if host is not None and not _is_address(host):
            application = PlainTextResponse("Ask by address, or as localhost.\n", 421)
        await application(scope, receive, send)


def _is_address(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


def site(
    registry: CollectorRegistry, faults: Callable[[], Sequence[str]], *, has_name: bool
) -> Starlette:
    """Make the application. ``faults`` returns why the server is not ready, for people.

    One that ``has_name`` may be asked for under any host's name, others by address only.
    """

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})

    async def live(_: Request) -> PlainTextResponse:
        return PlainTextResponse("live\n")

    async def ready(_: Request) -> PlainTextResponse:
        reasons = faults()
        if not reasons:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("".join(f"{reason}\n" for reason in reasons), 503)

    return Starlette(
        routes=[
            Route("/livez", live),
            Route("/readyz", ready),
            Route("/metrics", metrics),
        ],
        middleware=[] if has_name else [Middleware(_NoForeignName)],
    )
