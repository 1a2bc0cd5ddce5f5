"""Callers are sent elsewhere by service, and metrics outlive the processes that count them."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import urllib.error
import urllib.request
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from disrupt.client import MatchClient
from disrupt.server.edge.health import FEED, LOOKUPS, MATCH, REGISTRATION
from disrupt.server.metrics import families
from disrupt.server.metrics.rows import Row
from disrupt.server.supervisor import monitoring
from disrupt.server.supervisor.monitoring import unready
from rig.callers.shell import typed
from rig.faults.sabotages import broken_by
from rig.processes import metrics
from rig.processes.running import processes
from rig.servers.deployment import Deployment, Start
from rig.waiting import eventually


def worker(number: int, state: str, *not_serving: str) -> dict[str, Any]:
    return {
        "role": "worker",
        "number": number,
        "state": state,
        "not_serving": not_serving,
        "lag_ms": 45_000,
    }


SERVES = worker(1, "serving")


@pytest.mark.parametrize(
    ("second", "services", "reason"),
    [
        (worker(2, "serving"), (), ""),
        (worker(2, "starting"), (), ""),
        (worker(2, "down", MATCH), (), ""),
        (worker(2, "silent"), (MATCH, FEED, REGISTRATION), "worker 2 is silent"),
        (worker(2, "stale", MATCH, FEED), (MATCH, FEED), "worker 2 is stale by 45 s"),
        (worker(2, "serving", MATCH), (MATCH,), "worker 2 does not serve"),
        (worker(2, "serving", REGISTRATION), (REGISTRATION,), "worker 2 does not serve"),
    ],
)
def test_a_service_is_ready_where_every_worker_that_takes_connections_serves_it(
    second: dict[str, Any], services: tuple[str, ...], reason: str
) -> None:
    wrong = unready([{"role": "writer", "number": 1, "state": "down"}, SERVES, second], "all")
    assert wrong == {
        service: [reason] if service in services else [] for service in (MATCH, FEED, REGISTRATION)
    }


def test_without_workers_nothing_is_ready() -> None:
    assert unready([worker(1, "starting")], "all")[MATCH] == ["no worker runs"]


@pytest.mark.parametrize(
    ("process", "reasons"),
    [
        (worker(1, "stale", MATCH, FEED), []),
        (worker(1, "stale", LOOKUPS, MATCH, FEED), ["worker 1 does not serve"]),
        (worker(1, "silent"), ["worker 1 is silent"]),
        (worker(1, "starting"), ["no worker runs"]),
    ],
)
def test_a_node_is_ready_while_it_answers_and_any_other_server_until_it_is_stale(
    process: dict[str, Any], reasons: list[str]
) -> None:
    def decides(role: str) -> list[str]:
        """Return the reasons of the service by which /readyz decides."""
        return next(iter(unready([process], role).values()))

    assert decides("match") == reasons
    assert decides("all")


def get(server: Deployment, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{server.metrics_address()}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def counted(server: Deployment, name: str, **labels: str) -> float:
    return metrics.counted(server.metrics_address(), name, **labels)


def test_a_hung_worker_is_seen_replaced_and_counted_and_no_counter_falls(start: Start) -> None:
    server = start(workers=2, settings="hung_after_s = 6\n")
    key = server.make_key("platform", "match")
    with MatchClient(server.address, key=key, connections=1) as client:
        for _ in range(3):
            client.match_hashes(bytes(range(32)))
    with (
        MatchClient(server.address, key="unknown", connections=1) as client,
        pytest.raises(Exception, match="key"),
    ):
        client.match_hashes(bytes(32))
    lookups = {"call": "MatchService/MatchHashes", "outcome": "OK"}
    assert counted(server, "disrupt_call_seconds_count", **lookups) == 3
    assert counted(server, "disrupt_refusals_total", reason="KEY_REFUSED") >= 1
    assert get(server, "/readyz")[0] == 200

    shown = typed("top", "--data-dir", server.data_dir, "--once", "--every", "0.2")
    assert (shown.code, f"{MATCH}: ready" in shown.out) == (0, True)

    before = processes(server.process.pid, "worker")
    hung = before[0]
    os.kill(hung, signal.SIGSTOP)
    eventually(lambda: get(server, "/readyz")[0] == 503)
    assert f"{MATCH}: worker" in get(server, "/readyz")[1]
    assert get(server, "/livez") == (200, "live\n")
    eventually(lambda: counted(server, "disrupt_process_up") == 3)
    after = processes(server.process.pid, "worker")
    assert hung not in after
    assert set(before) - {hung} < set(after)
    assert get(server, "/readyz")[0] == 200
    assert counted(server, "disrupt_process_ends_total", role="worker", cause="hung") == 1
    assert counted(server, "disrupt_process_ends_total") == 1
    assert counted(server, "disrupt_call_seconds_count", **lookups) == 3

    (writer,) = processes(server.process.pid, "writer")
    os.kill(writer, signal.SIGKILL)
    eventually(lambda: counted(server, "disrupt_process_ends_total", cause="died") == 1)
    assert get(server, "/readyz")[0] == 200  # lookups go on without the writer


def test_a_process_that_a_reload_removed_is_not_shown_any_more(row: Row) -> None:
    shown = set[str]()
    gone = {"name": "worker 2", "state": "serving", "silent_s": 0.0, "pid": os.getpid()}
    monitoring._show_processes([gone], shown)
    before = {name for name, _ in row.read() if "worker 2" in name}
    monitoring._show_processes([], shown)
    assert len(before) == 5
    assert {name for name, (value,) in row.read() if math.isnan(value)} == before


def test_a_server_whose_counters_fall_with_a_worker_is_noticed(start: Start) -> None:
    server = start(workers=1, wrapper=broken_by("forgotten-counts"))
    name = "disrupt_key_calls_total"
    with MatchClient(server.address, key=server.make_key("platform", "match")) as client:
        client.match_hashes(bytes(range(32)))
    assert counted(server, name) == 1
    (worker,) = processes(server.process.pid, "worker")
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: counted(server, name) == 0)


def test_a_supervisor_that_stood_still_and_a_clock_that_was_set_are_counted(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_s = itertools.chain([0.0, 100.0, 100.0, 40.0], itertools.repeat(40.0))
    ran_s = itertools.chain([0.0, 6.0], itertools.count(6.0))
    monkeypatch.setattr(monitoring, "_clock_s", lambda: next(ahead_s))
    monkeypatch.setattr(monitoring, "_PAUSE_S", 0.001)
    monkeypatch.setattr(monitoring, "time", SimpleNamespace(monotonic=lambda: next(ran_s)))

    async def watch() -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(monitoring.watch_time(), 0.1)

    asyncio.run(watch())
    shown = {name: numbers[0] for name, numbers in row.read()}
    assert shown[f'["{families.CLOCK_JUMPS.name}", "forward"]'] == 1
    assert shown[f'["{families.CLOCK_JUMPS.name}", "back"]'] == 1
    assert shown[f'["{families.SUPERVISOR_STALLED.name}"]'] >= 5


def test_a_port_that_is_taken_keeps_nobody_from_serving(start: Start) -> None:
    server = start(workers=1)
    taken = server.metrics_address()
    other = Deployment.start(
        server.data_dir.with_name("other"), "--metrics-listen", taken, workers=1
    )
    with other:
        assert other.metrics_address() == ""
        assert '"metrics_not_served"' in other.data_dir.with_name("other.log").read_text()
