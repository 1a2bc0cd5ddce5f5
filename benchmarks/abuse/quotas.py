"""Measure what a greedy organisation costs the others, with a quota and without.

Ordinary callers of two organisations look up batches as fast as they are answered, with and without
a third organisation beside them, which sends large batches from many threads. Bursts with it and
without it take turns. Greedy callers wait as long as the server says, and no longer. Exit code 0 if
the others kept nine tenths of their throughput while the greedy organisation has a quota. Without a
quota it has the share of one caller among three, and the report says what that costs.

    ./scripts/bench quotas --json FILE
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import secrets
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np

from benchmarks.harness import registries
from benchmarks.harness.deployment import WITH_BYTECODE, Deployment, run
from benchmarks.sabotages import broken_by
from disrupt.client import MatchClient
from disrupt.core.organisations import NO_LIMIT, Kind
from disrupt.core.policy import Right
from disrupt.errors import DisruptError
from disrupt.server.upkeep.administration import administration
from disrupt.wire import admin as wire

SABOTAGES = ("unmetered",)
LEAST_SHARE = 0.9

_OTHERS = ("one", "another")
_GREEDY = "greedy"
_BATCH = 64
_GREEDY_BATCH = 1000
_GREEDY_THREADS = 8
_BEGINNING_S = 1.0
_TIMEOUT_S = 2.0
"""Time of a call; a wait for a quota that is longer is left to the caller."""


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over bursts, of hashes a second.

    The share is the median over neighbouring bursts, of the others' throughput beside the greedy to
    that without: what else the machine does changes more slowly. Quartiles say how much it did.
    """

    quota_hashes_per_s: float | None
    others_alone: float
    others_beside_greedy: float
    others_share: float
    others_share_quartiles: tuple[float, float]
    greedy: float
    bursts: int


def _call(pipe: Connection, address: str, keys: list[str], threads: int, batch: int) -> None:
    """Look up from ``threads`` of each key, after "go" and until "pause", which gets the count."""
    with _clients(address, keys, threads) as clients:
        pipe.send("ready")
        while pipe.recv() == "go":
            pausing, counts = threading.Event(), list[int]()
            callers = [
                threading.Thread(target=_repeat, args=(client, batch, pausing, counts), daemon=True)
                for client in clients
            ]
            for caller in callers:
                caller.start()
            pipe.recv()
            pausing.set()
            pipe.send(sum(counts))
            for caller in callers:
                caller.join()


@contextmanager
def _clients(address: str, keys: list[str], threads: int) -> Iterator[list[MatchClient]]:
    clients = [
        MatchClient(address, key=key, connections=1, timeout_s=_TIMEOUT_S)
        for key in keys
        for _ in range(threads)
    ]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def _repeat(client: MatchClient, batch: int, pausing: threading.Event, counts: list[int]) -> None:
    """Look up until told to pause; wait as long as an error says, which the SDK leaves to it."""
    while not pausing.is_set():
        try:
            client.match_hashes(secrets.token_bytes(32 * batch))
        except DisruptError as error:
            pausing.wait(error.retry_after_s or 0.0)
            continue
        if not pausing.is_set():
            counts.append(batch)


class _Callers:
    """Callers in a process of their own."""

    def __init__(self, address: str, keys: list[str], threads: int, batch: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, address, keys, threads, batch)
        self._process = context.Process(target=_call, args=arguments, daemon=True)
        self._process.start()
        self._pipe.recv()

    def go(self) -> None:
        self._pipe.send("go")

    def pause(self) -> int:
        """Return how many hashes were looked up since ``go``."""
        self._pipe.send("pause")
        return int(self._pipe.recv())

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _burst(others: _Callers, seconds: float) -> float:
    others.go()
    began_s = time.monotonic()
    time.sleep(seconds)
    hashes = others.pause()
    return hashes / (time.monotonic() - began_s)


def _measure(
    server: Deployment, keys: dict[str, str], quota: float | None, seconds: float, bursts: int
) -> Row:
    with administration(server.data_dir) as admin:
        rates = {Kind.HASHES: NO_LIMIT if quota is None else quota}
        admin.set_organisation(wire.organisation_request(_GREEDY, rates, None))
    time.sleep(1.0)  # every worker knows of it
    alone, beside, greedy_rates = list[float](), list[float](), list[float]()
    others = _Callers(server.address, [keys[name] for name in _OTHERS], 1, _BATCH)
    greedy = _Callers(server.address, [keys[_GREEDY]], _GREEDY_THREADS, _GREEDY_BATCH)
    _burst(others, seconds)
    for at in range(bursts):
        for with_greedy in (True, False) if at % 2 else (False, True):
            if not with_greedy:
                alone.append(_burst(others, seconds))
                continue
            greedy.go()
            began_s = time.monotonic()
            time.sleep(_BEGINNING_S)
            beside.append(_burst(others, seconds))
            greedy_rates.append(greedy.pause() / (time.monotonic() - began_s))
    others.end()
    greedy.end()
    medians = [statistics.median(rates) for rates in (alone, beside, greedy_rates)]
    shares = [share / whole for share, whole in zip(beside, alone, strict=True)]
    low, middle, high = np.quantile(shares, (0.25, 0.5, 0.75)).tolist()
    return Row(quota, medians[0], medians[1], middle, (low, high), medians[2], bursts)


def _key(server: Deployment, organisation: str) -> str:
    with administration(server.data_dir) as admin:
        request = wire.create_request(organisation, (Right.MATCH,), ())
        return str(admin.create(request).secret)


@click.command(help=__doc__)
@click.option("--json", "json_path", required=True, help="File for the report.")
@click.option("--quota", default=200.0, show_default=True, help="Hashes a second of the greedy.")
@click.option("--seconds", default=3.0, show_default=True, help="Length of a burst.")
@click.option("--bursts", default=10, show_default=True, help="With the greedy, and without.")
@click.option("--size", default=100_000, show_default=True, help="Hashes to search in.")
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="A fault that has to be found.")
def main(
    *, json_path: str, quota: float, seconds: float, bursts: int, size: int, sabotage: str | None
) -> None:
    """Measure with the quota and without, write the report; exit with 1 if others lost more."""
    with tempfile.TemporaryDirectory(prefix="disrupt-quotas-") as work:
        data_dir = Path(work) / "data"
        codes = np.frombuffer(np.random.default_rng(1).bytes(32 * size), np.uint8).reshape(-1, 32)
        registries.fill(data_dir, codes)
        run("disrupt-index", "rebuild", "--data-dir", data_dir)
        server = Deployment.start(
            data_dir, wrapper=(*WITH_BYTECODE, *broken_by(sabotage)), workers=2
        )
        try:
            keys = {name: _key(server, name) for name in (*_OTHERS, _GREEDY)}
            rows = [
                _measure(server, keys, limit, seconds, bursts)
                for limit in ((quota,) if sabotage else (quota, None))
            ]
        finally:
            server.stop()
    failed = any(
        row.others_share < LEAST_SHARE for row in rows if row.quota_hashes_per_s is not None
    )
    report = {
        "rows": [asdict(row) for row in rows],
        "least_share": LEAST_SHARE,
        "failed": failed,
        "sabotage": sabotage,
        "size": size,
        "seconds": seconds,
        "machine": {"cores": os.cpu_count(), "os": platform.platform()},
    }
    Path(json_path).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    for row in rows:
        click.echo(f"quota {row.quota_hashes_per_s}: others keep {row.others_share:.2f}", err=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
