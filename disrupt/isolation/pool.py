"""Base of the pools of processes that decode pictures and videos."""

from __future__ import annotations

from collections import Counter

import structlog

from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    OverloadedError,
    UnavailableError,
    UnimplementedError,
)
from disrupt.fair_queue import FairQueue
from disrupt.hashing.decoding.pictures import refused
from disrupt.isolation.child import Cause, ProcessDiedError
from disrupt.isolation.messages import Failed, OutOfMemory, Refused

_log = structlog.get_logger(__name__)


class DecoderPool:
    """``workers`` processes; ``queued`` calls wait, more are refused. For one event loop.

    Those that wait take turns, see ``fair_queue``.
    """

    medium = "picture"
    """Noun for the decoded medium in the messages of errors."""
    field = "image"
    """Field of a request that carries the medium."""
    smaller = "send a smaller version"
    """Advice in the messages of errors when decoding exceeds a limit."""
    retry_after_s = 1.0

    def __init__(self, *, workers: int, queued: int, memory_bytes: int, cpu_s: int) -> None:
        self.deaths: Counter[Cause] = Counter()
        """Number of processes that ended, by cause; not those that were told to."""
        self._memory_bytes = memory_bytes
        self._cpu_s = cpu_s
        self._places = workers + queued
        self._queue = FairQueue(workers)

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a process."""
        return self._queue.waiting

    @property
    def pace_s(self) -> float:
        """Time by which each call that waits delays those behind it, as measured of late."""
        return self._queue.pace_s

    def _take_place(self) -> None:
        """Take a place of those at work or waiting. Raises OverloadedError."""
        if not self._places:
            raise OverloadedError(
                f"The server is busy with other {self.medium}s. Try again in a moment.",
                retry_after_s=self.retry_after_s,
            )
        self._places -= 1

    def _note_death(self, death: ProcessDiedError) -> None:
        self.deaths[death.cause] += 1
        _log.error(
            "decoder_died",
            cause=death.cause,
            ended_by=death.ended_by,
            deaths_of_this_cause=self.deaths[death.cause],
        )

    def _error_of_answer(self, answer: object) -> DisruptError:
        """Return the error that an answer stands for, which is none of those asked for."""
        match answer:
            case Refused(reason, lacks_decoder=True):
                return UnimplementedError(reason, cause="NO_DECODER")
            case Refused(reason):
                return refused(reason, field=self.field)
            case OutOfMemory():
                return self._refused(
                    f"needs more than the {self._memory_bytes // 2**20} MiB that are allowed",
                    "MEMORY",
                )
        kind = answer.kind if isinstance(answer, Failed) else "protocol"
        _log.error("hashing_failed", kind=kind)
        return DisruptError("Something went wrong in the server; the operator's log says what.")

    def _error_of_death(self, death: ProcessDiedError) -> DisruptError:
        match death.cause:
            case Cause.CRASH:
                return refused(
                    f"the decoder crashed on this {self.medium} ({death.ended_by}): it is damaged,"
                    " or an attack",
                    death.cause,
                    field=self.field,
                )
            case Cause.CPU_TIME:
                return self._refused(
                    f"takes more than {self._cpu_s} s of processor time", death.cause
                )
            case Cause.TIMEOUT:
                return DeadlineExceededError(
                    f"The {self.medium} was not decoded in time.", cause=death.cause
                )
            case Cause.KILLED | Cause.IDLE:
                return UnavailableError(
                    f"The decoder was ended from outside while it had this {self.medium}; try"
                    " again.",
                    retry_after_s=self.retry_after_s,
                    cause=death.cause,
                )

    def _refused(self, reason: str, cause: str) -> DisruptError:
        text = f"decoding this {self.medium} {reason}; {self.smaller}"
        return refused(text, cause, field=self.field)
