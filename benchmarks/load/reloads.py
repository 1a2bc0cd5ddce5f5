"""Reload a server again and again under load, and count the calls that it dropped.

Callers look hashes up on lasting connections and on new ones, and register, each in a closed loop.
No call is made twice or waits for a connection. A call is dropped if it has no answer, unless it
found no connection; the server counts those that it has read, too. Each answer has to be right, and
at the end everything acknowledged has to match. Then the supervisor is killed and the server
started anew: the outage lasts until a lookup is answered. Exit code 0 if nothing was dropped, wrong
or lost.

    ./scripts/bench reloads --reloads 20 --hashes 1000000 --json reloads.json
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click
import grpc
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from disrupt.client.connection import Connection, connect
from disrupt.v1 import match_pb2, types_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from disrupt.wire.errors import DETAILS_KEY
from rig.faults.sabotages import broken_by
from rig.model.write import Write
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment, run
from rig.servers.proxied import Proxy, proxied
from rig.servers.registries import fill

SABOTAGES = ("hasty-ends",)

Start: TypeAlias = Callable[..., Deployment]

_LASTING = 3
"""Callers that look up on a connection that lasts."""
_TIMEOUT_S = 30.0
_CALM_S = 1.0
"""Time under load before the first reload and after each."""
_UNCONNECTED = "failed to connect to all addresses"
_READ = "disrupt_key_calls_total"


@dataclass
class Calls:
    """Counts of the calls of one kind, by their outcome."""

    made: int = 0
    right: int = 0
    wrong: int = 0
    refused: int = 0
    """Answered by the server with an error."""
    unconnected: int = 0
    """Found no connection: a client would try again."""
    dropped: dict[str, int] = field(default_factory=dict)
    """By status and message."""
    longest_ms: float = 0.0


@dataclass
class Report:
    """Counts of a run."""

    reloads_s: list[float] = field(default_factory=list)
    calls: dict[str, Calls] = field(default_factory=dict)
    read: int = 0
    """Calls whose headers the server has read."""
    held: int = 0
    """Calls that waited while the writer was replaced."""
    acknowledged: int = 0
    lost: int = 0
    outage_s: float = 0.0

    @property
    def answered(self) -> int:
        """Return how many calls had an answer."""
        return sum(kind.right + kind.wrong + kind.refused for kind in self.calls.values())

    @property
    def dropped(self) -> int:
        """Return how many calls found a connection and no answer."""
        return sum(sum(kind.dropped.values()) for kind in self.calls.values())

    @property
    def failed(self) -> bool:
        """Tell whether a promise was broken."""
        wrong = sum(kind.wrong + kind.refused for kind in self.calls.values())
        return bool(self.dropped or wrong or self.lost or self.read != self.answered)


class Load:
    """Callers of a server, each a thread, within the context ``running``."""

    def __init__(self, server: Deployment, stored: bytes, proxy: Proxy | None) -> None:
        """Make keys and connections; ``stored`` is a hash that matches."""
        self.calls = {kind: Calls() for kind in ("lookup", "lookup, new connection", "register")}
        self.acknowledged: list[bytes] = []
        self._stored = stored
        self._chance = random.Random(1)
        self._platform, self._helpline = (
            connect(proxy.address, server.make_key(right, right), proxy.authority)
            if proxy
            else connect(server.address, server.make_key(right, right))
            for right in ("match", "register")
        )
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Make calls until the end of the context."""
        kinds = [("lookup", self._lookups)] * _LASTING
        kinds += [
            ("lookup, new connection", self._lookups_on_new_connections),
            ("register", self._registrations),
        ]
        threads = [threading.Thread(target=make, args=(kind,)) for kind, make in kinds]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _repeat(self, kind: str, call: Callable[[], bool]) -> None:
        while not self._over.is_set():
            self._call(self.calls[kind], call)

    def _call(self, calls: Calls, call: Callable[[], bool]) -> None:
        began_s = time.perf_counter()
        calls.made += 1
        try:
            if call():
                calls.right += 1
            else:
                calls.wrong += 1
        except grpc.RpcError as error:
            pairs: Any = error.trailing_metadata() or ()  # unknown to the stubs
            if any(name == DETAILS_KEY for name, _ in pairs):
                calls.refused += 1
            elif _UNCONNECTED in (error.details() or ""):
                calls.unconnected += 1
            else:
                how = f"{error.code().name}: {error.details()}"
                calls.dropped[how] = calls.dropped.get(how, 0) + 1
                print(f"{time.time():.3f} dropped: {how}", file=sys.stderr)
        took_ms = 1000 * (time.perf_counter() - began_s)
        calls.longest_ms = max(calls.longest_ms, round(took_ms, 1))

    def _lookups(self, kind: str) -> None:
        with self._platform.open() as channel:
            self._repeat(kind, partial(matches, self._platform, channel, self._stored))

    def _lookups_on_new_connections(self, kind: str) -> None:
        def connect_and_look_up() -> bool:
            with self._platform.open() as channel:
                return matches(self._platform, channel, self._stored)

        self._repeat(kind, connect_and_look_up)

    def _registrations(self, kind: str) -> None:
        with self._helpline.open() as channel:
            register = RegistrationServiceStub(channel).RegisterHashes

            def call() -> bool:
                write = Write.new(self._chance, items=1, hashes=1)
                answer = register(
                    write.request, timeout=_TIMEOUT_S, metadata=self._helpline.metadata
                )
                self.acknowledged.append(write.hashes[0].value)
                return len(answer.receipt.items) == 1

            self._repeat(kind, call)

    def lost(self) -> int:
        """Return how many of the acknowledged hashes do not match, some time after the last."""
        with self._platform.open() as channel:
            lost = self.acknowledged
            give_up_s = time.monotonic() + _TIMEOUT_S
            while lost and time.monotonic() < give_up_s:
                lost = [value for value in lost if not matches(self._platform, channel, value)]
            return len(lost)


