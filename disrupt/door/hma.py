"""Answer clients of Hasher-Matcher-Actioner 1.1 by its paths, parameters and shapes.

Sources: facebook/ThreatExchange, hasher-matcher-actioner/src/OpenMediaMatch, ``blueprints`` and
``schemas`` of version 1.1.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from disrupt.client.results import Match
from disrupt.core.hashes import HASH_BYTES, MAX_DISTANCE_BITS, PdqHash
from disrupt.core.media import LowQuality
from disrupt.door.bodies import FormFile, whole
from disrupt.door.fetching import Fetcher
from disrupt.door.matching import Looked, Matching
from disrupt.door.policy import Action
from disrupt.door.uploads import Hashed, HashedVideo
from disrupt.errors import DisruptError, InvalidMediaError, InvalidRequestError, Violation
from disrupt.hashing import ImageQuery
from disrupt.http_server import HTTP_STATUS

PDQ = "pdq"
VIDEO = "disrupt_video"
"""Signal type of a video: its signal is a name that this door knows for an hour, no hash."""
_FIELDS = {"photo": False, "video": True}
_TYPES = {PDQ: "photo", VIDEO: "video"}

_NO_CHANGES = (
    "This door reads the hotline's banks and changes none. Pictures are registered by the people"
    " they show; to make, change or delete a bank, write to the hotline."
)


class Hma:
    """Answers the calls of an HMA that hashes and matches, and reads its banks."""

    def __init__(self, matching: Matching, fetcher: Fetcher) -> None:
        self._matching = matching
        self._fetcher = fetcher

    def routes(self) -> list[Route]:
        """Return the routes; the docstring's first line of each describes it."""
        return [
            Route("/h/hash", _failing_as(_json_error, self.hash), methods=["GET", "POST"]),
            Route("/m/lookup", _failing_as(_text_error, self.lookup), methods=["GET", "POST"]),
            Route("/m/raw_lookup", _failing_as(_text_error, self.raw_lookup), methods=["GET"]),
            Route("/m/compare", _failing_as(_json_error, self.compare), methods=["POST"]),
            Route("/m/index/status", _failing_as(_text_error, self.index), methods=["GET"]),
            Route("/c/banks", _failing_as(_json_error, self.banks), methods=["GET"]),
            Route("/c/bank/{name}", _failing_as(_json_error, self.bank), methods=["GET"]),
            Route("/c/{path:path}", self.change, methods=["POST", "PUT", "PATCH", "DELETE"]),
        ]

    async def hash(self, request: Request) -> Response:
        """Hash a picture or video, in a form or at `url`; the answer is kept for an hour."""
        return JSONResponse(self._signals(await self._hashed(request), request))

    async def lookup(self, request: Request) -> Response:
        """Look up a signal, a file in a form, or the file at `url`, by bank."""
        signal = request.query_params.get("signal")
        if request.method == "GET" and signal is not None:
            return JSONResponse(self._by_bank(await self._looked(request, signal)))
        hashed = await self._hashed(request)
        if isinstance(hashed, LowQuality):
            raise InvalidMediaError(hashed.message)
        looked = await self._matching.look_up("hma", hashed, self._banks(request))
        kind = VIDEO if isinstance(hashed, HashedVideo) else PDQ
        by_bank = self._by_bank(looked)
        asked = request.query_params.get("signal_type")
        return JSONResponse({kind: by_bank} if asked is None else by_bank)

    async def raw_lookup(self, request: Request) -> Response:
        """Look up a signal; ids alone, or with distances."""
        signal = _required(request, "signal")
        with_distance = _boolean(request, "include_distance")
        matches = [
            match
            for matches in self._by_bank(await self._looked(request, signal)).values()
            for match in matches
        ]
        ids = [match["bank_content_id"] for match in matches]
        return JSONResponse({"matches": matches if with_distance else ids})

    async def compare(self, request: Request) -> Response:
        """Return whether two PDQ hashes match, and their distance."""
        try:
            asked = json.loads(await whole(request))
        except ValueError:
            raise _bad("body", "send a JSON object") from None
        if not isinstance(asked, dict) or set(asked) - {PDQ}:
            raise _bad("body", f"send a JSON object of lists by signal type; there is {PDQ}")
        answer: dict[str, Any] = {}
        for kind, pair in asked.items():
            if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004 a pair
                raise _bad(kind, "send two hashes")
            one, other = (int.from_bytes(_pdq(value).value) for value in pair)
            bits = (one ^ other).bit_count()
            answer[kind] = [bits <= MAX_DISTANCE_BITS, {"distance": bits}]
        return JSONResponse(answer)

    async def index(self, request: Request) -> Response:
        """Return how fresh the hotline's index is."""
        status = await self._matching.hotline.index_status()
        built_to = int(time.time() - status.lag_ms / 1000)
        state = {"built_to": built_to, "present": True, "size": status.hashes}
        asked = request.query_params.get("signal_type")
        if asked not in (None, *_TYPES):
            raise _bad("signal_type", f"there are {', '.join(_TYPES)}")
        return JSONResponse({kind: state for kind in _TYPES if asked in (None, kind)})

    async def banks(self, _request: Request) -> Response:
        """List the banks, under the names that lookups answer."""
        return JSONResponse([_bank(name) for name in self._names()])

    async def bank(self, request: Request) -> Response:
        """Return one bank."""
        name = request.path_params["name"]
        if name not in self._names():
            return JSONResponse({"message": f"bank '{name}' not found"}, 404)
        return JSONResponse(_bank(name))

    async def change(self, _request: Request) -> Response:
        """Refuse to change banks, in words."""
        return JSONResponse({"message": _NO_CHANGES}, 403)

    async def _hashed(self, request: Request) -> Hashed:
        if request.method == "POST":
            form = FormFile(request)
            name = await form.field()
            if name not in _FIELDS:
                raise _bad("body", "name the file's field photo or video")
            return await self._matching.hash("hma", form.chunks(), video=_FIELDS[name])
        url = request.query_params.get("url")
        if not url:
            raise _bad("url", "give url, or signal and signal_type")
        kind = request.query_params.get("content_type")
        if kind not in (None, *_FIELDS):
            raise _bad("content_type", "give photo or video")
        async with self._fetcher.fetched(url) as chunks:
            return await self._matching.hash(
                "hma", chunks, video=None if kind is None else _FIELDS[kind]
            )

    def _signals(self, hashed: Hashed, request: Request) -> dict[str, str]:
        """Return the signals of an upload, and remember all of its hashes by them."""
        match hashed:
            case ImageQuery():
                signals = {PDQ: hashed.hashes[0][0].hex()}
            case HashedVideo():
                signals = {VIDEO: secrets.token_hex(HASH_BYTES)}
            case LowQuality():
                signals = {PDQ: ""}  # as HMA answers; to look that up is refused
        for kind, signal in signals.items():
            if signal:
                self._matching.uploads.remember(f"{kind}:{signal}".encode(), hashed)
        asked = request.query_params.get("types")
        chosen = {kind.strip() for kind in asked.split(",")} if asked else set(_TYPES)
        if unknown := chosen - set(_TYPES):
            raise _bad("types", f"there is no signal type {', '.join(sorted(unknown))}")
        return {kind: signal for kind, signal in signals.items() if kind in chosen}

    async def _looked(self, request: Request, signal: str) -> Looked:
        kind = _required(request, "signal_type")
        if kind not in _TYPES:
            raise _bad("signal_type", f"there are {', '.join(_TYPES)}")
        banks = self._banks(request)
        hashed = self._matching.uploads.recall(f"{kind}:{signal.lower()}".encode())
        if hashed is not None:
            return await self._matching.look_up("hma", hashed, banks)
        if kind == VIDEO:
            raise _bad("signal", "this door knows no such video any more: hash it again")
        (looked,) = await self._matching.look_up_hashes("hma", [_pdq(signal)], banks)
        return looked

    def _banks(self, request: Request) -> tuple[str, ...]:
        """Return the banks that a request names, as the hotline knows them; none: all."""
        asked = request.query_params.get("banks")
        if not asked:
            return ()
        known = self._names()
        names = asked.split(",")
        if not set(names) & set(known):
            raise _bad("banks", f"there are {', '.join(known)}")
        return tuple(dict.fromkeys(known[name] for name in names if name in known))

    def _names(self) -> dict[str, str]:
        """Return the banks that the policy knows, by their names for clients."""
        policy = self._matching.policy
        return {
            policy.name(bank, action): bank
            for bank in policy.banks
            for action in (Action.REFUSE, Action.HOLD)
        }

    def _by_bank(self, looked: Looked) -> dict[str, list[dict[str, Any]]]:
        """Group the matches that block or hold by the banks' names for clients."""
        if looked.decision.reason not in ("match", "no_match"):
            raise InvalidMediaError(f"Not wholly looked up: {looked.decision.reason}.")
        by_bank: dict[str, list[dict[str, Any]]] = {}
        for match, action in looked.decision.matches:
            if action in (Action.HOLD, Action.REFUSE):
                name = self._matching.policy.name(match.bank, action)
                by_bank.setdefault(name, []).append(_match(match))
        return by_bank


