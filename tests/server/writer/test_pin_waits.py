"""A call whose PIN waits to be checked sleeps until it is, and for a short time only."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from disrupt.errors import TooManyAttemptsError
from disrupt.server.edge.pool import Pool
from disrupt.server.writer import pin_waits
from disrupt.server.writer.pin_waits import PinWaits
from disrupt.services.throttle import Asked, NotYetError, Throttle

ASKED = Asked("key", b"origin", "number", b"proof")


class Judging:
    """A throttle that checks when told to, and the use case that asks it."""

    def __init__(self, *, right: bool) -> None:
        self.throttle = Throttle(lambda _hash, _proof: right)
        self.asked_s: list[float] = []
        self.waits: NotYetError | None = None

    def use_case(self, *, now_s: float) -> bool:
        self.asked_s.append(now_s)
        try:
            return self.throttle.ask(ASKED, "hash", now_s)
        except NotYetError as error:
            self.waits = error
            raise

    def check(self) -> None:
        self.throttle.work(time.monotonic)


def waited(judging: Judging, then: Callable[[], None]) -> bool:
    """Run the use case; once it waits, call ``then`` in another thread."""

    async def run() -> bool:
        call = asyncio.ensure_future(
            PinWaits().run(Pool("pins", threads=1, queued=1), judging.use_case)
        )
        while judging.waits is None:
            await asyncio.sleep(0.01)
        threading.Thread(target=then).start()
        return await call

    return asyncio.run(run())


@pytest.mark.parametrize("right", [True, False])
def test_a_call_asks_again_once_its_pin_is_checked_and_a_refusal_is_due(
    monkeypatch: pytest.MonkeyPatch, *, right: bool
) -> None:
    monkeypatch.setattr("disrupt.services.throttle.REFUSED_AFTER_S", 0.3)
    judging = Judging(right=right)
    assert waited(judging, judging.check) == right
    assert len(judging.asked_s) == 2
    assert judging.waits is not None
    assert right or judging.asked_s[-1] >= judging.waits.attempt.due_s


def test_a_check_that_takes_long_sends_the_call_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("disrupt.services.throttle.REFUSED_AFTER_S", 0.0)
    monkeypatch.setattr(pin_waits, "_HELD_S", 0.1)
    judging = Judging(right=True)
    with pytest.raises(TooManyAttemptsError):
        waited(judging, lambda: None)
    assert len(judging.asked_s) == 1