def matches(platform: Connection, channel: grpc.Channel, value: bytes) -> bool:
    """Tell whether a hash is found."""
    request = match_pb2.MatchHashesRequest(hashes=value, profile=types_pb2.PROFILE_PDQ_512)
    answer = MatchServiceStub(channel).MatchHashes(
        request, timeout=_TIMEOUT_S, metadata=platform.metadata
    )
    return bool(answer.matches.queries)


def counted(server: Deployment, name: str) -> int:
    """Return the sum of a counter over its labels."""
    with urllib.request.urlopen(f"http://{server.metrics_address()}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return round(
        sum(sample.value for family in families for sample in family.samples if sample.name == name)
    )


def prepared(work: Path, hashes: int, settings: str, sabotage: str | None) -> tuple[Start, bytes]:
    """Fill a data directory; return how to start its server, and a hash that matches."""
    codes = np.random.default_rng(0).integers(0, 256, (hashes, 32), np.uint8)
    fill(work / "data", codes)
    run("disrupt-index", "rebuild", "--data-dir", work / "data")
    start = partial(
        Deployment.start,
        work / "data",
        settings=f"{FEW_DECODERS}{settings}",
        wrapper=(*WITH_BYTECODE, *broken_by(sabotage)),
    )
    return start, codes[0].tobytes()


def reloads(start: Start, stored: bytes, times: int, proxy_dir: Path | None = None) -> Report:
    """Reload so many times under load, through the proxy where there is a directory for it."""
    report = Report()
    with ExitStack() as stack:
        server = stack.enter_context(start())
        proxy = stack.enter_context(proxied(server.address, proxy_dir)) if proxy_dir else None
        load = Load(server, stored, proxy)
        before = counted(server, _READ)
        with load.running():
            time.sleep(_CALM_S)
            for at in range(times):
                began_s = time.perf_counter()
                run("disrupt", "reload", "--data-dir", server.data_dir)
                report.reloads_s.append(round(time.perf_counter() - began_s, 2))
                print(f"{at + 1}: {report.reloads_s[-1]} s", file=sys.stderr)
                time.sleep(_CALM_S)
        report.calls, report.acknowledged = load.calls, len(load.acknowledged)
        report.read = counted(server, _READ) - before
        report.held = counted(server, "disrupt_held_total")
        report.lost = load.lost()
    return report


def outage_s(start: Start, stored: bytes) -> float:
    """Kill the supervisor, start a server; return the time until a lookup is answered."""
    with start() as server:
        platform = connect(server.address, server.make_key("outage", "match"))
        began_s = time.perf_counter()
        server.kill_supervisor()
        with start(listen=server.address), platform.open() as channel:
            if not matches(platform, channel, stored):
                raise RuntimeError("a stored hash does not match after the outage")
            return round(time.perf_counter() - began_s, 2)


@click.command(help=__doc__)
@click.option("--reloads", "times", default=20, show_default=True)
@click.option("--hashes", default=1_000_000, show_default=True, help="Hashes stored.")
@click.option("--age-s", default=5.0, show_default=True, help="connection_max_age_s.")
@click.option("--workers", default=2, show_default=True, help="Of the server.")
@click.option("--proxy", "through_proxy", is_flag=True, help="Call through deploy/haproxy.cfg.")
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: must be found.")
@click.option("--json", "path", default="-", help="File for the report, - for standard output.")
def main(
    times: int,
    hashes: int,
    age_s: float,
    workers: int,
    sabotage: str | None,
    path: str,
    *,
    through_proxy: bool,
) -> None:
    """Reload, write the report; exit with 1 if a promise was broken."""
    settings = f"connection_max_age_s = {age_s}\n"
    with tempfile.TemporaryDirectory(prefix="disrupt-reloads-") as directory:
        work = Path(directory)
        start, stored = prepared(work, hashes, settings, sabotage)
        start = partial(start, workers=workers)
        report = reloads(start, stored, times, work if through_proxy else None)
        report.outage_s = outage_s(start, stored)
    result = {
        "failed": report.failed,
        "dropped": report.dropped,
        "answered": report.answered,
        "median_reload_s": statistics.median(report.reloads_s),
        **asdict(report),
    }
    with click.open_file(path, "w") as file:
        file.write(json.dumps(result, indent=2) + "\n")
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
