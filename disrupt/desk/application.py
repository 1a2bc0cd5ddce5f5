"""The desk's HTTP application: its files, sign-in, and the calls of its page as JSON.

Every request but for a file is a POST of JSON from the desk's own origin. A session is told by a
cookie that no script reads, and by a token in a header that no other site has.
"""

from __future__ import annotations

import hmac
import json
import math
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from webauthn import base64url_to_bytes
from webauthn.helpers import bytes_to_base64url

from disrupt.client.review import ReviewClient
from disrupt.desk.calls import CALLS, Json, invalid, text
from disrupt.desk.passkeys import Party, Passkeys
from disrupt.desk.refusals import ForeignRequestError, PasskeyRefusedError, SignedOutError
from disrupt.desk.sessions import Challenge, Challenges, Session, Sessions
from disrupt.errors import (
    DisruptError,
    LimitExceededError,
    UnauthenticatedError,
)
from disrupt.http_server import HTTP_STATUS, closing, in_time

HEADERS = (
    (
        "Content-Security-Policy",
        (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
            " connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
        ),
    ),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), display-capture=(), geolocation=(), microphone=()"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
"""Headers of every answer."""

TOKEN_HEADER = "X-Desk-Token"  # noqa: S105 the name of it
SESSION_COOKIE, CHALLENGE_COOKIE = "__Host-desk", "__Host-desk-challenge"
_COOKIE: Any = {"path": "/", "secure": True, "httponly": True, "samesite": "strict"}

_BODY_BYTES_MAX = 64 * 1024
"""Largest body: 500 items have 18 kB."""
_BODY_S = 10.0

_log = structlog.get_logger(__name__)


