"""Sessions and challenges of the desk, in memory alone: they end with the process.

Times are seconds of a clock that never goes back. Nothing here is for several threads.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from disrupt.client.review import ReviewClient

IDLE_S = 30 * 60
"""Time without a request after which a session ends."""
LONGEST_S = 12 * 3600
"""Time after which a session ends, however busy: a day's work."""
CHALLENGE_S = 5 * 60
"""Time in which a challenge has to be answered."""
MOST = 1000
"""Most sessions, and most challenges, that are kept; the oldest makes room."""

_RANDOM_BYTES = 32


def random_name() -> str:
    """Return 256 random bits in characters that cookies and headers take."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


@dataclass(slots=True)
class Session:
    """Somebody of staff who is signed in, and the client that calls with their key.

    ``token`` has to come in a header with each request: no form and no link of another site has it.
    """

    name: str
    client: ReviewClient = field(repr=False)
    secret: str = field(repr=False)
    began_s: float
    used_s: float
    token: str = field(default_factory=random_name, repr=False)

    def has_ended(self, now_s: float) -> bool:
        """Tell whether its time is over."""
        return now_s - self.used_s >= IDLE_S or now_s - self.began_s >= LONGEST_S


class Sessions:
    """The sessions, by the value of their cookie."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    def begin(
        self, name: str, client: ReviewClient, secret: str, now_s: float
    ) -> tuple[str, Session]:
        """Begin a session under a cookie that nobody has seen before; return both."""
        self._clear(now_s)
        cookie = random_name()
        self._sessions[cookie] = Session(name, client, secret, began_s=now_s, used_s=now_s)
        return cookie, self._sessions[cookie]

    def session(self, cookie: str, now_s: float) -> Session | None:
        """Return the session of a cookie, whose idle time begins anew; None where there is none."""
        self._clear(now_s)
        session = self._sessions.get(cookie)
        if session:
            session.used_s = now_s
        return session

    def end(self, cookie: str) -> None:
        """End a session, where there is one."""
        session = self._sessions.pop(cookie, None)
        if session:
            session.client.close()

    def end_all(self) -> None:
        """End every session."""
        for cookie in list(self._sessions):
            self.end(cookie)

    def _clear(self, now_s: float) -> None:
        ended = [cookie for cookie, each in self._sessions.items() if each.has_ended(now_s)]
        ended += list(self._sessions)[: max(0, len(self._sessions) - MOST)]
        for cookie in ended:
            self.end(cookie)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that a passkey has to sign; ``secret`` is that of the key to enrol, or empty."""

    challenge: bytes
    secret: str = field(repr=False)
    name: str
    made_s: float


class Challenges:
    """Challenges that are not answered yet, by the value of the cookie that came with each."""

    def __init__(self, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._random = random
        self._challenges: dict[str, Challenge] = {}

    def make(self, now_s: float, *, secret: str = "", name: str = "") -> tuple[str, Challenge]:
        """Make a challenge; return the cookie that it is bound to, and it."""
        self._clear(now_s)
        cookie = random_name()
        challenge = Challenge(self._random(_RANDOM_BYTES), secret, name, now_s)
        self._challenges[cookie] = challenge
        return cookie, challenge

    def take(self, cookie: str, now_s: float) -> Challenge | None:
        """Return the challenge of a cookie, once; None where there is none or its time is over."""
        self._clear(now_s)
        return self._challenges.pop(cookie, None)

    def _clear(self, now_s: float) -> None:
        ended = [
            cookie
            for cookie, each in self._challenges.items()
            if now_s - each.made_s >= CHALLENGE_S
        ]
        ended += list(self._challenges)[: max(0, len(self._challenges) - MOST)]
        for cookie in ended:
            self._challenges.pop(cookie, None)
