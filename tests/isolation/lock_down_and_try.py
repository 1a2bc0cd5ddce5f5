"""Lock this process down, try what must fail, and report each attempt on a pipe."""

import contextlib
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from disrupt.isolation.sandbox import lock_down

MEMORY_BYTES = 2**30


def signal_parent() -> None:
    os.kill(os.getppid(), signal.SIGTERM)


def run_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


ATTEMPTS: dict[str, Callable[[], object]] = {
    "read a file": lambda: Path("/etc/hostname").read_text(),
    "write a file": lambda: Path("/tmp/disrupt-escaped").write_text(""),  # noqa: S108
    "list a directory": lambda: os.listdir("/"),  # noqa: PTH208
    "open through a descriptor": lambda: Path("/proc/self/fd/0").read_bytes(),
    "memory file": lambda: os.memfd_create("x"),
    "internet socket": lambda: socket.socket(socket.AF_INET),
    "unix socket": lambda: socket.socket(socket.AF_UNIX),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
    "start a program": lambda: subprocess.run(["/bin/true"], check=False),
    "signal the parent": signal_parent,
    "executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC),
    "a descriptor more": lambda: os.dup(0),
    "more memory than allowed": lambda: bytearray(MEMORY_BYTES),
    "some memory": lambda: bytearray(2**24),
    "a thread": run_thread,
}


def main() -> None:
    report = os.dup(1)
    missing = lock_down(
        memory_bytes=MEMORY_BYTES, parent=os.getppid(), threads="threads" in sys.argv
    )
    os.write(report, f"missing {' '.join(missing)}\n".encode())
    for name, attempt in ATTEMPTS.items():
        outcome = "succeeded"
        try:
            attempt()
        except (OSError, MemoryError, RuntimeError) as error:
            outcome = type(error).__name__
        os.write(report, f"{name}: {outcome}\n".encode())


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
