"""Hooks that existing software calls before it publishes an upload, each in its own terms."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, nullcontext
from urllib.parse import quote, urlsplit

from httpcore import AnyIOBackend
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from disrupt.client import rows
from disrupt.core.hashes import PdqHash
from disrupt.door import bodies
from disrupt.door.fetching import Fetcher
from disrupt.door.matching import Matching
from disrupt.door.policy import Action, Decision
from disrupt.errors import DisruptError, InvalidRequestError, UnimplementedError, Violation
from disrupt.http_server import HTTP_STATUS

_HASHES_MAX = 1000
_RETRY_AFTER_S = "60"


class Hooks:
    """Answers pict-rs' external validation, a Matrix content scanner's scan, and our own JSON."""

    def __init__(self, matching: Matching) -> None:
        self._matching = matching
        self._media = matching.policy.matrix_media
        self._homeserver = Fetcher(
            frozenset({urlsplit(self._media).netloc.lower()}),
            network=AnyIOBackend(),  # the operator's own, wherever that is
        )

    def routes(self) -> list[Route]:
        """Return the routes; the docstring's first line of each describes it."""
        return [
            Route("/hooks/pict-rs", self.pict_rs, methods=["POST"]),
            Route(f"{_MATRIX}/scan", self.matrix_body, methods=["POST"]),
            Route(f"{_MATRIX}/scan/{{server}}/{{media_id}}", self.matrix_media, methods=["GET"]),
            Route("/v1/match", self.match, methods=["POST"]),
        ]

    async def pict_rs(self, request: Request) -> Response:
        """Validate a file for pict-rs: 200 accepts it, 406 refuses it, 503 holds it."""
        decision = await self._decided("pict-rs", nullcontext(bodies.raw(request)))
        match self._matching.carry_out("pict-rs", decision):
            case Action.REFUSE:
                return PlainTextResponse("refused\n", 406)
            case Action.HOLD:
                text = f"held: {decision.reason}\n"
                return PlainTextResponse(text, 503, {"Retry-After": _RETRY_AFTER_S})
        return PlainTextResponse("accepted\n")

    async def matrix_body(self, request: Request) -> Response:
        """Scan the body: `clean` and `info`; an error where it is held."""
        return await self._scanned(nullcontext(bodies.raw(request)))

    async def matrix_media(self, request: Request) -> Response:
        """Scan media of the homeserver that `matrix_media` names, as a content scanner does."""
        if not self._media:
            error = UnimplementedError("Set matrix_media in the door's policy to scan by id.")
            return _matrix_error(error.message, 501)
        names = [quote(request.path_params[name], safe="") for name in ("server", "media_id")]
        if {".", ".."} & {*names}:
            return _matrix_error("There is no such media.", 404)
        return await self._scanned(self._homeserver.fetched("/".join((self._media, *names))))

    async def match(self, request: Request) -> Response:
        """Look up a file, or `{"hashes": [hex]}`; answers as `disrupt match --json`."""
        try:
            if request.headers.get("content-type", "").partition(";")[0] == "application/json":
                return JSONResponse(await self._of_hashes(request))
            hashed = await self._matching.hash("v1", bodies.raw(request))
            looked = await self._matching.look_up("v1", hashed)
        except DisruptError as error:
            decision = self._matching.policy.failed(error)
            action = self._matching.carry_out("v1", decision)
            answer = {"action": action.value, **rows.row(None, error)}
            return JSONResponse(answer, HTTP_STATUS.get(error.status, 500))
        action = self._matching.carry_out("v1", looked.decision)
        return JSONResponse({"action": action.value, **rows.row(looked.answer)})

    async def _of_hashes(self, request: Request) -> dict[str, object]:
        try:
            sent = json.loads(await bodies.whole(request))
            texts = sent["hashes"]
        except (ValueError, KeyError, TypeError):
            raise _bad("send a file as the body, or JSON with a list of hashes") from None
        if not isinstance(texts, list) or not 0 < len(texts) <= _HASHES_MAX:
            raise _bad(f"send 1 to {_HASHES_MAX} hashes")
        values = [PdqHash.from_hex(str(text)) for text in texts]
        looked = await self._matching.look_up_hashes("v1", values)
        return {
            "hashes": [
                {"action": each.decision.action.value, **rows.row(each.answer)} for each in looked
            ]
        }

    async def _scanned(self, body: AbstractAsyncContextManager[AsyncIterator[bytes]]) -> Response:
        decision = await self._decided("matrix", body)
        match self._matching.carry_out("matrix", decision):
            case Action.REFUSE:
                return JSONResponse({"clean": False, "info": "refused"})
            case Action.HOLD:
                return _matrix_error(f"held: {decision.reason}", 503)
        return JSONResponse({"clean": True, "info": "accepted"})

    async def _decided(
        self, route: str, body: AbstractAsyncContextManager[AsyncIterator[bytes]]
    ) -> Decision:
        try:
            async with body as chunks:
                hashed = await self._matching.hash(route, chunks)
            return (await self._matching.look_up(route, hashed)).decision
        except DisruptError as error:
            return self._matching.policy.failed(error)


_MATRIX = "/_matrix/media_proxy/unstable"


def _matrix_error(info: str, status: int) -> Response:
    return JSONResponse({"reason": "MCS_MEDIA_REQUEST_FAILED", "info": info}, status)


def _bad(why: str) -> InvalidRequestError:
    return InvalidRequestError.of(Violation("body", why))
