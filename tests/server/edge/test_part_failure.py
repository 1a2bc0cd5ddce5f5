"""A process of which a part fails ends by itself, with a line in its log."""

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
from disrupt import logs
from disrupt.server.edge import part_failure
from disrupt.server.edge import serving
logs.configure("worker")

async def fail():
    raise MemoryError("a secret")

async def forever_():
    await asyncio.sleep(600)

async def main():
    part_failure.install_handlers()
    {body}

asyncio.run(main())
print("ended by itself")
"""

_HANGING = """
part_failure.vital("hanging", asyncio.to_thread(time.sleep, 600))
await asyncio.sleep(0.1)
part_failure.vital("changes", fail())
await forever_()
"""


def run(body: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Return exit code, output and log of a process whose main coroutine is ``body``."""
    script = _BEGIN.replace("{body}", body.strip().replace("\n", "\n    "))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in done.stderr
    assert "a secret" not in done.stderr
    return done.returncode, done.stdout, [json.loads(line) for line in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("part_failure.vital('changes', fail())\nawait forever_()", "changes"),
        ("threading.Thread(target=lambda: 1 / 0, name='join').start()\nawait forever_()", "join"),
        (_HANGING, "changes"),
    ],
)
def test_a_part_that_fails_ends_its_process(body: str, part: str) -> None:
    code, output, log = run(body)
    assert (code, output) == (70, "")
    (line,) = (event for event in log if event["event"] == "part_failed")
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
await serving.until_told_to_stop([server], 1.0, lambda: None, dict)
""")
    assert code == 70
    assert output.startswith("ready\n")
    assert [event["part"] for event in log if event["event"] == "part_failed"] == ["server"]


def test_what_is_cancelled_or_returns_ends_nothing() -> None:
    code, output, log = run("""
async def nothing(): pass
endless, returning = part_failure.vital("one", forever_()), part_failure.vital("other", nothing())
await asyncio.sleep(0)
endless.cancel()
await asyncio.wait([endless, returning])
""")
    assert (code, output, log) == (0, "ended by itself\n", [])


def test_an_error_that_nobody_reads_is_logged_without_its_message() -> None:
    code, _, log = run("""
task = asyncio.create_task(fail())
await asyncio.sleep(0)
del task
""")
    assert code == 0
    assert [(event["event"], event["kind"]) for event in log] == [("error_unread", "MemoryError")]


_SUPERVISED = """
import asyncio, signal, socket, time
from pathlib import Path
from disrupt import logs
from disrupt.server.supervisor import children
from disrupt.server.edge import serving
from disrupt.server.supervisor import process as supervisor
from disrupt.server.config import Config

async def hang():
    time.sleep(600)

async def wait():
    await asyncio.sleep(600)

async def serve_and_hang():
    serving.tell_supervisor(serving.READY)
    time.sleep(600)

logs.configure("supervisor")
config = Config(data_dir=Path("data"), hung_after_s=2.0)

async def main():
    running = supervisor._Supervisor(config)
    {body}

asyncio.run(main())
"""


def supervised(body: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return lines and log of a supervisor that does ``body``."""
    script = _SUPERVISED.replace("{body}", body.strip().replace("\n", "\n    "))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines(), [json.loads(line) for line in done.stderr.splitlines()]


def test_a_process_that_is_never_ready_is_killed_and_the_next_can_be_started() -> None:
    output, log = supervised("""
for never_ready in (hang, wait):
    print(await running._run_once(children.Child("worker", never_ready, start_s=0.5)))
""")
    assert output == [str(-signal.SIGKILL)] * 2
    assert [line["role_killed"] for line in log if line["event"] == "process_killed"] == [
        "worker"
    ] * 2


def test_a_first_process_that_is_never_ready_ends_the_server_with_a_reason() -> None:
    output, _ = supervised("""
await running._keep_running(children.Child("writer", hang, start_s=0.5))
print(running._stop.is_set(), running._failure.message)
""")
    assert output == ["True The writer did not start (exit code -9); the log says why."]


def test_a_writer_that_does_not_start_in_a_reload_is_answered_and_counted_once() -> None:
    output, _ = supervised("""
asked, running._caller = socket.socketpair()
asked.setblocking(False)
running._count_from_0()
running._former = [children.Child("worker", wait)]
keeping = asyncio.create_task(running._keep_running(children.Child("writer", hang, start_s=0.5)))
print((await asyncio.get_running_loop().sock_recv(asked, 4096)).decode().strip())
counts = lambda name: dict(running._rows.of("supervisor").read())[name]
while counts('["disrupt_process_ends", "writer", "hung"]') != [2.0]:
    await asyncio.sleep(0.1)
print(counts('["disrupt_reloads", "failed"]'))
keeping.cancel()
""")
    assert "registrations and withdrawals are not" in json.loads(output[0])["error"]
    assert output[1] == "[1.0]"


def test_a_process_whose_event_loop_hangs_is_killed_and_replaced() -> None:
    output, _ = supervised("""
ended, once = [], running._run_once
async def counted(child):
    ended.append(await once(child))
    if len(ended) == 2:
        running._stop.set()
    return ended[-1]
running._run_once = counted
await running._keep_running(children.Child("worker", serve_and_hang))
print(ended, running._failure)
""")
    assert output == [f"{[-int(signal.SIGKILL)] * 2} None"]
