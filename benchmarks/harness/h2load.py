"""Load a server by h2load of Debian's nghttp2-client, which sends prepared bodies at high rates.

It checks HTTP's status only, which is 200 for failed gRPC calls, too. So the bytes of answers are
counted: a failed call has none.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rig.servers.deployment import CommandFailedError

_WARM_UP_S = 1.0
_TICK_S = 0.01


@dataclass(frozen=True, slots=True)
class Body:
    """The message of a call, which one client sends over and over, and the size of its answer.

    ``answer_bytes`` is the answer's size in gRPC's framing.
    """

    message: bytes
    answer_bytes: int


@dataclass(frozen=True, slots=True)
class Target:
    """Address, key and method of the calls; the load runs on ``cores``."""

    address: str
    key: str
    method: str
    cores: str

    @property
    def url(self) -> str:
        """URL of the method, without TLS."""
        return f"http://{self.address}/disrupt.v1.MatchService/{self.method}"

    def run(self, body: Path, *options: str) -> subprocess.Popen[str]:
        """Start one client with one connection."""
        return subprocess.Popen(
            [
                *("taskset", "-c", self.cores, "h2load", "-c", "1", "-t", "1", "-d", body),
                *("-H", "content-type: application/grpc", "-H", "te: trailers"),
                *("-H", f"authorization: Bearer {self.key}", *options),
                self.url,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def framed(messages: Sequence[bytes]) -> bytes:
    """Return messages in gRPC's framing: each after a byte for compression and four for length."""
    return b"".join(b"\0" + len(message).to_bytes(4) + message for message in messages)


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls answered per second: of wall-clock time, and of the server's processor time."""

    per_s: float
    per_cpu_s: float


def calls(
    target: Target,
    bodies: Sequence[Body],
    cpu_s: Callable[[], float],
    *,
    seconds: float,
    open_calls: int,
) -> Rate:
    """Measure the rate of as many clients as bodies, each with ``open_calls`` open calls.

    ``cpu_s`` returns the processor time that the server has taken so far.
    """

    def measured(count: int) -> Rate:
        began_s = cpu_s()
        with tempfile.TemporaryDirectory() as work:
            options = ("-m", str(open_calls), "-n", str(count))
            running = [
                target.run(_file(work, at, body), *options) for at, body in enumerate(bodies)
            ]
            took_s = [
                _answered(body, count, process)
                for body, process in zip(bodies, running, strict=True)
            ]
        answered = count * len(bodies)
        return Rate(answered / max(took_s), answered / max(cpu_s() - began_s, _TICK_S))

    first = measured(5 * open_calls).per_s
    return measured(max(5 * open_calls, int(first * seconds / len(bodies))))


def latencies_us(
    target: Target, bodies: Sequence[Body], *, seconds: float, rate: float, seed: int
) -> NDArray[np.float64]:
    """Measure calls that come at random moments, ``rate`` in a second, whatever is answered."""
    rng = np.random.default_rng(seed)
    warm_up_s = min(_WARM_UP_S, seconds)
    with tempfile.TemporaryDirectory() as work:
        running = []
        for at, body in enumerate(bodies):
            arrivals = rng.exponential(1000 * len(bodies) / rate, int(2 * rate * seconds))
            times_ms = np.cumsum(arrivals)
            times_ms = times_ms[times_ms < 1000 * (warm_up_s + seconds)]
            if not len(times_ms):
                continue
            script, log = Path(work, f"{at}.script"), Path(work, f"{at}.log")
            script.write_text("".join(f"{time_ms:.3f}\t{target.url}\n" for time_ms in times_ms))
            options = ("-m", "10000", f"--timing-script-file={script}", f"--log-file={log}")
            running.append((log, target.run(_file(work, at, body), *options)))
        for _, process in running:
            _output(process)
        logs = [np.loadtxt(log, ndmin=2) for log, _ in running]
    return np.concatenate([log[log[:, 0] > log[0, 0] + 1e6 * warm_up_s, 2] for log in logs])


def _file(work: str, at: int, body: Body) -> Path:
    path = Path(work, f"{at}.body")
    path.write_bytes(framed([body.message]))
    return path


def _answered(body: Body, calls: int, process: subprocess.Popen[str]) -> float:
    """Return the time that the calls took. Raises unless all were answered as expected."""
    said = _output(process)
    took = re.search(r"finished in ([\d.]+)(us|ms|s|m)", said)
    data = re.search(r"\((\d+)\) data", said)
    if f"{calls} succeeded" not in said or not took or not data:
        raise CommandFailedError(f"Calls failed:\n{said}")
    if int(data[1]) != calls * body.answer_bytes:
        raise CommandFailedError(f"Not {body.answer_bytes} bytes for each call:\n{said}")
    return float(took[1]) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[took[2]]


def _output(process: subprocess.Popen[str]) -> str:
    said, _ = process.communicate()
    if process.returncode:
        raise CommandFailedError(f"h2load failed:\n{said}")
    return said
