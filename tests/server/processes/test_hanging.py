"""A worker or writer that hangs is replaced; one suspended with all others is not."""

from __future__ import annotations

import os
import secrets
import signal
import time

import pytest

from benchmarks.harness.deployment import Deployment
from benchmarks.harness.processes import client_of_each_worker, processes
from tests.server.caller import calling, eventually, lookup, outcome, register
from tests.server.running import Start

pytestmark = pytest.mark.slow


_HUNG_AFTER_S = 6.0


@pytest.fixture
def server(start: Start) -> Deployment:
    """Start a server of two workers, which soon count as hanging."""
    return start(settings=f"hung_after_s = {_HUNG_AFTER_S}\n")


def family(server: Deployment) -> list[int]:
    return [
        process for role in ("writer", "worker") for process in processes(server.process.pid, role)
    ]


def answering(server: Deployment, key: str) -> int:
    """Return how many workers answer lookups: one that is being started does not."""
    try:
        with client_of_each_worker(server, key) as clients:
            return len(clients)
    except RuntimeError:
        return 0


def test_a_worker_that_hangs_is_replaced_and_the_other_serves_meanwhile(
    server: Deployment,
) -> None:
    key = server.make_key("platform", "match")
    with client_of_each_worker(server, key) as clients:
        hanging, healthy = clients
        os.kill(hanging, signal.SIGSTOP)
        clients[healthy].match_hashes(bytes(32))
        eventually(lambda: len(set(processes(server.process.pid, "worker")) - {hanging}) == 2)
        clients[healthy].match_hashes(bytes(32))
    assert hanging not in processes(server.process.pid, "worker")
    assert healthy in processes(server.process.pid, "worker")
    eventually(lambda: answering(server, key) == 2)


def test_a_writer_that_hangs_is_replaced_and_lookups_go_on_meanwhile(server: Deployment) -> None:
    platform, helpline = (
        server.make_key("platform", "match"),
        server.make_key("helpline", "register"),
    )
    (writer,) = processes(server.process.pid, "writer")
    with calling(server.address, platform) as match, calling(server.address, helpline) as caller:
        os.kill(writer, signal.SIGSTOP)
        match("MatchHashes", lookup(bytes(32)))
        eventually(lambda: processes(server.process.pid, "writer") not in ([], [writer]))
        request = register(secrets.token_bytes(32))

        def is_registered() -> bool:
            return outcome(lambda: caller("RegisterHashes", request)).name == "OK"

        eventually(is_registered)


def test_processes_that_were_suspended_together_go_on(server: Deployment) -> None:
    key = server.make_key("platform", "match")
    before = family(server)
    with client_of_each_worker(server, key) as clients:
        os.killpg(server.process.pid, signal.SIGSTOP)
        time.sleep(2 * _HUNG_AFTER_S)
        server.process.send_signal(signal.SIGCONT)  # the supervisor may go on before the others
        time.sleep(1.0)
        os.killpg(server.process.pid, signal.SIGCONT)
        for client in clients.values():
            client.match_hashes(bytes(32))
        time.sleep(2.0)  # the supervisor has checked the workers by now
    assert family(server) == before
