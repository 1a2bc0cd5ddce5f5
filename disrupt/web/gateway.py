"""The application: files, texts, health, and the calls that are passed on to the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from typing import cast

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from disrupt import logs
from disrupt.errors import DisruptError
from disrupt.web import answers, bodies
from disrupt.web.bodies import Announced, RefusedError
from disrupt.web.calls import CALLS, Call, with_origin
from disrupt.web.files import File
from disrupt.web.limits import (
    BODIES_BYTES_MAX,
    OTHER_PLACES,
    REGISTRATION_PLACES,
    REQUEST_BYTES_MAX,
)
from disrupt.web.origins import Address, Origins, parse_address
from disrupt.web.tickets import Tickets
from disrupt.web.turns import NoTurnError, Place, Shares, Turns, busy
from disrupt.web.upstream import Upstream

_FORWARDING = ("forwarded", "x-forwarded-for")

_log = structlog.get_logger(__name__)


class Gateway:
    """What the gateway answers. For one event loop."""

    def __init__(self, files: Mapping[str, File], upstream: Upstream, origins: Origins) -> None:
        self._files = files
        self._upstream = upstream
        self._origins = origins
        self._tickets = Tickets()
        self._registering = Turns(REGISTRATION_PLACES)
        self._other = Turns(OTHER_PLACES)
        self._bodies = Shares(BODIES_BYTES_MAX)

    def application(self) -> Starlette:
        """Return the application for an ASGI server."""
        return Starlette(
            routes=[
                Route("/v1/{call}", self._answer, methods=["POST"]),
                Route("/health", self._health, methods=["GET"]),
                Route("/{path:path}", self._file, methods=["GET"]),
            ],
            exception_handlers={
                HTTPException: _nothing_here,
                RefusedError: _refused,
                DisruptError: _invalid,
                Exception: _failed,
            },
        )

    async def _file(self, request: Request) -> Response:
        file = self._files.get(request.scope["path"])
        if file is None:
            raise HTTPException(404)
        return Response(file.body, media_type=file.media_type)

    async def _health(self, request: Request) -> Response:
        """Say whether the server serves, to this machine only: a proxy forwards an address."""
        is_forwarded = any(name in request.headers for name in _FORWARDING)
        if is_forwarded or not _peer(request).is_loopback:
            raise HTTPException(404)
        if await self._upstream.is_serving():
            return PlainTextResponse("serving\n")
        return PlainTextResponse("not serving\n", 503)

    async def _answer(self, request: Request) -> Response:
        call = CALLS.get(request.path_params["call"])
        if call is None:
            raise HTTPException(404)
        announced = bodies.announced(request, call.bytes_max)
        origin = self._origins.token(self._origins.address(_peer(request), request.headers))
        kept = self._kept_place(call, request, origin, announced)
        failed: DisruptError
        try:
            return answers.message(await self._pass_on(call, request, origin, announced, kept))
        except ClientDisconnect:
            return Response(status_code=400)  # to nobody
        except NoTurnError as waited:
            failed, kept = busy(), waited.place
        except DisruptError as error:
            failed = error
        ticket = None
        if call.registers and failed.retry_after_s is not None:
            place = self._registering.place(origin, kept)
            ticket = self._tickets.seal(place, origin, announced.digest)
        return answers.refusal(failed, ticket=ticket)

    def _kept_place(
        self, call: Call, request: Request, origin: bytes, announced: Announced
    ) -> Place | None:
        """Return the place that the request's ticket keeps."""
        ticket = request.headers.get(answers.TICKET_HEADER)
        if ticket is None or not call.registers:
            return None
        return self._tickets.open(ticket, origin, announced.digest)

    async def _pass_on(
        self,
        call: Call,
        request: Request,
        origin: bytes,
        announced: Announced,
        kept: Place | None,
    ) -> bytes:
        """Return the server's answer, in bounded memory and in turn."""
        room = self._bodies.growing(origin) if call.registers else nullcontext(_take_anything)
        with room as take:
            body = await bodies.read(request, announced, take)
            if announced.length > REQUEST_BYTES_MAX:
                message = await asyncio.to_thread(with_origin, call, body, origin)
            else:
                message = with_origin(call, body, origin)
            turns = self._registering if call.registers else self._other
            async with turns.turn(origin, kept):
                return await self._upstream.call(call.method, message)


def _take_anything(_amount: int) -> None:
    """Count nothing: all bodies of this kind together are small."""


def _peer(request: Request) -> Address:
    """Return the address at the other end of the connection."""
    address = parse_address(request.client.host) if request.client else None
    if address is None:
        raise HTTPException(404)
    return address


async def _nothing_here(_request: Request, error: Exception) -> Response:
    """Answer what is not there, or not for this method, in the same few words."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    return PlainTextResponse("There is nothing here.\n", status)


async def _refused(_request: Request, error: Exception) -> Response:
    refused = cast("RefusedError", error)
    return answers.refusal(refused.error, refused.http_status)


async def _invalid(_request: Request, error: Exception) -> Response:
    return answers.refusal(cast("DisruptError", error))


async def _failed(_request: Request, error: Exception) -> Response:
    """Answer without a detail, and log where it failed: the message could quote what was sent."""
    _log.error("request_failed", kind=type(error).__name__, frames=logs.frames(error))
    return answers.refusal(DisruptError("The gateway failed. Its log says how."))
