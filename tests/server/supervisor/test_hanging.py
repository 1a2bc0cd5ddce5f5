"""Processes that were suspended are not taken for hanging."""

from __future__ import annotations

import os
import signal
import time

from rig.callers.each_worker import client_of_each_worker
from rig.processes.running import processes
from rig.servers.deployment import Deployment, Start

_HUNG_AFTER_S = 6.0


def family(server: Deployment) -> list[int]:
    return [
        process for role in ("writer", "worker") for process in processes(server.process.pid, role)
    ]


def test_processes_that_were_suspended_together_go_on(start: Start) -> None:
    server = start(settings=f"hung_after_s = {_HUNG_AFTER_S}\n")
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
