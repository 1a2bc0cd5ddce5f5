"""PINs are hashed one at a time, and checks come before other hashing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from disrupt.errors import DataDirectoryError
from disrupt.services.pins import Pins
from disrupt.services.throttle import Asked, NotYetError, Throttle
from rig.waiting import eventually


class Hasher:
    """argon2's hasher, with a duration that the test sets."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.at_once: list[int] = []
        self.go_on = threading.Event()
        self._running = 0

    def hash(self, _: bytes) -> str:
        return str(self._work("hash"))

    def verify(self, _encoded: str, _: bytes) -> bool:
        return self._work("check")

    def _work(self, what: str) -> bool:
        self._running += 1
        self.log.append(what)
        self.at_once.append(self._running)
        self.go_on.wait()
        self._running -= 1
        return True


def test_pins_are_hashed_one_at_a_time_and_checks_pass_those_that_wait() -> None:
    pins, hasher = Pins(bytes(32)), Hasher()
    stub: Any = hasher
    pins._hasher = stub

    def start(work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work)
        thread.start()
        return thread

    threads = [start(lambda: pins.hash("1")) for _ in range(5)]
    eventually(lambda: hasher.log == ["hash"])
    time.sleep(0.2)  # The other hashes wait by now; where they do not, the test proves less.
    threads += [start(lambda: pins.verify("", b"")) for _ in range(2)]
    eventually(lambda: pins._checks == 2)
    hasher.go_on.set()
    for thread in threads:
        thread.join()
    assert hasher.log == ["hash", "check", "check", *["hash"] * 4]
    assert max(hasher.at_once) == 1


@pytest.mark.parametrize(
    "damaged", ["", "$argon2id$v=19$m=19456,t=2,p=1$abcd", "$argon2id$v=19", "$argon2id$é"]
)
def test_a_damaged_hash_is_refused_alone_and_checks_go_on(damaged: str) -> None:
    pins = Pins(bytes(32))
    throttle = Throttle(pins.verify)
    cases = {"damaged": damaged, "whole": pins.hash("123456789012")}

    def ask(number: str, now_s: float) -> bool:
        asked = Asked("key", b"", number, pins.proof("123456789012"))
        return throttle.ask(asked, cases[number], now_s)

    for number in cases:
        with pytest.raises(NotYetError):
            ask(number, 0.0)
    with capture_logs() as lines:
        throttle.work(lambda: 1.0)
    assert [line["event"] for line in lines] == ["pin_hash_unreadable"]
    assert ask("whole", 2.0)
    with pytest.raises(DataDirectoryError, match="damaged"):
        ask("damaged", 60.0)


def test_a_pin_is_only_right_under_its_pepper() -> None:
    pins, pin = Pins(b"p" * 32), "123456789012"
    encoded = pins.hash(pin)
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert pins.verify(encoded, pins.proof(pin))
    assert not pins.verify(encoded, pins.proof("123456789013"))
    assert not pins.verify(encoded, Pins(b"q" * 32).proof(pin))
