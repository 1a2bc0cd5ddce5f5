"""A worker that misses changes reports it, then ends, and recovers by itself."""

from __future__ import annotations

import json
import os
import resource
import secrets as random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from disrupt.server.edge.interceptors import CALLER_KEY
from disrupt.v1 import registration_pb2
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from rig.callers.caller import access, calling, health, items, lookup, matches, outcome, register
from rig.callers.shell import typed
from rig.processes.running import alive, children, processes
from rig.servers.deployment import Deployment, Start
from rig.waiting import eventually

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
MATCH, FEED, REGISTRATION = (
    f"disrupt.v1.{name}Service" for name in ("Match", "Feed", "Registration")
)


@contextmanager
def writer(server: Deployment) -> Iterator[Any]:
    """Connect to the writer itself, past the workers."""
    address = f"unix:{server.data_dir / 'writer.sock'}"
    options = [("grpc.default_authority", "writer"), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(address, options=options) as channel:
        stub: Any = RegistrationServiceStub(channel)

        def call(method: str, request: Any) -> Any:
            return getattr(stub, method)(request, timeout=60, metadata=[(CALLER_KEY, "x")])

        yield call


def log(server: Deployment) -> list[dict[str, Any]]:
    lines = server.data_dir.with_name(f"{server.data_dir.name}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def await_health(server: Deployment, service: str, status: int) -> None:
    """Wait until the health of a service is this."""
    eventually(lambda: bool(health(server.address, service) == status))


@contextmanager
def hanging(server: Deployment) -> Iterator[None]:
    """Make whoever opens index/CURRENT hang."""
    current = server.data_dir / "index" / "CURRENT"
    aside, pipe = current.with_name("CURRENT.aside"), current.with_name("CURRENT.pipe")
    os.mkfifo(pipe)
    os.link(current, aside)
    os.link(pipe, current.with_name("CURRENT.hanging"))
    pipe.replace(current)
    try:
        yield
    finally:
        aside.replace(current)
        # Readers of the pipe see its end. There may be none.
        with suppress(OSError):
            os.close(os.open(current.with_name("CURRENT.hanging"), os.O_WRONLY | os.O_NONBLOCK))


def test_a_worker_whose_follower_hangs_is_not_ready_and_is_again_when_it_goes_on(
    start: Start,
) -> None:
    server = start(settings="stale_not_ready_s = 5.0\n", workers=1)
    helpline = server.make_key("h", "register")
    (worker,) = processes(server.process.pid, "worker")
    with hanging(server), calling(server.address, helpline) as people:
        for service in ("", MATCH, FEED):
            await_health(server, service, NOT_SERVING)
        assert health(server.address, REGISTRATION) == SERVING
        people("RegisterHashes", register(random.token_bytes(32)))
    for service in ("", MATCH, FEED):
        await_health(server, service, SERVING)
    assert processes(server.process.pid, "worker") == [worker]


def test_a_worker_that_stays_behind_closes_its_connections_until_it_is_level(start: Start) -> None:
    server = start(settings="stale_not_ready_s = 5.0\nstale_closes_s = 10.0\n", workers=1)
    match, helpline = server.make_key("p", "match"), server.make_key("h", "register")
    value = random.token_bytes(32)
    with calling(server.address, helpline) as people:
        case = people("RegisterHashes", register(value)).receipt.case_number
    eventually(lambda: matches(server.address, match, value) == 1)
    (worker,) = processes(server.process.pid, "worker")
    with hanging(server), writer(server) as call:
        call("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(case)))
        eventually(lambda: not alive(worker))
        with calling(server.address, match) as platform:
            code = outcome(lambda: platform("MatchHashes", lookup(value), timeout=2))
        assert code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    with calling(server.address, match) as platform:
        eventually(
            lambda: outcome(lambda: platform("MatchHashes", lookup(value))) == grpc.StatusCode.OK,
        )
        assert items(platform("MatchHashes", lookup(value))) == []
    assert [event["part"] for event in log(server) if event["event"] == "part_failed"][:1] == [
        "freshness"
    ]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def no_room(pid: int) -> Iterator[None]:
    """Let no file be written to."""
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("how", ["stopped", "no_room"])
def test_registrations_are_said_to_be_served_while_the_writer_takes_them(
    start: Start, how: str
) -> None:
    server = start(workers=1, settings="hung_after_s = 600\n")
    match = server.make_key("p", "match")
    assert health(server.address, REGISTRATION) == SERVING
    (pid,) = processes(server.process.pid, "writer")
    trouble = {"stopped": stopped(pid), "no_room": no_room(pid)}[how]
    with trouble:
        await_health(server, REGISTRATION, NOT_SERVING)
        done = typed("health", "--server", server.address)
        assert (done.code, f"{REGISTRATION}: NOT_SERVING" in done.err) == (1, True)
        for service in ("", MATCH, FEED):
            assert health(server.address, service) == SERVING
        assert matches(server.address, match, bytes(32)) == 0
    await_health(server, REGISTRATION, SERVING)
    done = typed("health", "--server", server.address)
    assert (done.code, done.out) == (0, "serving (one worker was asked)\n")


def test_a_terminal_that_closes_ends_no_process_and_each_logs_it(start: Start) -> None:
    server = start(workers=2)
    match = server.make_key("p", "match")

    def all_processes() -> set[int]:
        """Return all processes of the server: its children, and theirs, which decode."""
        pids = {server.process.pid}
        for _ in range(2):
            pids |= {pid for parent in pids for pid in children(parent)}
        return pids

    before = all_processes()
    assert len(before) > 4
    os.killpg(server.process.pid, signal.SIGHUP)

    def logged() -> list[str]:
        return sorted(event["role"] for event in log(server) if event["event"] == "hangup_ignored")

    eventually(lambda: logged() == ["supervisor", "worker", "worker", "writer"])
    assert all_processes() == before
    assert matches(server.address, match, bytes(32)) == 0
    assert server.stop() == 0
