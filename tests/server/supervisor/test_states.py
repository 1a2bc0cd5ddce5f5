"""What a server tells operators and its service manager of itself."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from disrupt import __version__
from rig.callers.shell import typed
from rig.processes.running import processes
from rig.servers.deployment import Start
from rig.waiting import eventually


def test_states_of_all_processes_events_of_its_life_and_notices_to_systemd(
    start: Start, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notified = ("env", f"NOTIFY_SOCKET={tmp_path / 'notify'}")
        server = start(workers=2, wrapper=notified, settings="hung_after_s = 600\n")
        assert b"READY=1" in drained(manager)

        def told() -> dict[int, str]:
            done = typed("health", "--data-dir", server.data_dir, "--json")
            return {row["pid"]: row["state"] for row in json.loads(done.out)["processes"]}

        first, second = processes(server.process.pid, "worker")
        (writer,) = processes(server.process.pid, "writer")
        assert told() == dict.fromkeys((writer, first, second), "serving")
        done = typed("health", "--data-dir", server.data_dir)
        assert (done.code, done.out.splitlines()[-1]) == (0, "serving (all 3 processes)")
        assert "lag " in done.out

        for worker in (first, second):
            os.kill(worker, signal.SIGSTOP)
        eventually(lambda: told() == {writer: "serving", first: "silent", second: "silent"})
        drained(manager)
        manager.settimeout(2)
        with pytest.raises(TimeoutError):  # no heartbeat, and so nothing for the watchdog
            manager.recv(100)
        for worker in (first, second):
            os.kill(worker, signal.SIGCONT)
        manager.settimeout(None)
        assert manager.recv(100) == b"WATCHDOG=1"
        drained(manager)
        assert server.stop() == 0
        assert b"STOPPING=1" in drained(manager)
    assert not (server.data_dir / "health.sock").exists()
    log = server.data_dir.with_name(f"{server.data_dir.name}.log").read_text().splitlines()
    lines = [json.loads(line) for line in log if line.startswith("{")]
    life = [line for line in lines if line["event"].startswith("server_")]
    names = ["server_starting", "server_ready", "server_stopping", "server_stopped"]
    assert [line["event"] for line in life] == names
    assert life[0]["version"] == life[1]["version"] == __version__
    assert {line["pid"] for line in life} == {server.process.pid}


def drained(manager: socket.socket) -> list[bytes]:
    """Read all messages that wait."""
    messages = []
    while True:
        try:
            messages.append(manager.recv(100, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return messages
