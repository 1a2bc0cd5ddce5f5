"""One process that decodes and hashes pictures, seen from the server."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Self, cast

from disrupt.hashing.decoding.pictures import ImageLimits
from disrupt.isolation.child import Cause, Child
from disrupt.isolation.messages import (
    ANSWER_BYTES_MAX,
    Answer,
    Ready,
    Request,
    Task,
    pack_request,
    unpack_answer,
)

START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class IsolationLimits:
    """Limits of one process.

    ``memory_bytes`` of address space: libraries take 0.4 GiB of it, a picture of 50 megapixels 0.1
    to 0.9 GiB. ``cpu_s`` of processor time for one picture, in whole seconds: one of 50 megapixels
    takes up to 2. ``timeout_s`` on the clock for one picture.
    """

    memory_bytes: int = 1536 * 2**20
    cpu_s: int = 5
    timeout_s: float = 30.0


SLOTS = 2
"""Pictures that a process has at once: the second is ready when it has hashed the first."""


class NotBegunError(Exception):
    """The process has ended, and has not begun with this picture."""


class Process(Child):
    """One process, asked up to SLOTS things at once on one event loop."""

    def __init__(self, limits: IsolationLimits, images: ImageLimits) -> None:
        """Spawn it, from the main thread: it dies with the thread that started it."""
        super().__init__(
            "disrupt.isolation.picture_worker", SLOTS * images.max_bytes, limits.memory_bytes
        )
        self.in_hand = 0
        self._limits = limits
        self._images = images
        self._starts = [slot * images.max_bytes for slot in range(SLOTS)]
        self._turn = asyncio.Lock()
        self._answered_s = 0.0
        """Time of its last answer or, if later, when it was given a picture while it had none."""

    @classmethod
    async def start(cls, limits: IsolationLimits, images: ImageLimits) -> tuple[Self, Ready]:
        """Start a process that can be asked; ProcessDiedError where it fails to get ready."""
        process = cls(limits, images)
        try:
            answer = await process._answer(START_TIMEOUT_S)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        # The process has seen no media yet, so its first answer is Ready.
        return process, cast("Ready", answer)

    async def ask(self, task: Task, picture: bytes | memoryview) -> Answer:
        """Ask for the hashes of a picture, and wait for them.

        ProcessDiedError where that ends the process, NotBegunError where it had ended before.
        """
        if self._over:
            raise NotBegunError
        start = self._starts.pop()
        if not self.in_hand:
            self._answered_s = time.monotonic()
        self.in_hand += 1
        here = slice(start, start + len(picture))
        self._shared[here] = picture
        try:
            self._allow_cpu_time()
            try:
                self._socket.send(pack_request(Request(task, start, len(picture), self._images)))
            except OSError:
                raise NotBegunError from None
            async with self._turn:
                if self._over:
                    raise NotBegunError
                self._allow_cpu_time()
                return await self._answer(self._limits.timeout_s)
        finally:
            # Erase it for both sides; giving the pages back would cost a tenth of a lookup.
            self._shared[here] = bytes(len(picture))
            self.in_hand -= 1
            self._starts.append(start)

    def silent_s(self) -> float:
        """Return for how long it has had a picture in hand, and has answered nothing."""
        return time.monotonic() - self._answered_s if self.in_hand else 0.0

    async def _answer(self, timeout_s: float) -> Answer:
        try:
            answer = await self.receive(timeout_s, ANSWER_BYTES_MAX)
            self._answered_s = time.monotonic()
            return unpack_answer(answer)
        except ValueError:
            raise await self.died(Cause.CRASH) from None

    def _allow_cpu_time(self) -> None:
        """Limit its processor time to that of the pictures that it has."""
        self.allow_cpu_time(self.in_hand * self._limits.cpu_s)
