"""A running server that is replaced by the installed program, or stopped, drops no call."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from disrupt.server.config import Config
from disrupt.server.metrics import families
from disrupt.server.supervisor import forking
from disrupt.server.supervisor.children import Child
from disrupt.server.supervisor.process import Standing, _Supervisor
from rig.callers.caller import calling, items, lookup, outcome, register
from rig.processes.metrics import counted
from rig.processes.running import processes
from rig.servers.deployment import CommandFailedError, Deployment, Start, run
from rig.waiting import eventually


@contextmanager
def repeated(*calls: Callable[[], object]) -> Iterator[list[grpc.StatusCode]]:
    """Repeat calls, each on a thread, until the end; yield how each ended."""
    over, outcomes = threading.Event(), list[grpc.StatusCode]()

    def repeat(call: Callable[[], object]) -> None:
        while not over.is_set():
            outcomes.append(outcome(call))

    with ThreadPoolExecutor(len(calls)) as threads:
        for call in calls:
            threads.submit(repeat, call)
        try:
            yield outcomes
        finally:
            over.set()


def metric(server: Deployment, name: str) -> float:
    return counted(server.metrics_address(), name)


_WRONG_TABLES = """
from disrupt.errors import DisruptError
from disrupt.index.snapshot import Snapshot
from disrupt.server.supervisor import preparation

def check_table_search():
    raise DisruptError("wrong tables")

preparation.check_table_search = check_table_search
Snapshot.has_tables = property(lambda self: True)
"""

_NO_DECODER = """
from disrupt.isolation.picture_process import Process

async def start(*limits):
    raise OSError("no decoder")

Process.start = start
"""


def test_a_reload_drops_no_call_and_a_program_that_would_not_start_changes_nothing(
    start: Start, tmp_path: Path
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    server = start(
        workers=2, settings="connection_max_age_s = 1\n", wrapper=("env", f"PYTHONPATH={packages}")
    )
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    stored = secrets.token_bytes(32)
    metrics, before = server.metrics_address(), processes(server.process.pid)
    config = server.data_dir.with_name("data.toml")
    config.write_text(f"{config.read_text()}max_hashes_per_lookup = 20000\n")
    with calling(server.address, match) as platform, calling(server.address, helpline) as caller:
        caller("RegisterHashes", register(stored))
        many = lookup(*[stored] * 10_001)
        assert outcome(lambda: platform("MatchHashes", many)) == grpc.StatusCode.INVALID_ARGUMENT

        def connect_and_look_up() -> None:
            with calling(server.address, match) as other:
                other("MatchHashes", lookup(stored))

        with repeated(
            lambda: platform("MatchHashes", lookup(stored)),
            lambda: caller("RegisterHashes", register(secrets.token_bytes(32))),
            connect_and_look_up,
        ) as outcomes:
            assert "has taken over" in run("disrupt", "reload", "--data-dir", server.data_dir)
        assert {*outcomes} == {grpc.StatusCode.OK}
        after = processes(server.process.pid)
        assert len(after) == len(before)
        assert not {*after} & {*before}
        assert outcome(lambda: platform("MatchHashes", many)) == grpc.StatusCode.OK
        assert server.metrics_address() == metrics
        # all calls that were ever answered, by either program
        assert metric(server, "disrupt_call_seconds_count") == len(outcomes) + 3
        assert metric(server, "disrupt_process_ends_total") == 0

        for name, text, problem in (
            (packages / "uvloop.py", "raise RuntimeError('half installed')\n", "half installed"),
            (config, "max_call_s = 0\n", "max_call_s"),
            (config, f"tls_cert = '{config}'\ntls_key = '{config}'\n", "Check tls_cert"),
            (packages / "sitecustomize.py", _WRONG_TABLES, "wrong tables"),
            (packages / "sitecustomize.py", _NO_DECODER, "no decoder"),
        ):
            former = name.read_text() if name.exists() else ""
            name.write_text(text)
            with pytest.raises(CommandFailedError, match=f"do not restart.*{problem}"):
                run("disrupt", "reload", "--data-dir", server.data_dir)
            name.write_text(former) if former else name.unlink()
        assert processes(server.process.pid) == after
        assert len(items(platform("MatchHashes", lookup(stored)))) == 1
        assert metric(server, "disrupt_reloads_total") == 6
        os.kill(after[-1], signal.SIGKILL)  # what took over replaces what dies, as before
        eventually(lambda: len({*processes(server.process.pid)} - {after[-1]}) == len(before))
    assert server.stop() == 0


def test_a_process_that_does_not_start_is_seen_unless_a_former_one_runs_in_its_place(
    tmp_path: Path,
) -> None:
    supervisor = _Supervisor(Config(data_dir=tmp_path, workers=2))
    supervisor._former = [Child("worker", Mock(), number=1, process=Mock(pid=1, code=None))]
    assert [(state["name"], state["pid"]) for state in supervisor._states()] == [
        ("worker 1", 1),
        ("writer", None),
        ("worker 2", None),
    ]


@pytest.mark.parametrize("layout", [families.layout(), {families.FAULTS.name: ["other"]}])
def test_the_end_of_a_former_process_ends_nothing_else(
    tmp_path: Path, layout: dict[str, list[Any]]
) -> None:
    config = Config(data_dir=tmp_path, workers=1)

    async def reload_twice(port: socket.socket) -> list[object]:
        supervisor = _Supervisor(config, standing=Standing((), 0, port))
        codes: list[object] = []
        for _ in range(2):
            for child in supervisor._parts.everything:
                child.process = forking.fork(child.role, lambda: None)
            left = supervisor._handing_over(port.fileno())
            rows = left.rows.model_copy(update={"layout": layout})
            handover = left.model_copy(update={"rows": rows, "caller": os.dup(port.fileno())})
            supervisor = _Supervisor(config, standing=supervisor._standing, handover=handover)
            supervisor._tell({})
            for child in supervisor._former:
                await supervisor._see_out(child)
                codes.append(child.process and child.process.code)
        return codes

    with socket.socket() as port:
        assert asyncio.run(reload_twice(port)) == [0] * 6


def test_told_to_stop_under_load_it_answers_what_it_has_begun_and_ends_streams_at_once(
    start: Start,
) -> None:
    server = start(settings="drain_grace_s = 600\n", workers=1)
    match = server.make_key("p", "match")
    with calling(server.address, match) as platform, grpc.insecure_channel(server.address) as other:
        stub: Any = health_pb2_grpc.HealthStub(other)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        many = lookup(*[secrets.token_bytes(32) for _ in range(5000)])
        platform("MatchHashes", lookup(bytes(32)))
        with ThreadPoolExecutor(8) as threads:
            begun = [threads.submit(platform, "MatchHashes", many) for _ in range(8)]
            eventually(lambda: metric(server, "disrupt_key_calls_total") == 9)
            assert server.stop() == 0
            assert {outcome(call.result) for call in begun} == {grpc.StatusCode.OK}
        with pytest.raises(grpc.RpcError) as ended:
            list(watch)
    assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
