"""A process of which a part fails ends, by itself and with a line in its log."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

_BEGIN = """
import asyncio, signal, sys, threading, time
from grpc import aio
from disrupt.server import logs, serving, supervision
logs.configure("worker")

async def fail():
    raise MemoryError("a secret")

async def forever_():
    await asyncio.sleep(600)

async def main():
    supervision.arrange()
    {body}

asyncio.run(main())
print("ended by itself")
"""

_HANGING = """
supervision.vital("hanging", asyncio.to_thread(time.sleep, 600))
await asyncio.sleep(0.1)
supervision.vital("changes", fail())
await forever_()
"""


def run(body: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Exit code, standard output and log of a process whose main coroutine is ``body``."""
    script = _BEGIN.replace("{body}", body.strip().replace("\n", "\n    "))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in done.stderr
    assert "a secret" not in done.stderr
    return done.returncode, done.stdout, [json.loads(one) for one in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("supervision.vital('changes', fail())\nawait forever_()", "changes"),
        ("threading.Thread(target=lambda: 1 / 0, name='join').start()\nawait forever_()", "join"),
        (_HANGING, "changes"),
    ],
)
def test_a_part_that_fails_ends_its_process(body: str, part: str) -> None:
    code, output, log = run(body)
    assert (code, output) == (70, "")
    (line,) = (one for one in log if one["event"] == "part_failed")
    assert (line["part"], line["level"]) == (part, "critical")


def test_a_server_whose_own_task_fails_ends_its_process() -> None:
    code, output, log = run("""
server = aio.server()
port = server.add_insecure_port("127.0.0.1:0")
loop = asyncio.get_running_loop()
start = loop.create_task
def failing(work, **options):
    if work.__qualname__ == "_schedule_rpc_coro":
        work.close()
        raise MemoryError
    return start(work, **options)
loop.create_task = failing
async def call():
    channel = aio.insecure_channel(f"127.0.0.1:{port}")
    await channel.unary_unary("/any/call")(b"", timeout=60, wait_for_ready=True)
calling = start(call())
await serving.until_told_to_stop(server, 1.0, forever_)
""")
    assert code == 70
    assert output == "ready\n"
    assert [one["part"] for one in log if one["event"] == "part_failed"] == ["server"]


def test_what_is_cancelled_or_returns_ends_nothing() -> None:
    code, output, log = run("""
async def nothing(): pass
one, other = supervision.vital("one", forever_()), supervision.vital("other", nothing())
await asyncio.sleep(0)
one.cancel()
await asyncio.wait([one, other])
""")
    assert (code, output, log) == (0, "ended by itself\n", [])


def test_an_error_that_nobody_reads_is_logged_without_its_message() -> None:
    code, _, log = run("""
task = asyncio.create_task(fail())
await asyncio.sleep(0)
del task
""")
    assert code == 0
    assert [(one["event"], one["kind"]) for one in log] == [("error_unread", "MemoryError")]


def test_a_process_that_takes_too_long_is_killed_and_the_next_one_can_be_started() -> None:
    script = """
import asyncio, time
from pathlib import Path
from disrupt.server import logs, supervisor
from disrupt.server.config import Config

async def hang():
    time.sleep(600)

async def main():
    logs.configure("supervisor")
    running = supervisor._Supervisor(Config(data_dir=Path("data")))
    print(await running._run_once(supervisor._Child("housekeeping", hang), 0.5))

for _ in range(2):
    asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == f"{-signal.SIGKILL}\n" * 2
