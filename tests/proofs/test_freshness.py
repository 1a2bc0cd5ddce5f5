"""A registration matches in every worker within a second, and a withdrawal no longer does.

Clients register, withdraw and look up on a real server all the time. Each worker is asked again and
again for what is new, until it answers rightly: that time is an upper bound.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.harness.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment
from benchmarks.harness.processes import client_of_each_worker
from benchmarks.harness.writes import Desk, Write
from benchmarks.sabotages import broken_by
from disrupt.client import MatchClient
from disrupt.core.hashes import PdqHash

LIMIT_S = 1.0
"""Promised from the acknowledgement on, for 99 of 100."""

_POLL_S = 0.005
_GIVE_UP_S = 60.0

Times = dict[bool, list[float]]
"""Seconds from an acknowledgement until a worker knew: of registrations (True) and withdrawals."""


def test_every_worker_knows_registrations_and_withdrawals_within_a_second(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    times = freshness(tmp_path / "data", seconds=60 if whole else 1, people=2)
    assert len(times[True]) == len(times[False]) >= 4  # two people, two workers
    assert max(*times[True], *times[False]) < _GIVE_UP_S
    for matches, took_s in times.items():
        p50, p99, most = np.percentile(took_s, (50, 99, 100))
        figures(
            f"{'registration to match' if matches else 'withdrawal to no match'}: p50 {p50:.3f} s,"
            f" p99 {p99:.3f} s, longest {most:.3f} s ({len(took_s)} samples)"
        )
        assert not whole or p99 <= LIMIT_S


def test_workers_that_look_every_three_seconds_are_found(tmp_path: Path) -> None:
    times = freshness(tmp_path / "data", seconds=0.1, people=1, sabotage="slow-follower")
    assert max(*times[True], *times[False]) > LIMIT_S


def freshness(data_dir: Path, seconds: float, *, people: int, sabotage: str | None = None) -> Times:
    """Register and withdraw for so long, each person one case at a time."""
    times: Times = {True: [], False: []}
    wrapper = (*WITH_BYTECODE, *broken_by(sabotage))
    with Deployment.start(data_dir, settings=FEW_DECODERS, wrapper=wrapper) as server:
        register, match = (server.make_key(right, right) for right in ("register", "match"))
        with (
            client_of_each_worker(server, match) as clients,
            Desk(server.address, register).open() as desk,
            _looking_up(server, match),
            ThreadPoolExecutor(people * len(clients)) as watches,
        ):
            until_s = time.monotonic() + seconds

            def observe(write: Write, call: Callable[[Write], object], *, matches: bool) -> None:
                code = write.hashes[0]
                seen = [
                    watches.submit(_seen_s, client, code, matches=matches)
                    for client in clients.values()
                ]
                call(write)
                acknowledged_s = time.monotonic()
                times[matches] += [max(0, each.result() - acknowledged_s) for each in seen]

            def person(seed: int) -> None:
                chance = random.Random(seed)
                while True:
                    write = Write.new(chance, items=1, hashes=2)
                    observe(write, desk.register, matches=True)
                    observe(write, desk.withdraw, matches=False)
                    if time.monotonic() > until_s:
                        return

            with ThreadPoolExecutor(people) as threads:
                list(threads.map(person, range(people)))
    return times


def _seen_s(client: MatchClient, code: PdqHash, *, matches: bool) -> float:
    """Ask a worker until it answers rightly, or too long; return the time of that."""
    give_up_s = time.monotonic() + _GIVE_UP_S
    while bool(client.match_hashes([code], max_distance_bits=0)[0].matches) != matches:
        if time.monotonic() > give_up_s:
            break
        time.sleep(_POLL_S)
    return time.monotonic()


@contextmanager
def _looking_up(server: Deployment, key: str) -> Iterator[None]:
    """Look batches up all the time within the block."""
    stop = threading.Event()

    def look_up() -> None:
        with MatchClient(server.address, key=key, connections=1) as client:
            while not stop.is_set():
                client.match_hashes(secrets.token_bytes(32 * 64))

    thread = threading.Thread(target=look_up)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
