"""A real server shows what its processes do, and tells live, ready and not ready apart."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from benchmarks.harness.processes import processes
from disrupt.core.media import ItemState
from disrupt.server.metrics import families, readiness
from disrupt.v1 import registration_pb2
from tests.server.caller import (
    PIN,
    access,
    calling,
    eventually,
    lookup,
    refusal,
    register,
)
from tests.server.running import typed

pytestmark = pytest.mark.slow


class Watched:
    """A server, and its metrics as whoever watches reads them."""

    def __init__(self, server: Deployment) -> None:
        self.server = server
        line = server.process.stdout.readline() if server.process.stdout else ""
        self._url = line.removeprefix("Metrics on ").strip().removesuffix("/metrics")
        assert self._url.startswith("http://127.0.0.1:")

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self._url + path) as answer:  # noqa: S310 loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with this name and these labels."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.get("/metrics")[1])
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def is_ready(self) -> bool:
        return self.get("/readyz") == (200, "ready\n")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    server = Deployment.start(
        tmp_path / "data",
        *("--metrics-listen", "127.0.0.1:0"),
        settings=f"hung_after_s = 60\nhashes_per_s = 100\nlogged_calls_share = 1\n{FEW_DECODERS}",
    )
    yield Watched(server)
    if server.process.poll() is None:
        server.kill()


def test_calls_matches_quotas_and_items_are_counted_and_nothing_of_a_person(
    watched: Watched,
) -> None:
    server = watched.server
    keys = [server.make_key(name, right) for name, right in (("acme", "match"), ("us", "register"))]
    stored = secrets.token_bytes(32)
    with calling(server.address, keys[0]) as platform, calling(server.address, keys[1]) as helpline:
        case = helpline("RegisterHashes", register(stored)).receipt.case_number

        def matches() -> bool:
            return bool(platform("MatchHashes", lookup(stored)).matches.queries)

        eventually(matches)
        refusal(lambda: platform("RegisterHashes", register(stored)))
        unknown = registration_pb2.GetCaseRequest(access=access("AVMJ9P6WWQA"))
        assert refusal(lambda: helpline("GetCase", unknown)).reason == "CASE_REFUSED"
        many = lookup(secrets.token_bytes(9000 * 32))
        refused = refusal(lambda: [platform("MatchHashes", many) for _ in range(20)])
        assert refused.reason == "QUOTA_EXCEEDED"
    quota = {"of": "quota_hashes", "organisation": "acme"}
    eventually(lambda: watched.value("disrupt_refused_total", **quota) >= 1)  # named by then
    call = "disrupt_call_duration_seconds_count"
    assert watched.value(call, method="RegistrationService/RegisterHashes", outcome="OK") == 1
    assert watched.value(call, outcome="RIGHT_MISSING") == 1
    assert watched.value(call, outcome="CASE_REFUSED") == 1  # of the writer
    assert watched.value(call, outcome="CANCELLED") == 0
    assert watched.value(call, method="MatchService/MatchHashes", outcome="QUOTA_EXCEEDED") >= 1
    looked_up = watched.value("disrupt_looked_up_total", kind="hashes", organisation="acme")
    assert looked_up >= watched.value("disrupt_matches_total", bank="adults", distance_bits="0-7")
    assert watched.value("disrupt_matches_total") >= 1
    assert watched.value("disrupt_hidden_items", state=ItemState.DISABLED.name.lower()) == 0
    eventually(lambda: watched.value("disrupt_index_hashes") == 2)  # of two workers
    _, text = watched.get("/metrics")
    log = server.data_dir.with_name("data.log").read_text()
    lines = [json.loads(line) for line in log.splitlines() if '"event": "call"' in line]
    assert len(lines) == watched.value(call)
    (refused_line,) = (line for line in lines if line["outcome"] == "RIGHT_MISSING")
    assert refused_line["key_id"]  # of a valid key
    for private in (stored.hex(), case, PIN, *keys, "127.0.0.1"):
        assert private not in text
        assert private not in log


def test_a_process_that_hangs_or_was_killed_shows_and_no_counter_falls(watched: Watched) -> None:
    server = watched.server
    eventually(watched.is_ready)
    key = server.make_key("acme", "match")
    ends = 0

    def has_ended() -> bool:
        return watched.value("disrupt_process_ends_total", role="worker") == ends

    for _ in range(2):
        with calling(server.address, key) as platform:
            platform("MatchHashes", lookup(secrets.token_bytes(32)))
        os.kill(processes(server.process.pid, "worker")[0], signal.SIGKILL)
        ends += 1
        eventually(has_ended)
    call = "disrupt_call_duration_seconds_count"
    assert watched.value(call, method="MatchService/MatchHashes") == 2
    eventually(watched.is_ready)
    worker = processes(server.process.pid, "worker")[0]
    os.kill(processes(worker, "disrupt.isolation.picture_worker")[0], signal.SIGKILL)
    eventually(lambda: watched.value("disrupt_decoder_ends_total", of="pictures") == 1)
    assert watched.value("disrupt_start_timestamp_seconds") < time.time()
    for shown, most in (
        ("open_files", "open_files_max"),
        ("memory_bytes", "address_space_bytes"),
        ("address_space_bytes", "address_space_max_bytes"),
    ):
        for process in ("supervisor", "monitor", "writer", "worker 0"):
            least = watched.value(f"disrupt_{shown}", process=process)
            assert 0 < least < watched.value(f"disrupt_{most}", process=process)
    (writer,) = processes(server.process.pid, "writer")
    os.kill(writer, signal.SIGSTOP)
    eventually(lambda: "writer: no figures" in watched.get("/readyz")[1])
    assert watched.get("/readyz")[0] == 503
    assert watched.get("/livez") == (200, "live\n")
    os.kill(writer, signal.SIGCONT)
    eventually(watched.is_ready)


def test_a_monitor_that_was_killed_comes_back_and_knows_what_was_counted(
    watched: Watched,
) -> None:
    server = watched.server
    with calling(server.address, server.make_key("acme", "match")) as platform:
        platform("MatchHashes", lookup(secrets.token_bytes(32)))
    (monitor,) = processes(server.process.pid, "monitor")
    os.kill(monitor, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return watched.value("disrupt_process_ends_total", role="monitor") == 1
        except OSError:
            return False

    eventually(is_back)
    assert watched.value("disrupt_call_duration_seconds_count", outcome="OK") == 1


def test_withdrawn_items_in_the_index_show_until_they_are_erased(watched: Watched) -> None:
    server, pending = watched.server, "disrupt_erasure_pending_seconds"
    with calling(server.address, server.make_key("us", "register")) as helpline:
        case = helpline("RegisterHashes", register(secrets.token_bytes(32))).receipt.case_number
        typed("disrupt-index", "rebuild", "--data-dir", server.data_dir)
        assert watched.value(pending) == 0
        helpline("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(case)))
    eventually(lambda: watched.value(pending) > 0)
    typed("disrupt", "erase", "--data-dir", server.data_dir)
    eventually(lambda: watched.value(pending) == 0)


def test_what_is_on_disk_for_longer_than_promised_is_not_ready() -> None:
    figures = families.figures_of(1)
    for name in figures.rows:
        figures.row(name).set(families.SEEN, value=time.time())
    worker, monitor = figures.row("worker 0"), figures.row("monitor")
    assert len([*readiness.faults(figures, 24)]) == len(families.SERVICES)
    for service in families.SERVICES:
        worker.set(families.SERVING, service, value=1)
    monitor.set(families.ERASURE_PENDING, value=23.9 * 3600)
    assert [*readiness.faults(figures, 24)] == []
    monitor.set(families.ERASURE_PENDING, value=24.1 * 3600)
    (fault,) = readiness.faults(figures, 24)
    assert fault.startswith("Withdrawn items are on disk for 24.1 h, and 24 are promised")
