"""Nobody can find out whether a case exists: not by the time, size or headers of a refusal.

The application and the server's use cases run on a clock of the test, so that the machine's speed
is not in the figures: time passes only while nothing can run, and while a PIN is checked.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import selectors
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.client.connection import connect
from disrupt.core.cases import AgeBand, new_case_number
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.registrations import CaseAccess, MediaItem, RegistrationRequest
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from disrupt.server.calls import pin_waits
from disrupt.server.calls.registration import RegistrationServicer
from disrupt.services.pins import Pins
from disrupt.services.registration import Registrar
from disrupt.services.throttle import Throttle
from disrupt.v1 import registration_pb2
from disrupt.web.gateway import Gateway
from disrupt.web.origins import Origins
from disrupt.web.upstream import Upstream
from tests.server.caller import PIN, access
from tests.web.running import headers_for

pytestmark = pytest.mark.slow

TRIES = 1000
"""Tries of unknown numbers, and as many of wrong PINs."""
CASES = 20
CALLERS = 30
ACCURACY_MAX = 0.55
CHECK_S = (0.02, 0.2)
"""Time that the check of a PIN takes."""
TICK_S = 0.1
PEPPER = b"p" * 32


class Clock(asyncio.SelectorEventLoop):
    """An event loop on a clock of its own, which passes only while nothing can run."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        selector = selectors.SelectSelector()
        waited = selector.select

        def select(timeout: float | None = None) -> Any:
            events = waited(0)
            if not events and timeout:
                self.now_s += timeout
            return events

        selector.select = select  # type: ignore[method-assign]
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


class _Inline:
    """A pool that works at once: threads would run while the clock passes."""

    async def run(self, function: Callable[[], Any]) -> Any:
        return function()


class _InProcess(Upstream):
    """The server's use cases, without the connection between."""

    def __init__(self, servicer: RegistrationServicer) -> None:
        super().__init__(connect("127.0.0.1:1", "key"))
        self._servicer = servicer

    async def call(self, method: str, message: bytes) -> bytes:
        assert method.endswith("/GetCase")
        request = registration_pb2.GetCaseRequest.FromString(message)
        context: Any = SimpleNamespace(invocation_metadata=lambda: ())
        return (await self._servicer.GetCase(request, context)).SerializeToString()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistryWriter]:
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        yield writer


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(pin_waits, "time", SimpleNamespace(monotonic=clock.time))
    yield clock
    clock.close()


def register(registrar: Registrar) -> str:
    array = np.zeros(1, FINGERPRINT)
    array["quality"], array["profile"] = 90, 1
    array["hash"] = np.frombuffer(secrets.token_bytes(32), np.uint8)
    item = MediaItem(MediaKind.IMAGE, array)
    opens = CaseAccess("", PIN, b"")
    request = RegistrationRequest(secrets.token_bytes(16), opens, AgeBand.ADULT, (item,))
    return registrar.register(request, caller="key", now_s=0.0, day="2026-01-01").case_number


async def fetch(application: Any, loop: Clock, number: str, pin: str, host: str) -> list[float]:
    """Ask for a case; return the time, size and headers of the refusal as numbers."""
    body = registration_pb2.GetCaseRequest(access=access(number, pin)).SerializeToString()
    headers = headers_for(body) | {"content-length": str(len(body))}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/GetCase",
        "raw_path": b"/v1/GetCase",
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (host, 1),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    began_s = loop.time()
    await application(scope, receive, send)
    assert sent[0]["status"] == 404
    answered = sorted(sent[0]["headers"])
    text = b"\n".join(name + b":" + value for name, value in answered)
    return [loop.time() - began_s, len(sent[1]["body"]), len(text), float(sum(text))]


async def tries(
    loop: Clock, registrar: Registrar, throttle: Throttle
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Try all, in random order and at random times; return the refusals, and which cases exist."""
    draw = random.Random(1)
    existing = [register(registrar) for _ in range(CASES)]
    pool: Any = _Inline()
    unused: Any = None
    servicer = RegistrationServicer(registrar, unused, unused, pool, pool, unused)
    application = Gateway({}, _InProcess(servicer), Origins([])).application()
    kinds = [True, False] * TRIES
    draw.shuffle(kinds)

    async def check() -> None:
        while True:
            throttle.work(loop.time)
            await asyncio.sleep(TICK_S)

    checking = asyncio.create_task(check())
    asked = []
    for exists in kinds:
        number = draw.choice(existing) if exists else new_case_number(draw.randbytes(16))
        pin, host = str(draw.randrange(10**11, 10**12)), f"192.0.2.{draw.randrange(CALLERS)}"
        asked.append(asyncio.create_task(fetch(application, loop, number, pin, host)))
        await asyncio.sleep(draw.expovariate(1.0))
    refusals = await asyncio.gather(*asked)
    checking.cancel()
    return np.array(refusals), np.array(kinds)


def accuracy(refusals: NDArray[np.float64], kinds: NDArray[np.bool_]) -> float:
    """Learn from one half which refusals are of existing cases, and judge the other half."""
    # Imported here, since it takes seconds, which every collection of tests would take.
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    forest = RandomForestClassifier(n_estimators=50, min_samples_leaf=20, random_state=1)
    forest.fit(refusals[::2], kinds[::2])
    return float(forest.score(refusals[1::2], kinds[1::2]))


def test_no_classifier_tells_an_unknown_case_from_a_wrong_pin(
    loop: Clock, registry: SqlRegistryWriter
) -> None:
    draw = random.Random(2)

    def verify(_encoded: str, _proof: bytes) -> bool:
        loop.now_s += draw.uniform(*CHECK_S)
        return False

    throttle = Throttle(verify)
    registrar = Registrar(registry, Pins(PEPPER), throttle, PEPPER)
    refusals, kinds = loop.run_until_complete(tries(loop, registrar, throttle))
    assert len(refusals) == 2 * TRIES
    assert len(np.unique(refusals[:, 1:], axis=0)) == 1
    assert accuracy(refusals, kinds) <= ACCURACY_MAX
    leaking = refusals + np.outer(kinds, [CHECK_S[1], 0, 0, 0])
    assert accuracy(leaking, kinds) > ACCURACY_MAX, "a leak of that size would show"
