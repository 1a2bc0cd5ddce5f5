"""On SIGHUP a server changes to its settings and version of now, and goes on to answer."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from tests.doctor.certificates import pair
from tests.server.caller import calling, eventually, items, lookup, outcome, register
from tests.server.running import children, typed

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Deployment]:
    server = Deployment.start(
        tmp_path / "data", "--metrics-listen", "127.0.0.1:0", settings=FEW_DECODERS
    )
    read_line(server)
    yield server
    if server.process.poll() is None:
        server.kill()


def read_line(server: Deployment) -> str:
    assert server.process.stdout is not None
    return server.process.stdout.readline()


def change(server: Deployment, settings: str) -> None:
    """Write other settings, and tell the server."""
    server.data_dir.with_name("data.toml").write_text(settings)
    server.process.send_signal(signal.SIGHUP)


def log(server: Deployment) -> list[dict[str, Any]]:
    lines = server.data_dir.with_name("data.log").read_text().splitlines()
    return [json.loads(line) for line in lines]


def logged(server: Deployment, event: str) -> list[dict[str, Any]]:
    return [line for line in log(server) if line["event"] == event]


@contextmanager
def called(call: Callable[[], object]) -> Iterator[list[object]]:
    """Repeat a call on a thread until the end; give what became of each."""
    over, outcomes = threading.Event(), list[object]()

    def repeat() -> None:
        while not over.is_set():
            outcomes.append(outcome(call))

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield outcomes
    finally:
        over.set()
        thread.join()


def test_new_settings_hold_in_new_processes_and_no_lookup_is_dropped(server: Deployment) -> None:
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    stored = secrets.token_bytes(32)
    before = children(server.process.pid)
    with calling(server.address, match) as platform, calling(server.address, helpline) as caller:
        caller("RegisterHashes", register(stored))
        many = lookup(*[stored] * 65)
        platform("MatchHashes", many)

        def connect_and_look_up() -> None:
            with calling(server.address, match) as another:
                another("MatchHashes", lookup(stored))

        with (
            called(lambda: platform("MatchHashes", lookup(stored))) as lookups,
            called(connect_and_look_up) as first_lookups,
            called(lambda: caller("RegisterHashes", register(secrets.token_bytes(32)))) as writes,
        ):
            change(server, f"max_hashes_per_lookup = 64\n{FEW_DECODERS}")
            assert read_line(server) == f"Disrupt is ready on {server.address}\n"
            metrics = read_line(server).removeprefix("Metrics on ").strip()
        assert "disrupt_start_timestamp_seconds" in urllib.request.urlopen(metrics).read().decode()  # noqa: S310
        assert {*lookups} == {grpc.StatusCode.OK}
        assert {*first_lookups} == {grpc.StatusCode.OK}
        # Where the writer takes long to start, they are to be sent again.
        assert {*writes} <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
        assert outcome(lambda: platform("MatchHashes", many)) == grpc.StatusCode.INVALID_ARGUMENT
        assert len(items(platform("MatchHashes", lookup(stored)))) == 1
    after = children(server.process.pid)
    assert len(after) == len(before)
    assert not {*before} & {*after}
    assert typed("disrupt-index", "verify", "--data-dir", server.data_dir)
    assert server.stop() == 0


def test_settings_that_make_no_sense_leave_the_server_as_it_is(server: Deployment) -> None:
    before = children(server.process.pid)
    change(server, "search_threads = 0\n")
    eventually(lambda: bool(logged(server, "reload_refused")))
    assert "search_threads" in logged(server, "reload_refused")[0]["problem"]
    assert children(server.process.pid) == before
    change(server, FEW_DECODERS)
    read_line(server)
    read_line(server)
    assert server.stop() == 0


def test_a_killed_worker_is_replaced_after_a_reload_too(server: Deployment) -> None:
    change(server, FEW_DECODERS)
    read_line(server)
    (first, *_) = children(server.process.pid, "worker")
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len({*children(server.process.pid, "worker")} - {first}) == 2)
    assert server.stop() == 0


def test_a_server_that_is_told_to_stop_while_it_reloads_stops(server: Deployment) -> None:
    change(server, FEW_DECODERS)
    eventually(lambda: bool(logged(server, "reload_begins")))
    assert server.stop() == 0
    assert children(server.process.pid) == []


def test_an_address_changes_with_a_restart_only(tmp_path: Path) -> None:
    settings = f'metrics_listen = "127.0.0.1:0"\n{FEW_DECODERS}'
    server = Deployment.start(tmp_path / "data", settings=settings)
    metrics = read_line(server)
    try:
        change(server, FEW_DECODERS)
        assert read_line(server) == f"Disrupt is ready on {server.address}\n"
        assert read_line(server) == metrics
        assert [line["setting"] for line in logged(server, "setting_waits")] == ["metrics_listen"]
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()


def checked(*options: object) -> Any:
    """Run ``disrupt serve --check`` in a process of its own."""
    words = [sys.executable, "-m", "disrupt", "serve", "--check", *map(str, options)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_check_says_whether_a_server_could_begin_and_makes_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert checked("--data-dir", data_dir).returncode == 0
    assert not data_dir.exists()
    own, other = (pair(tmp_path / name, "localhost") for name in ("own", "other"))
    words = ["--tls-cert", own.certificate, "--tls-key", other.key]
    done = checked("--data-dir", data_dir, *words)
    assert done.returncode == 2
    assert f"{other.key} is the key of another certificate" in done.stderr
    data_dir.mkdir()
    (data_dir / "registry.db").write_bytes(b"no database")
    done = checked("--data-dir", data_dir)
    assert done.returncode == 1
    assert "no registry" in done.stderr
