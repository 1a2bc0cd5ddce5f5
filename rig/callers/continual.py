"""Threads that look up, send pictures, register and withdraw through every fault."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import grpc

from disrupt.client import MatchClient
from disrupt.client.failures import failure
from disrupt.client.retries import RetryPolicy
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    OverloadedError,
    StorageFullError,
    UnavailableError,
)
from rig.callers.desk import Desk
from rig.model.lookups import Model, Record
from rig.model.write import Write
from rig.servers import registries

_PASSING = (UnavailableError, OverloadedError, DeadlineExceededError, StorageFullError)
"""Errors that tell a caller to try again; any other may not be answered, whatever is broken."""
_ONCE = RetryPolicy(attempts=1)
_TIMEOUT_S = 10.0
_PAUSE_S = {"lookups": 0.2, "pictures": 0.5, "writes": 0.02}
"""Pauses between two calls of a caller."""
_HELD = 10
"""Cases that a writer keeps; with more, it withdraws every other time."""


@dataclass(eq=False)
class Caller:
    """A thread that makes calls of one kind over one connection; see ``Callers``."""

    kind: str
    address: str
    last_s: float = field(default_factory=time.monotonic)
    """When it was answered last, of time.monotonic."""
    sequence: int = 0
    """Place in the registry that its last lookup included."""
    connection: int = 0
    """How often it was told to connect anew, when it did so last and was answered."""
    longest_s: float = 0.0
    """Longest time between two answers since ``forget``."""
    failures: list[DisruptError] = field(default_factory=list)

    def answered(self, connection: int) -> None:
        """Note an answer."""
        now_s = time.monotonic()
        self.longest_s = max(self.longest_s, now_s - self.last_s)
        self.last_s, self.connection = now_s, connection

    def forget(self) -> None:
        """Begin to count the longest wait and failures anew."""
        self.longest_s, self.failures = 0.0, []


class Callers:
    """A context in which lookups, pictures and writes go on through every fault."""

    def __init__(
        self,
        callers: Sequence[Caller],
        model: Model,
        keys: Mapping[str, str],
        *,
        picture: bytes = b"",
        tls_ca: bytes | None = None,
        retries: RetryPolicy = _ONCE,
    ) -> None:
        """``keys`` are secrets by right; ``picture`` is one of the first registered item."""
        self._all, self._model, self._keys, self._picture = callers, model, keys, picture
        self._tls_ca, self._retries = tls_ca, retries
        self._connection = 0
        self._stop, self._abandon = threading.Event(), threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(caller, random.Random(seed)))
            for seed, caller in enumerate(callers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandon.set()
        self.end()

    def end(self) -> None:
        """Begin nothing more, and wait until all that was begun is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def reconnect(self) -> None:
        """Let every caller connect anew: the kernel spreads them over the workers."""
        self._connection += 1

    def are_new(self) -> bool:
        """Tell whether every caller was answered over its newest connection."""
        return all(caller.connection == self._connection for caller in self._all)

    def _run(self, caller: Caller, chance: random.Random) -> None:
        held: list[Record] = []
        try:
            while not self._stop.is_set():
                connection = self._connection
                with ExitStack() as stack:
                    call = self._calls(caller, chance, held, stack)
                    while not self._stop.is_set() and connection == self._connection:
                        if self._try(caller, call):
                            caller.answered(connection)
                        time.sleep(_PAUSE_S[caller.kind])
        except Exception as error:  # noqa: BLE001 no thread may end in silence
            self._model.problems.append(f"{caller.kind}: {type(error).__name__}: {error}")

    def _calls(
        self, caller: Caller, chance: random.Random, held: list[Record], stack: ExitStack
    ) -> Callable[[], None]:
        """Connect; return the function that makes a call."""
        if caller.kind == "writes":
            desk = Desk(caller.address, self._keys["register"], tls_ca=self._tls_ca)
            return partial(self._write, caller, stack.enter_context(desk.open()), chance, held)
        client = stack.enter_context(
            MatchClient(
                caller.address,
                key=self._keys["match"],
                tls_ca=self._tls_ca,
                connections=1,
                timeout_s=_TIMEOUT_S,
                retries=self._retries,
            )
        )

        picture_id = registries.item_id(1).hex()

        def look_up() -> None:
            caller.sequence = self._model.look_up(client, chance)

        def look_picture_up() -> None:
            answer = client.match_image(self._picture, hash_locally=False)
            if picture_id not in {match.item_id for match in answer.matches}:
                self._model.problems.append("wrong answer: a registered picture does not match")

        return look_up if caller.kind == "lookups" else look_picture_up

    def _try(self, caller: Caller, call: Callable[[], None]) -> bool:
        """Make a call; note its failure."""
        try:
            call()
        except grpc.RpcError as error:
            failed = failure(error, caller.address)
        except DisruptError as error:
            failed = error
        else:
            return True
        caller.failures.append(failed)
        if not isinstance(failed, _PASSING):
            self._model.problems.append(f"{caller.kind} were answered {failed.reason}: {failed}")
        return False

    def _write(self, caller: Caller, desk: Desk, chance: random.Random, held: list[Record]) -> None:
        """Register or withdraw a case, however often it has to be tried."""
        if len(held) < _HELD or chance.random() < 0.5:
            record = Record(Write.new(chance, hashes=chance.choice((1, 2, 20))))
            if self._until_done(caller, partial(desk.register, record.write)):
                receipt = record.write.receipt
                record.present_from = self._model.sequence(receipt.cursor) if receipt else 0
                self._model.records.append(record)
                held.append(record)
            return
        record = held.pop(chance.randrange(len(held)))
        if self._until_done(caller, partial(desk.withdraw, record.write)):
            withdrawal = record.write.withdrawal
            record.absent_from = self._model.sequence(withdrawal.cursor) if withdrawal else 0

    def _until_done(self, caller: Caller, call: Callable[[], object]) -> bool:
        """Try until it is done; return False where the run ends for a problem."""

        def made() -> None:
            call()

        while not self._try(caller, made):
            if self._abandon.is_set() or self._model.problems:
                return False
            time.sleep(_PAUSE_S[caller.kind])
        return True
