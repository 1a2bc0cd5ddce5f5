"""A call whose PIN waits to be checked sleeps until it is, and for a short time only."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from disrupt.errors import TooManyAttemptsError
from disrupt.server.admission.pool import Pool
from disrupt.server.calls import pin_waits
from disrupt.server.calls.pin_waits import PinWaits
from disrupt.services.throttle import Asked, NotYetError, Throttle

ASKED = Asked("key", b"origin", "number", b"proof")


class Judging:
    """A throttle that checks when told to, and the use case that asks it."""

    def __init__(self, *, right: bool) -> None:
        self.throttle = Throttle(lambda _hash, _proof: right)
        self.asked = 0
        self.waits: NotYetError | None = None

    def use_case(self, *, now_s: float) -> bool:
        self.asked += 1
        try:
            return self.throttle.ask(ASKED, "hash", now_s)
        except NotYetError as error:
            self.waits = error
            raise

    def check(self) -> None:
        self.throttle.work(time.monotonic)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Record how long the code slept for each time that it did."""
    slept: list[float] = []
    sleep: Callable[[float], Any] = asyncio.sleep

    async def recorded(delay_s: float) -> None:
        slept.append(delay_s)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", recorded)
    yield slept
    monkeypatch.undo()


def waited(judging: Judging, then: Callable[[], None]) -> bool:
    """Run the use case; once it waits, call ``then`` in another thread."""

    async def run() -> bool:
        call = asyncio.ensure_future(
            PinWaits().run(Pool("pins", threads=1, queued=1), judging.use_case)
        )
        while judging.waits is None or not judging.waits.attempt.waiters:
            await asyncio.wait([call], timeout=0.01)
        threading.Thread(target=then).start()
        return await call

    return asyncio.run(run())


def test_a_call_sleeps_until_its_pin_is_checked(steps: list[float]) -> None:
    judging = Judging(right=True)
    assert waited(judging, judging.check)
    assert steps == []
    assert judging.asked == 2
    assert judging.waits is not None
    assert judging.waits.attempt.waiters == ()


def test_a_wrong_pin_is_refused_when_that_is_due(
    steps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("disrupt.services.throttle.REFUSED_AFTER_S", 0.0)
    judging = Judging(right=False)
    assert not waited(judging, judging.check)
    assert len(steps) == 1


def test_a_check_that_takes_long_sends_the_call_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("disrupt.services.throttle.REFUSED_AFTER_S", 0.0)
    monkeypatch.setattr(pin_waits, "_HELD_S", 0.1)
    judging = Judging(right=True)
    with pytest.raises(TooManyAttemptsError):
        waited(judging, lambda: None)
    assert judging.asked == 1
    assert judging.waits is not None
    assert judging.waits.attempt.waiters == ()
