"""Measure a door and the service behind it beside PDQIndex behind Flask, by HMA's own route.

Both answer the same lookups among the same hashes, one after the other over one connection, in
turns. Compared is processor time, of door, decoder and worker, and of the peer's worker, which
other work on the machine lengthens less than time on the clock: ``calls_a_core_s`` is how many
calls a second of one core is enough for. ``added_ms`` is the median time on the clock that a door
adds to a lookup of a hash. An answer of the door whose nearest match is not
the service's is wrong; the peer's are compared with brute force, and are no failure.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.harness import report
from benchmarks.harness.hash_sets import queries, stored
from benchmarks.recall.originals import collection
from benchmarks.speed.door_peer import CODES
from benchmarks.speed.picture_calls import picture_file
from disrupt.client import MatchClient
from disrupt.core.hashes import MAX_DISTANCE_BITS, PdqHash
from rig.model.brute_force import brute_force
from rig.ports import free_port
from rig.processes.running import cpu_s, processes
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment
from rig.servers.door import TOKEN, Door, door
from rig.servers.prepared import prepare
from rig.waiting import eventually

_ANY = -1
"""A distance that is not compared: a picture has many hashes at one side, and one at the other."""
_TURN = 20
"""Calls of one side before the other has its turn."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of call at one side."""

    call: str
    side: str
    calls: int
    cpu_ms: float
    calls_a_core_s: float
    p50_ms: float
    p99_ms: float
    wrong: int


