"""A registration matches in every worker within a second; what is withdrawn or disputed does not.

Clients register, report, withdraw and look up on a real server all the time. Each worker is asked
again and again for what is new, until it answers rightly: that time is an upper bound.
"""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from disrupt.client import MatchClient
from disrupt.core.hashes import PdqHash
from disrupt.core.outcomes import MatchOutcome
from rig.callers.desk import Desk, Reporter
from rig.callers.each_worker import client_of_each_worker
from rig.faults.sabotages import broken_by
from rig.model.write import Write
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment

LIMIT_S = 1.0
"""Promised from the acknowledgement on, for 99 of 100."""

_POLL_S = 0.005
_GIVE_UP_S = 60.0

_FAR_BITS = 20
"""Distance of a copy that disputes of two organisations silence."""

Times = dict[str, list[float]]
"""Seconds from an acknowledgement until a worker knew, by what was acknowledged."""

KINDS = ("registration to match", "dispute to no match", "withdrawal to no match")


def test_every_worker_knows_what_was_acknowledged_within_a_second(
    tmp_path: Path, whole: bool, figures: Callable[[str], None]
) -> None:
    times = freshness(tmp_path / "data", seconds=60 if whole else 1, people=2)
    for kind, took_s in times.items():
        assert len(took_s) >= 4  # two people, two workers
        assert max(took_s) < _GIVE_UP_S
        p50, p99, most = np.percentile(took_s, (50, 99, 100))
        figures(
            f"{kind}: p50 {p50:.3f} s, p99 {p99:.3f} s, longest {most:.3f} s"
            f" ({len(took_s)} samples)"
        )
        assert not whole or p99 <= LIMIT_S


def test_workers_that_look_every_three_seconds_are_found(tmp_path: Path) -> None:
    times = freshness(tmp_path / "data", seconds=0.1, people=1, sabotage="slow-follower")
    assert all(max(took_s) > LIMIT_S for took_s in times.values())


def freshness(data_dir: Path, seconds: float, *, people: int, sabotage: str | None = None) -> Times:
    """Register, dispute and withdraw for so long, each person one case at a time."""
    times: Times = {kind: [] for kind in KINDS}
    wrapper = (*WITH_BYTECODE, *broken_by(sabotage))
    with Deployment.start(data_dir, settings=FEW_DECODERS, wrapper=wrapper) as server:
        register, match = (server.make_key(right, right) for right in ("register", "match"))
        platforms = [Reporter.new(server, name) for name in ("one platform", "another")]
        with (
            client_of_each_worker(server, match) as clients,
            Desk(server.address, register).open() as desk,
            _looking_up(server, match),
            ThreadPoolExecutor(people * len(clients)) as watches,
        ):
            until_s = time.monotonic() + seconds

            def observe(kind: str, code: PdqHash, call: Callable[[], object]) -> None:
                matches = kind == KINDS[0]
                seen = [
                    watches.submit(_seen_s, client, code, matches=matches)
                    for client in clients.values()
                ]
                call()
                acknowledged_s = time.monotonic()
                times[kind] += [max(0, each.result() - acknowledged_s) for each in seen]

            def dispute(write: Write) -> None:
                for platform in platforms:
                    desk.report(write, platform, MatchOutcome.FALSE_POSITIVE)

            def person(seed: int) -> None:
                chance = random.Random(seed)
                while True:
                    write = Write.new(chance, items=1, hashes=2)
                    registered, disputed, withdrawn = KINDS
                    (code,) = write.hashes
                    observe(registered, code, partial(desk.register, write))
                    observe(disputed, _copy_of(code), partial(dispute, write))
                    observe(withdrawn, code, partial(desk.withdraw, write))
                    if time.monotonic() > until_s:
                        return

            with ThreadPoolExecutor(people) as threads:
                list(threads.map(person, range(people)))
    return times


def _copy_of(code: PdqHash) -> PdqHash:
    return PdqHash((int.from_bytes(code.value) ^ ((1 << _FAR_BITS) - 1)).to_bytes(32))


def _seen_s(client: MatchClient, code: PdqHash, *, matches: bool) -> float:
    """Ask a worker until it answers rightly, or too long; return the time of that."""
    give_up_s = time.monotonic() + _GIVE_UP_S
    while bool(client.match_hashes([code])[0].matches) != matches:
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
