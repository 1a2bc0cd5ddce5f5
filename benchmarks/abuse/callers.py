"""Run ordinary callers of a server in a process of their own, and record their calls."""

from __future__ import annotations

import io
import random
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection

import grpc

from benchmarks.abuse.attack import Keys
from benchmarks.abuse.rows import (
    HASHES,
    HEALTH,
    PICTURES,
    REGISTRATIONS,
    VIDEOS,
    WITHDRAWALS,
    WITHDRAWN_WITHIN_S,
    Call,
)
from benchmarks.harness.photographs import EVERYWHERE
from benchmarks.harness.videos import encode, footage, photograph
from benchmarks.harness.writes import Desk, Write
from disrupt.client import MatchClient
from disrupt.client.health import check_health
from disrupt.errors import DisruptError
from disrupt.submission.client import SubmissionClient

HEALTH_TIMEOUT_S = 5.0
"""Default of `disrupt health`, which containers run."""

_BATCH = 64
_PICTURE_PX = 512
_PAUSE_AFTER_FAILURE_S = 0.05
_VIDEO_TIMEOUT_S = 30.0
_WITHDRAWAL_EVERY_S = 1.0
_VIDEO_EVERY_S = 2.0
_HEALTH_EVERY_S = 1.0


def call(pipe: Connection, address: str, keys: Keys, every_s: float) -> None:
    """Call a server; the pipe takes "go", "pause", "take", answered by a list of Call, and "end".

    "go" and "pause" are answered once they are done. Lookups of hashes and of pictures begin
    ``every_s`` apart, or as soon as the one before is answered.
    """
    with ExitStack() as stack:
        callers = _Callers(stack, address, keys, every_s)
        pipe.send("paused")
        while (word := pipe.recv()) != "end":
            if word == "take":
                pipe.send(callers.take())
            else:
                callers.pause() if word == "pause" else callers.go()
                pipe.send(word)
        callers.pause()


class _Callers:
    def __init__(self, stack: ExitStack, address: str, keys: Keys, every_s: float) -> None:
        self._calls: list[Call] = []
        self._lock = threading.Lock()
        self._pausing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._chance = random.Random(1)
        self._address = address
        self._every_s = every_s
        self._match = stack.enter_context(MatchClient(address, key=keys.match))
        self._submission = stack.enter_context(
            SubmissionClient(address, key=keys.register, timeout_s=WITHDRAWN_WITHIN_S)
        )
        self._desk = stack.enter_context(Desk(address, keys.register).open())
        self._picture, self._video = _picture(), encode(footage(1, seconds=2))

    def go(self) -> None:
        self._pausing.clear()
        self._threads = [
            threading.Thread(target=self._repeat, args=(do, every_s), daemon=True)
            for do, every_s in (
                (self._look_up_hashes, self._every_s),
                (self._look_up_hashes, self._every_s),
                (self._look_up_picture, self._every_s),
                (self._look_up_video, _VIDEO_EVERY_S),
                (self._register_and_withdraw, _WITHDRAWAL_EVERY_S),
                (self._check_health, _HEALTH_EVERY_S),
            )
        ]
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Wait for the calls in flight."""
        self._pausing.set()
        for thread in self._threads:
            thread.join()

    def take(self) -> list[Call]:
        with self._lock:
            calls, self._calls = self._calls, []
        return calls

    def _repeat(self, do: Callable[[], None], every_s: float) -> None:
        while not self._pausing.is_set():
            began_s = time.monotonic()
            do()
            self._pausing.wait(max(0.0, every_s - (time.monotonic() - began_s)))

    def _call(self, kind: str, call: Callable[[], object]) -> bool:
        """Call and keep the result; return True if it was answered."""
        began_s, answered = time.monotonic(), True
        try:
            call()
        except (DisruptError, grpc.RpcError):
            answered = False
        done = Call(kind, began_s, time.monotonic() - began_s, answered)
        with self._lock:
            self._calls.append(done)
        if not answered:
            self._pausing.wait(_PAUSE_AFTER_FAILURE_S)
        return answered

    def _look_up_hashes(self) -> None:
        batch = secrets.token_bytes(32 * _BATCH)
        self._call(HASHES, lambda: self._match.match_hashes(batch))

    def _look_up_picture(self) -> None:
        self._call(PICTURES, lambda: self._match.match_image(self._picture, hash_locally=False))

    def _look_up_video(self) -> None:
        self._call(
            VIDEOS,
            lambda: self._match.match_video(
                self._video, hash_locally=False, timeout_s=_VIDEO_TIMEOUT_S
            ),
        )

    def _register_and_withdraw(self) -> None:
        write = Write.new(self._chance, items=1, hashes=2)
        if self._call(REGISTRATIONS, lambda: self._desk.register(write)):
            number = write.receipt.case_number if write.receipt else ""
            pin = write.request.context.access.pin
            self._call(WITHDRAWALS, lambda: self._submission.withdraw(number, pin))

    def _check_health(self) -> None:
        self._call(HEALTH, lambda: check_health(self._address, timeout_s=HEALTH_TIMEOUT_S))


def _picture() -> bytes:
    image = photograph(EVERYWHERE[0]).convert("RGB")
    image.thumbnail((_PICTURE_PX, _PICTURE_PX))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()
