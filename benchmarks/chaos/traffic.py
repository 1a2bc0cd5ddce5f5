"""Writes and lookups of several kinds that go on through every fault."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

import grpc
import numpy as np
from PIL import Image

from benchmarks.chaos.model import MAX_DISTANCE_BITS, Model, Record
from benchmarks.chaos.site import Site
from benchmarks.harness.writes import Desk, Write
from disrupt.client import MatchClient
from disrupt.client.failures import failure
from disrupt.client.retries import RetryPolicy
from disrupt.core.media import ItemState
from disrupt.core.outcomes import Outcome
from disrupt.errors import (
    DataDirectoryError,
    DeadlineExceededError,
    DisruptError,
    OverloadedError,
    SnapshotRefusedError,
    StorageFullError,
    UnavailableError,
)
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.server.upkeep.administration import administration
from disrupt.wire import admin as wire

_REFUSED = (
    UnavailableError,
    OverloadedError,
    SnapshotRefusedError,
    DeadlineExceededError,
    StorageFullError,
    DataDirectoryError,
)
"""Errors that are right while a fault lasts; any other is a problem."""

_TIMEOUT_S = 10.0
_PAUSE_S = 0.02
_BATCH = 16
_HELD = 10
"""Cases that a writer keeps: with more, it withdraws or switches off what it registered."""


@dataclass
class Clock:
    """Times between the answers that one caller got."""

    kind: str
    last_s: float = field(default_factory=time.monotonic)
    waits: list[tuple[float, float]] = field(default_factory=list)
    """Ends and lengths of the waits that one can feel, in seconds."""

    def answered(self) -> None:
        """Note an answer."""
        now_s = time.monotonic()
        if now_s - self.last_s > _PAUSE_S:
            self.waits.append((now_s, now_s - self.last_s))
        self.last_s = now_s

    def longest_s(self, since_s: float) -> float:
        """Return the longest wait that was not over at a moment."""
        ended = [length for end, length in self.waits.copy() if end > since_s]
        return max(ended, default=0.0)


class Traffic:
    """Callers in threads of their own; and a flow of lookups from a process of its own."""

    def __init__(self, site: Site, model: Model, seed: int, *, writers: int, lookers: int) -> None:
        self.clocks: list[Clock] = []
        self._site, self._model = site, model
        self._stop, self._abandon = threading.Event(), threading.Event()
        chance = random.Random(seed)
        runs = [self._write] * writers + [self._look_up] * lookers + [self._look_pictures_up]
        kinds = ["registrations"] * writers + ["lookups"] * lookers + ["pictures"]
        self._threads = []
        for run, kind in zip(runs, kinds, strict=True):
            clock = Clock(kind)
            self.clocks.append(clock)
            own = random.Random(chance.getrandbits(64))
            self._threads.append(threading.Thread(target=self._run, args=(run, own, clock)))

    def __enter__(self) -> Self:
        self._picture = self._register_picture()
        for thread in self._threads:
            thread.start()
        self.flow = self._start_flow()
        return self

    def __exit__(self, *_: object) -> None:
        self._abandon.set()
        self.end()

    def end(self) -> None:
        """Begin nothing more, and wait until all that was begun is acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.flow.kill()
        self.flow.wait()

    def abandon(self) -> None:
        """Give up what is not acknowledged: the server did not come back."""
        self._abandon.set()

    def renew_flow(self) -> None:
        """Start the flow of lookups anew, where it has ended."""
        if self.flow.poll() is not None:
            self.flow = self._start_flow()

    def _start_flow(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "benchmarks.chaos.flow", self._site.address]
        return subprocess.Popen([*words, self._site.keys["match"]], stderr=subprocess.DEVNULL)

    def _register_picture(self) -> bytes:
        """Register a generated picture, which nobody withdraws; return its file."""
        coarse = np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(coarse).resize((480, 360), Image.Resampling.BICUBIC).save(file, "PNG")
        outcome = fingerprint_image(file.getvalue())
        if not isinstance(outcome, ImageFingerprints):
            raise TypeError("a generated picture has too little detail")
        write = Write.of([outcome.fingerprints], random.Random(0))
        with Desk(self._site.address, self._site.keys["register"]).open() as desk:
            desk.register(write)
        record = Record(write, self._model.position())
        self._model.acknowledge("registrations")
        self._model.records.append(record)
        self._picture_id = write.item_ids[0].hex()
        self.stored_hash = write.hashes[0].value
        return file.getvalue()

    def _run(
        self, run: Callable[[random.Random, Clock], None], chance: random.Random, clock: Clock
    ) -> None:
        try:
            run(chance, clock)
        except Exception as error:  # noqa: BLE001 no thread may end in silence
            self._model.problem(f"{clock.kind}: {type(error).__name__}: {error}")

    def _client(self) -> MatchClient:
        return MatchClient(
            self._site.address,
            key=self._site.keys["match"],
            connections=1,
            timeout_s=_TIMEOUT_S,
            retries=RetryPolicy(attempts=1),
        )

    def _until_done(self, call: Callable[[], object]) -> bool:
        """Call until it is not refused; return False where it failed, or the run was given up."""
        while not self._abandon.is_set():
            try:
                call()
            except grpc.RpcError as error:
                failed = failure(error, self._site.address)
            except DisruptError as error:
                failed = error
            else:
                return True
            if not isinstance(failed, _REFUSED):
                self._model.problem(f"a call failed: {type(failed).__name__}: {failed.message}")
                return False
            time.sleep(_PAUSE_S)
        return False

    def _look_up(self, chance: random.Random, clock: Clock) -> None:
        with self._client() as client:
            while not self._stop.is_set():
                asked = self._model.questions(chance, _BATCH)
                batch = self._model.batch(asked)
                with suppress(*_REFUSED):
                    answers = client.match_hashes(batch, max_distance_bits=MAX_DISTANCE_BITS)
                    clock.answered()
                    self._model.check(asked, answers)
                time.sleep(_PAUSE_S)

    def _look_pictures_up(self, _chance: random.Random, clock: Clock) -> None:
        with self._client() as client:
            while not self._stop.is_set():
                with suppress(*_REFUSED):
                    answer = client.match_image(self._picture, hash_locally=False)
                    clock.answered()
                    if self._picture_id not in {match.item_id for match in answer.matches}:
                        self._model.wrong_answer("a registered picture does not match")
                time.sleep(5 * _PAUSE_S)

    def _write(self, chance: random.Random, clock: Clock) -> None:
        held: list[Record] = []
        with (
            Desk(self._site.address, self._site.keys["register"]).open() as desk,
            self._client() as client,
        ):
            while not self._stop.is_set():
                if len(held) < _HELD or chance.random() < 0.5:
                    if record := self._register(desk, chance):
                        clock.answered()
                        held.append(record)
                elif chance.random() < 0.2:
                    self._report(client, chance.choice(held))
                else:
                    record = held.pop(chance.randrange(len(held)))
                    self._remove(desk, record, disable=chance.random() < 0.3)
                time.sleep(_PAUSE_S)

    def _register(self, desk: Desk, chance: random.Random) -> Record | None:
        record = Record(Write.new(chance, hashes=chance.choice((1, 2, 20))))
        self._model.records.append(record)
        if not self._until_done(lambda: desk.register(record.write)):
            return None
        record.present_from = self._model.position()
        self._model.acknowledge("registrations")
        return record

    def _remove(self, desk: Desk, record: Record, *, disable: bool) -> None:
        record.leaving = True
        remove = self._disable if disable else lambda gone: desk.withdraw(gone.write)
        if self._until_done(lambda: remove(record)):
            record.is_disabled = disable
            record.absent_from = self._model.position()
            self._model.acknowledge("acts" if disable else "withdrawals")

    def _disable(self, record: Record) -> None:
        with administration(self._site.data_dir) as admin:
            admin.set_states(wire.states_request(record.write.item_ids, ItemState.DISABLED))

    def _report(self, client: MatchClient, record: Record) -> None:
        """Report what came of a match, once for each item."""

        def report() -> None:
            (answer,) = client.match_hashes([record.write.hashes[0]], max_distance_bits=0)
            if answer.matches:  # the worker that answers may not know of it yet
                client.report(answer.matches[0].match_id, Outcome.BLOCKED)
                record.outcome = Outcome.BLOCKED

        if record.outcome is None and self._until_done(report) and record.outcome:
            self._model.acknowledge("outcomes")
