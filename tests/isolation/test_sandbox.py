"""A process that is locked down can compute and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ONE_THREAD = os.environ | {"OPENBLAS_NUM_THREADS": "1"}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=ONE_THREAD, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "thread"), [([], "RuntimeError"), (["threads"], "succeeded")]
)
def test_locked_down_a_process_can_compute_and_nothing_else(
    arguments: list[str], thread: str
) -> None:
    script = Path(__file__).with_name("lock_down_and_try.py")
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr
    missing, *lines = done.stdout.splitlines()
    outcomes = dict(line.split(": ") for line in lines)
    assert missing == "missing "
    assert outcomes.pop("some memory") == "succeeded"
    assert outcomes.pop("a thread") == thread
    assert outcomes.pop("more memory than allowed") == "MemoryError"
    assert len(outcomes) > 10
    assert set(outcomes.values()) == {"PermissionError"}


def test_a_process_with_threads_is_not_locked_down() -> None:
    code = (
        "import os, threading; from disrupt.isolation.sandbox import lock_down\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "lock_down(memory_bytes=2**30, parent=os.getppid())"
    )
    done = run("-c", code)
    assert done.returncode == 1
    assert "has 2 threads" in done.stderr


WITHOUT_LANDLOCK = """
import ctypes, errno, os
from disrupt.isolation import sandbox, seccomp as s
code = b"".join(
    [
        s._instruction(s._LOAD, s._NUMBER),
        s._instruction(s._IF_EQUAL, 444, otherwise=1),
        s._instruction(s._RETURN, 0x50000 | errno.ENOSYS),
        s._instruction(s._RETURN, s._ALLOW),
    ]
)
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, ctypes.byref(s._Program(4, code)), 0, 0) == 0
out = os.dup(1)
missing = sandbox.lock_down(memory_bytes=2**30, parent=os.getppid())
os.write(out, " ".join(missing).encode())
"""


def test_a_layer_that_the_kernel_lacks_is_told_and_the_others_hold() -> None:
    done = run("-c", WITHOUT_LANDLOCK)
    assert done.stdout == "landlock"