def content_id(item_id: str) -> int:
    """Return the number of an item for HMA's clients: the first 53 of its 128 random bits."""
    return int(item_id, 16) >> (128 - 53)


def _match(match: Match) -> dict[str, Any]:
    return {"bank_content_id": content_id(match.item_id), "distance": str(match.distance_bits)}


def _bank(name: str) -> dict[str, Any]:
    return {"name": name, "matching_enabled_ratio": 1.0}


def _pdq(text: object) -> PdqHash:
    if not isinstance(text, str):
        raise _bad("signal", "give 64 hex digits")
    return PdqHash.from_hex(text)


def _required(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if value is None:
        raise _bad(name, "it is required")
    return value


def _boolean(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "1", "false", "0"):
        raise _bad(name, "give true or false")
    return value in ("true", "1")


def _bad(field: str, why: str) -> InvalidRequestError:
    return InvalidRequestError.of(Violation(field, why))


_Handler = Callable[[Request], Awaitable[Response]]


def _failing_as(respond: Callable[[DisruptError], Response], handle: _Handler) -> _Handler:
    async def handled(request: Request) -> Response:
        try:
            return await handle(request)
        except DisruptError as error:
            return respond(error)

    handled.__doc__ = handle.__doc__
    return handled


def _json_error(error: DisruptError) -> Response:
    return JSONResponse({"message": error.message}, HTTP_STATUS.get(error.status, 500))


def _text_error(error: DisruptError) -> Response:
    """Answer what parses as no lookup: some clients read any JSON object as names of banks."""
    text = f"not looked up: {error.reason}: {error.message}\n"
    return PlainTextResponse(text, HTTP_STATUS.get(error.status, 500))
