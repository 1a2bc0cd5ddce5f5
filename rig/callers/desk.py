"""Register generated hashes, report and withdraw them; keep what their client knows of them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self, TypeVar

import grpc

from disrupt.client.connection import connect
from disrupt.client.failures import failure
from disrupt.core.outcomes import MatchedVersion, MatchOutcome
from disrupt.data_directory import DataDirectory
from disrupt.errors import TooManyAttemptsError
from disrupt.registry import opening
from disrupt.services.tokens import MatchTokens
from disrupt.submission import requests
from disrupt.v1 import match_pb2, registration_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from rig.model.write import Write
from rig.servers.deployment import Deployment

TIMEOUT_S = 30.0

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class _Call:
    began_s: float
    answered: bool = False


@dataclass(frozen=True)
class Reporter:
    """A platform that reports outcomes: its key, and a function that makes it match ids of items.

    Its match ids are sealed with the server's secret, so that no lookup has to be waited for.
    """

    key: str
    seal: Callable[[bytes], bytes]

    @classmethod
    def new(cls, server: Deployment, name: str = "reporter") -> Self:
        """Make a key for an organisation of this name."""
        key = server.make_key(name, "match")
        with opening.reading(DataDirectory(server.data_dir)) as reader:
            keys = reader.keys()
        (key_id,) = [each.key_id for each in keys if each.name == name]
        tokens = MatchTokens(DataDirectory(server.data_dir).secrets().match_tokens)

        def seal(item_id: bytes) -> bytes:
            return tokens.seal([item_id], [[MatchedVersion(0, 0, 0)]], key_id, int(time.time()))[0]

        return cls(key, seal)


@dataclass(eq=False)
class Desk:
    """One connection of a submission client, for threads; keeps the calls in flight.

    With a ``reporter`` it is also that of a platform, whose calls are not counted as in flight.
    """

    server: str
    key: str
    reporter: Reporter | None = None
    tls_ca: bytes | None = None
    calls: list[_Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def open(self) -> Iterator[Self]:
        """Connect."""
        connection = connect(self.server, self.key, self.tls_ca)
        with connection.open() as channel:
            self._metadata = connection.metadata
            self._stub = RegistrationServiceStub(channel)
            self._matching = MatchServiceStub(channel)
            yield self

    def register(self, write: Write) -> registration_pb2.Receipt:
        """Send a registration, again with the same request id if it was sent before."""
        receipt = self._called(self._stub.RegisterHashes, write.request).receipt
        if write.receipt is None:
            write.receipt = receipt
        return receipt

    def withdraw(self, write: Write) -> None:
        """Withdraw a case that was acknowledged."""
        write.withdrawal_sent = True
        number = write.receipt.case_number if write.receipt else ""
        opens = requests.access(number, write.request.context.access.pin)
        request = registration_pb2.WithdrawCaseRequest(access=opens)
        write.withdrawal = self._called(self._stub.WithdrawCase, request)

    def report(self, write: Write, reporter: Reporter, outcome: MatchOutcome) -> None:
        """Report an outcome of the first item of a registration that was acknowledged."""
        write.reports.append(outcome)
        request = match_pb2.ReportOutcomeRequest(
            match_id=reporter.seal(write.item_ids[0]),
            outcome=outcome.value,  # type: ignore[arg-type]  # same numbers
        )
        metadata = connect(self.server, reporter.key).metadata
        self._matching.ReportOutcome(request, timeout=TIMEOUT_S, metadata=metadata)
        write.noted = len(write.reports)

    def unanswered(self, began_before_s: float) -> int:
        """Count the calls that began before a moment (of time.monotonic) and have no answer."""
        with self._lock:
            return sum(not call.answered and call.began_s < began_before_s for call in self.calls)

    def _called(self, method: Callable[..., _Answer], request: object) -> _Answer:
        call = _Call(time.monotonic())
        with self._lock:
            self.calls.append(call)
        while True:
            try:
                answer = method(request, timeout=TIMEOUT_S, metadata=self._metadata)
            except grpc.RpcError as error:
                failed = failure(error, self.server)
                if not isinstance(failed, TooManyAttemptsError):
                    raise
                time.sleep(failed.retry_after_s or 1.0)
            else:
                call.answered = True
                return answer


def patiently(call: Callable[[], _Answer], within_s: float = 20.0) -> _Answer:
    """Return a call's answer; try again while the server is unavailable."""
    give_up_s = time.monotonic() + within_s
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > give_up_s:
                raise
        time.sleep(0.05)


class Clients:
    """Threads that register and withdraw until the server is gone or ``end`` is called."""

    def __init__(self, desk: Desk, chance: random.Random, threads: int) -> None:
        self.writes: list[Write] = []
        """All writes that were sent."""
        self.failures: list[str] = []
        """Failures of calls other than those of a server that is gone."""
        self._desk = desk
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(chance.getrandbits(64)),))
            for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def acknowledged(self) -> int:
        """Number of writes acknowledged so far."""
        return sum(write.acknowledged for write in self.writes.copy())

    def end(self) -> None:
        """Send nothing more, and wait for the calls in flight."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, chance: random.Random) -> None:
        own: list[Write] = []
        try:
            while not self._stop.is_set():
                if own and chance.random() < 0.2:
                    self._desk.withdraw(own.pop(chance.randrange(len(own))))
                    continue
                reporter = self._desk.reporter
                if own and reporter and chance.random() < 0.2:
                    outcome = chance.choice(list(MatchOutcome))
                    self._desk.report(chance.choice(own), reporter, outcome)
                    continue
                write = Write.new(chance)
                self.writes.append(write)
                self._desk.register(write)
                own.append(write)
        except grpc.RpcError as error:
            if error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
                self.failures.append(f"{error.code().name}, {error.details()}")