class Desk:
    """Serve the desk. For one event loop; ``client`` returns a client that calls with a secret."""

    def __init__(
        self,
        files: Mapping[str, Response],
        party: Party,
        passkeys: Passkeys,
        client: Callable[[str], ReviewClient],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._party = party
        self._passkeys = passkeys
        self._client = client
        self._clock = clock
        self._sessions = Sessions()
        self._challenges = Challenges()

    def application(self) -> ASGIApp:
        """Return the application for an ASGI server."""
        open_to_all = {
            "/enrol/begin": self._begin_enrolment,
            "/enrol/finish": self._finish_enrolment,
            "/sign-in/begin": self._begin_sign_in,
            "/sign-in/finish": self._finish_sign_in,
            "/session": self._resume,
        }
        signed_in: dict[str, Callable[[Request, Session, Json], Awaitable[Response]]] = {
            "/passkeys": self._list_passkeys,
            "/passkeys/remove": self._remove_passkey,
            "/sign-out": self._sign_out,
            **{f"/api/{name}": partial(self._call, call) for name, call in CALLS.items()},
        }
        routes = [
            *(self._route(path, answer) for path, answer in open_to_all.items()),
            *(self._route(path, self._signed_in(answer)) for path, answer in signed_in.items()),
            Route("/health", _health, methods=["GET"]),
            Route("/{path:path}", self._file, methods=["GET"]),
        ]
        answering = Starlette(
            routes=routes,
            exception_handlers={HTTPException: _nothing_here, Exception: _failed},
        )
        return partial(closing, answering)

    def close(self) -> None:
        """End all sessions."""
        self._sessions.end_all()

    def _route(self, path: str, answer: Callable[[Request, Json], Awaitable[Response]]) -> Route:
        async def guarded(request: Request) -> Response:
            try:
                return await answer(request, await self._own(request))
            except ClientDisconnect:
                return Response(status_code=400)  # to nobody
            except DisruptError as error:
                return refusal(error)

        return Route(path, guarded, methods=["POST"])

    async def _own(self, request: Request) -> Json:
        """Return what the desk's own page asks. Raises ForeignRequestError for any other."""
        headers = request.headers
        if (
            headers.get("origin") != self._party.origin
            or headers.get("content-type") != "application/json"
        ):
            raise ForeignRequestError(
                "Only the desk's own page may ask this. Nothing was changed: load the page again."
            )
        body = bytearray()
        async with in_time(_BODY_S):
            async for part in request.stream():
                body += part
                if len(body) > _BODY_BYTES_MAX:
                    raise LimitExceededError(f"At most {_BODY_BYTES_MAX} bytes.")
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            raise invalid("body", "send an object of JSON")
        return asked

    def _signed_in(
        self, answer: Callable[[Request, Session, Json], Awaitable[Response]]
    ) -> Callable[[Request, Json], Awaitable[Response]]:
        async def with_session(request: Request, asked: Json) -> Response:
            session = self._session(request)
            if not hmac.compare_digest(
                request.headers.get(TOKEN_HEADER, "").encode(), session.token.encode()
            ):
                raise ForeignRequestError("The request lacks the session's token.")
            try:
                return await answer(request, session, asked)
            except UnauthenticatedError:
                # The key was revoked or has expired: nothing is left to do with this session.
                self._sessions.end(request.cookies.get(SESSION_COOKIE, ""))
                raise

        return with_session

    def _session(self, request: Request) -> Session:
        cookie = request.cookies.get(SESSION_COOKIE, "")
        session = self._sessions.session(cookie, self._clock())
        if session is None:
            raise SignedOutError("Sign in again: the session has ended. Nothing was changed.")
        return session

    async def _begin_enrolment(self, _request: Request, asked: Json) -> Response:
        """Make a challenge for who shows the secret of a key that the server takes."""
        secret = text(asked, "secret").strip()
        name = await run_in_threadpool(self._name_of, secret)
        cookie, made = self._challenges.make(self._clock(), secret=secret, name=name)
        return _with_challenge(self._party.options_to_enrol(made.challenge, name), cookie)

    async def _finish_enrolment(self, request: Request, asked: Json) -> Response:
        made = self._challenge(request)
        if not made.secret:
            raise PasskeyRefusedError("This was no enrolment. Begin again.")
        day = datetime.now(UTC).date().isoformat()
        passkey = self._party.enrolled(
            credential(asked), made.challenge, made.name, made.secret, day
        )
        self._passkeys.add(passkey)
        _log.info("passkey_enrolled")
        return self._begin_session(request, passkey.name, passkey.secret)

    async def _begin_sign_in(self, _request: Request, _asked: Json) -> Response:
        cookie, made = self._challenges.make(self._clock())
        return _with_challenge(self._party.options_to_sign_in(made.challenge), cookie)

    async def _finish_sign_in(self, request: Request, asked: Json) -> Response:
        made, answered = self._challenge(request), credential(asked)
        if made.secret:
            raise PasskeyRefusedError("This was an enrolment. Begin again.")
        passkey = self._passkeys.of_credential(answered)
        self._passkeys.count(passkey, self._party.sign_count(answered, made.challenge, passkey))
        name = await run_in_threadpool(self._name_of, passkey.secret)
        return self._begin_session(request, name, passkey.secret)

    def _challenge(self, request: Request) -> Challenge:
        made = self._challenges.take(request.cookies.get(CHALLENGE_COOKIE, ""), self._clock())
        if made is None:
            raise PasskeyRefusedError(
                "Its answer came too late, or a second time. Nothing was changed: begin again."
            )
        return made

    def _name_of(self, secret: str) -> str:
        """Return the name of a key. Raises what the server answers to one that may not review."""
        with self._client(secret) as client:
            return str(client.service()["own_key"]["name"])

    def _begin_session(self, request: Request, name: str, secret: str) -> Response:
        """Begin a session under a new cookie; the one that the browser had ends."""
        self._sessions.end(request.cookies.get(SESSION_COOKIE, ""))
        cookie, session = self._sessions.begin(name, self._client(secret), secret, self._clock())
        response = _shown(session)
        response.set_cookie(SESSION_COOKIE, cookie, **_COOKIE)
        response.delete_cookie(CHALLENGE_COOKIE, **_COOKIE)
        return response

    async def _resume(self, request: Request, _asked: Json) -> Response:
        """Answer a page that was loaded again."""
        return _shown(self._session(request))

    async def _sign_out(self, request: Request, _session: Session, _asked: Json) -> Response:
        self._sessions.end(request.cookies.get(SESSION_COOKIE, ""))
        response = JSONResponse({})
        response.delete_cookie(SESSION_COOKIE, **_COOKIE)
        return response

    async def _list_passkeys(self, _request: Request, session: Session, _asked: Json) -> Response:
        """List the passkeys of the session's key."""
        rows = [
            {
                "id": bytes_to_base64url(passkey.id),
                "name": passkey.name,
                "enrolled_on": passkey.enrolled_on,
            }
            for passkey in self._passkeys.of_secret(session.secret)
        ]
        return JSONResponse({"passkeys": rows})

    async def _remove_passkey(self, request: Request, session: Session, asked: Json) -> Response:
        try:
            named = base64url_to_bytes(text(asked, "id"))
        except ValueError:
            raise invalid("id", "name a passkey of the list") from None
        self._passkeys.remove(named, session.secret)
        return await self._list_passkeys(request, session, asked)

    async def _call(
        self,
        call: Callable[[ReviewClient, Json], Json],
        _request: Request,
        session: Session,
        asked: Json,
    ) -> Response:
        return JSONResponse(await run_in_threadpool(call, session.client, asked))

    async def _file(self, request: Request) -> Response:
        file = self._files.get(f"/{request.path_params['path']}")
        if file is None:
            raise HTTPException(404)
        return file


def credential(asked: Json) -> Json:
    """Return what a passkey answered. Raises InvalidRequestError."""
    given = asked.get("credential")
    if not isinstance(given, dict):
        raise invalid("credential", "send what the passkey answered")
    return given


def refusal(error: DisruptError) -> Response:
    """Return an error as the page reads it: its reason, and words for who looks closer."""
    response = JSONResponse(
        {"reason": error.reason, "message": error.message}, HTTP_STATUS.get(error.status, 500)
    )
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return response


def _shown(session: Session) -> Response:
    return JSONResponse({"name": session.name, "token": session.token})


def _with_challenge(options: str, cookie: str) -> Response:
    response = Response(options, media_type="application/json")
    response.set_cookie(CHALLENGE_COOKIE, cookie, **_COOKIE)
    return response


async def _health(_request: Request) -> Response:
    return PlainTextResponse("serving\n")


async def _nothing_here(_request: Request, error: Exception) -> Response:
    return PlainTextResponse("There is nothing here.\n", cast("HTTPException", error).status_code)


async def _failed(_request: Request, error: Exception) -> Response:
    """Answer without a detail, and log where it failed: the message could quote what was sent."""
    frames = traceback.format_tb(error.__traceback__)
    _log.error("request_failed", kind=type(error).__name__, frames=frames)
    return refusal(DisruptError("The desk failed. Its log says how."))
