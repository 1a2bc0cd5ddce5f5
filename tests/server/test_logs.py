"""Logs describe the work, and never hold it up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

_PROGRAM = """
import structlog
from disrupt import logs
logs.configure("writer")
for at in range(3):
    structlog.get_logger("x").error("event", at=at)
print("went on")
"""


@pytest.mark.parametrize("log", ["a full disk", "a pipe that nobody reads"])
def test_a_log_that_takes_no_lines_stops_nothing(log: str) -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with suppress(BlockingIOError):
        while os.write(write, bytes(1 << 16)):
            pass
    os.set_blocking(write, True)
    try:
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-c", _PROGRAM],
                stdout=subprocess.PIPE,
                stderr=full if log == "a full disk" else write,
                text=True,
                check=True,
            )
    finally:
        os.close(read)
        os.close(write)
    assert done.stdout == "went on\n"


def test_lines_are_json_with_the_role_and_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert all('"role": "writer"' in line and '"event": "event"' in line for line in lines)
    (pid,) = {json.loads(line)["pid"] for line in lines}
    assert pid not in {None, os.getpid()}
