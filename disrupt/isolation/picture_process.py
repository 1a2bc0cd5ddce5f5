"""One process that decodes and hashes pictures, seen from the server."""

from __future__ import annotations

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


class NotBegunError(Exception):
    """The process has ended, and has not begun with this picture."""


class Process(Child):
    """One process, asked one thing at a time on one event loop."""

    def __init__(self, limits: IsolationLimits, images: ImageLimits) -> None:
        """Spawn it, from the main thread: it dies with the thread that started it."""
        super().__init__("disrupt.isolation.picture_worker", images.max_bytes, limits.memory_bytes)
        self.in_hand = False
        self._limits = limits
        self._images = images
        self._asked_s = 0.0

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
        self._asked_s = time.monotonic()
        self.in_hand = True
        here = slice(len(picture))
        self._shared[here] = picture
        try:
            self.allow_cpu_time(self._limits.cpu_s)
            try:
                self._socket.send(pack_request(Request(task, len(picture), self._images)))
            except OSError:
                raise NotBegunError from None
            return await self._answer(self._limits.timeout_s)
        finally:
            # Erase it for both sides; giving the pages back would cost a tenth of a lookup.
            self._shared[here] = bytes(len(picture))
            self.in_hand = False

    def silent_s(self) -> float:
        """Return for how long it has had a picture in hand; 0 without one."""
        return time.monotonic() - self._asked_s if self.in_hand else 0.0

    async def _answer(self, timeout_s: float) -> Answer:
        try:
            return unpack_answer(await self.receive(timeout_s, ANSWER_BYTES_MAX))
        except ValueError:
            raise await self.died(Cause.CRASH) from None