@dataclass(frozen=True, slots=True)
class Side:
    """An HTTP server that answers HMA's route, and the processes that it takes."""

    name: str
    port: int
    processes: tuple[int, ...]

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection, not opened."""
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def cpu_s(self) -> float:
        """Return the processor time that its processes have taken."""
        return sum(map(cpu_s, self.processes))


class Measured:
    """Times of the calls of one kind at one side."""

    def __init__(self, call: str, side: Side) -> None:
        self.call, self.side = call, side
        self.times_s: list[float] = []
        self.cpu_s = 0.0
        self.wrong = 0
        self._connection = side.connection()

    def turn(self, asked: Sequence[tuple[str, bytes | None, int | None]]) -> None:
        """Make calls: path, a form or nothing, and the distance of the nearest match, if any."""
        before_s = self.side.cpu_s()
        answers = []
        for path, form, _ in asked:
            began_s = time.perf_counter()
            headers = {"Authorization": f"Bearer {TOKEN}"}
            if form is not None:
                headers["Content-Type"] = f"multipart/form-data; boundary={_MARK}"
            self._connection.request("POST" if form else "GET", path, form, headers)
            response = self._connection.getresponse()
            answers.append((response.status, response.read()))
            self.times_s.append(time.perf_counter() - began_s)
        self.cpu_s += self.side.cpu_s() - before_s
        for (_, _, nearest), (status, body) in zip(asked, answers, strict=True):
            self.wrong += not _is_right(status, body, nearest)

    def row(self) -> Row:
        """Return the means and quantiles of all calls."""
        ordered = sorted(self.times_s)
        cpu_ms = 1000 * self.cpu_s / len(ordered)
        return Row(
            self.call,
            self.side.name,
            len(ordered),
            cpu_ms,
            1000 / cpu_ms,
            1000 * statistics.median(ordered),
            1000 * ordered[int(len(ordered) * 0.99)],
            self.wrong,
        )


_MARK = "a-boundary-of-the-form"


def _form(data: bytes) -> bytes:
    head = f'--{_MARK}\r\nContent-Disposition: form-data; name="photo"; filename="x"\r\n\r\n'
    return head.encode() + data + f"\r\n--{_MARK}--\r\n".encode()


def _is_right(status: int, body: bytes, expected_bits: int | None) -> bool:
    if status != http.client.OK:
        return False
    if expected_bits == _ANY:
        return True
    answer = json.loads(body)
    banks = answer.get("pdq", answer)
    matches = [match for bank in banks.values() for match in bank]
    nearest = min((int(match["distance"]) for match in matches), default=None)
    return nearest == expected_bits


@contextmanager
def peer(codes: Path) -> Iterator[Side]:
    """Serve PDQIndex over the hashes by gunicorn, as HMA's image does, with one worker."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "--workers=1", "--timeout=0", "--log-level=error"),
            *("--keep-alive=600", "--worker-class=gthread", "--threads=1"),
            f"--bind=127.0.0.1:{port}",
            "benchmarks.speed.door_peer:application()",
        ],
        env=os.environ | {CODES: str(codes)},
    )

    def is_ready() -> bool:
        probe = http.client.HTTPConnection("127.0.0.1", port)
        try:
            probe.request("GET", f"/m/lookup?signal={'0' * 64}&signal_type=pdq")
            return probe.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            probe.close()

    try:
        eventually(is_ready, within_s=1800)
        workers = subprocess.run(
            ["/usr/bin/pgrep", "--parent", str(process.pid)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        yield Side("PDQIndex behind Flask", port, tuple(map(int, workers)))
    finally:
        process.terminate()
        process.wait()


def _side(name: str, running: Door, server: Deployment) -> Side:
    (worker,) = processes(server.process.pid, "worker")
    decoders = processes(running.process.pid)
    return Side(name, running.port, (running.process.pid, *decoders, worker))


@click.command(help=__doc__)
@click.option("--size", default=1_000_000, show_default=True, help="Hashes to search in.")
@click.option("--lookups", default=2000, show_default=True, help="Lookups of a hash.")
@click.option("--pictures", default=20, show_default=True, help="Pictures of 1920 px.")
@report.outputs(cannot_show="Many callers at once; HMA's own query of its database, left out here.")
def main(*, size: int, lookups: int, pictures: int) -> None:
    """Run, print and publish."""
    path = stored("real", size)
    codes = np.array(np.load(path))
    asked = queries("real", codes, lookups)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "codes").write_bytes(codes.tobytes())
        prepare(home / "data", codes)
        server = Deployment.start(
            home / "data", workers=1, settings=FEW_DECODERS, wrapper=WITH_BYTECODE
        )
        with server, peer(home / "codes") as other:
            key = server.make_key("platform", "match")
            with (
                door(home / "fast", server.address, key, 'effort = "fast"') as fast,
                door(home / "standard", server.address, key) as standard,
            ):
                sides = {
                    "door, FAST": _side("door, FAST", fast, server),
                    "door, STANDARD": _side("door, STANDARD", standard, server),
                }
                with MatchClient(server.address, key=key) as client:
                    rows = _lookups(codes, asked, client, sides["door, STANDARD"], other)
                rows += _pictures(pictures, [*sides.values(), other])
                added_ms = _added_ms(standard, server.address, key, asked)
    ratios = _ratios(rows)
    for name, value in ratios.items():
        print(f"{name}: {value:.2f}")
    print(f"added_ms: {added_ms:.2f}")
    tables = {"calls": [asdict(row) for row in rows], "ratios": [{**ratios, "added_ms": added_ms}]}
    for table in tables.values():
        report.show(table)
    wrong = sum(row.wrong for row in rows if row.side.startswith("door"))
    report.publish(tables, failures=[f"{wrong} answers are wrong"] if wrong else [])


def _lookups(codes: Any, asked: Any, client: MatchClient, ours: Side, other: Side) -> list[Row]:  # noqa: ANN401 arrays of hashes
    """Look hashes up by HMA's route, in turns.

    A door has to answer what the service does, and the peer what brute force does: the service
    leaves out matches of hashes that are near those of simple shapes.
    """
    compared = [
        _nearest(bits for _, bits in each) for each in brute_force(codes, asked, MAX_DISTANCE_BITS)
    ]
    served = [
        _nearest(match.distance_bits for match in answer.matches)
        for answer in client.match_hashes(asked)
    ]
    paths = [f"/m/lookup?signal={query.tobytes().hex()}&signal_type=pdq" for query in asked]
    mine, theirs = Measured("lookup of a hash", ours), Measured("lookup of a hash", other)
    for start in range(0, len(asked), _TURN):
        for side, expected in ((mine, served), (theirs, compared)):
            end = start + _TURN
            side.turn(
                [(path, None, bits) for path, bits in zip(paths, expected, strict=True)][start:end]
            )
    return [mine.row(), theirs.row()]


def _nearest(distances: Iterable[int]) -> int | None:
    return min(distances, default=None)


def _pictures(count: int, sides: Sequence[Side]) -> list[Row]:
    """Look pictures up by HMA's route, in turns, each picture once: nothing is seen before."""
    measured = [Measured("picture of 1920 px", side) for side in sides]
    for at, photograph in enumerate(collection()[:count]):
        data = picture_file("without a border", photograph, photograph, at)
        for each in measured:
            each.turn([("/m/lookup", _form(data), _ANY)])
    return [each.row() for each in measured]


def _added_ms(running: Door, server: str, key: str, asked: Any) -> float:  # noqa: ANN401 hashes
    """Return the median of what a door adds to a lookup over gRPC, in ms."""
    with (
        MatchClient(server, key=key, connections=1) as direct,
        MatchClient(running.grpc, key=TOKEN, connections=1) as beside,
    ):
        differences = []
        for query in asked[:500]:
            value = [PdqHash(query.tobytes())]
            took = [_took(partial(client.match_hashes, value)) for client in (direct, beside)]
            differences.append(took[1] - took[0])
    return 1000 * statistics.median(differences)


def _took(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Return how many calls a door answers for each of the peer's, of one core."""
    by_call: dict[str, dict[str, float]] = {}
    for row in rows:
        by_call.setdefault(row.call, {})[row.side] = row.calls_a_core_s
    return {
        f"{call}, {side}": calls / sides["PDQIndex behind Flask"]
        for call, sides in by_call.items()
        for side, calls in sides.items()
        if side.startswith("door")
    }


if __name__ == "__main__":
    main()
