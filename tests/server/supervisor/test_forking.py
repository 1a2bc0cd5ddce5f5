"""Forks of a process with a single thread are distinguished, waited for, and end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from rig.waiting import eventually

_BEGIN = """
import asyncio, os, signal, sys, time
from disrupt.errors import DisruptError
from disrupt.server.supervisor import forking
"""


def run(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + script], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_child_changes_nothing_here_and_its_error_is_raised_here() -> None:
    output = run("""
kept = []
forking.run_in_child("checking", lambda: kept.append(1))
print(len(kept))
def refuse(): raise DisruptError("This is wrong.")
for role, fail in (("checking", refuse), ("checking", lambda: os._exit(3))):
    try:
        forking.run_in_child(role, fail)
    except DisruptError as error:
        print(error.message)
""")
    assert output.splitlines() == [
        "0",
        "This is wrong.",
        "The process for checking ended with exit code 3.",
    ]


def test_lines_and_exit_codes_of_forked_processes_are_told() -> None:
    output = run("""
def speak():
    print("ready"); print("compact", flush=True)
    sys.exit(7)
async def main():
    for role, do in (("worker", speak), ("writer", lambda: time.sleep(60))):
        forked = forking.fork(role, do)
        if role == "writer":
            forked.kill(signal.SIGTERM)
        print([line async for line in forked.lines()], await forked.wait())
        forked.kill(signal.SIGTERM)  # the process has ended: the signal hits nobody
asyncio.run(main())
""")
    assert output.splitlines() == ["['ready', 'compact'] 7", f"[] {-signal.SIGTERM}"]


def test_a_parent_that_does_not_read_holds_nobody_up() -> None:
    output = run("""
from disrupt.server.edge.serving import BEAT, tell_supervisor
def speak():
    for _ in range(100_000):
        tell_supervisor(BEAT)
async def main():
    print(await forking.fork("worker", speak).wait())
asyncio.run(main())
""")
    assert output == "0\n"


def test_a_signal_to_a_forked_process_is_not_its_parents() -> None:
    output = run("""
async def main():
    signalled = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signalled.set)
    forked = forking.fork("worker", lambda: (print("here", flush=True), time.sleep(60)))
    async for _ in forked.lines():
        forked.kill(signal.SIGTERM)
    print(await forked.wait(), signalled.is_set())
asyncio.run(main())
""")
    assert output.splitlines() == [f"{-signal.SIGTERM} False"]


def test_a_forked_process_bears_its_role_and_dies_with_its_parent() -> None:
    script = """
async def main():
    forked = forking.fork("worker", lambda: (print("here", flush=True), time.sleep(600)))
    async for _ in forked.lines():
        print(forked.pid, flush=True)
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", _BEGIN + script], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        place = Path(f"/proc/{int(parent.stdout.readline())}")
        assert (place / "comm").read_text().strip() == "disrupt:worker"
        os.kill(parent.pid, signal.SIGKILL)
    eventually(lambda: not place.exists() or ") Z " in (place / "stat").read_text())


def test_a_fork_that_fails_leaves_nothing_open_and_nobody_running() -> None:
    output = run("""
def refuse(*_): raise BlockingIOError(11, "Resource temporarily unavailable")
before = os.listdir("/proc/self/fd")
for name in ("fork", "pidfd_open"):
    real = getattr(os, name)
    setattr(os, name, refuse)
    for _ in range(3):
        try:
            forking.fork("worker", lambda: time.sleep(60))
        except OSError as error:
            print(name, error.errno)
    setattr(os, name, real)
assert os.listdir("/proc/self/fd") == before
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("nobody")
""")
    assert output.splitlines() == ["fork 11"] * 3 + ["pidfd_open 11"] * 3 + ["nobody"]
