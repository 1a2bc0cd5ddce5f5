"""Kill a command at a chosen system call, by strace, and check the order of the calls."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.strace import Call, read, tracing

_WRITES = ("write", "pwrite64", "ftruncate", "fallocate")
_BY_PATH = ("rename", "mkdir", "unlink", "rmdir", "unlinkat")
CALLS = (*_WRITES, "fsync", *_BY_PATH)
"""Calls that write a generation of the index, or make it durable, visible or gone."""

_TIMEOUT_S = 120
_NUMBER = re.compile(r"(?<![0-9])[0-9]{8}(?![0-9])")


@dataclass(frozen=True, slots=True)
class Step:
    """The ``nth`` call of one kind on a path, counted from 1.

    ``path`` is relative to the index; generations in it are counted from the one that is written,
    as {0}, {-1} and so on.
    """

    call: str
    path: str
    nth: int

    def __str__(self) -> str:
        """Describe the step to people, without the count."""
        return f"{self.call} {self.path}"


def steps(calls: list[Call], index_dir: Path, generation: int) -> list[Step]:
    """Return what a traced run did to the index, in order; ``generation`` is the one it wrote."""
    seen: Counter[tuple[str, str]] = Counter()
    done = []
    for call in calls:
        path = _path(call)
        if path is None or not path.is_relative_to(index_dir):
            continue
        name = _NUMBER.sub(
            lambda number: f"{{{int(number[0]) - generation}}}", str(path.relative_to(index_dir))
        )
        seen[call.name, name] += 1
        done.append(Step(call.name, name, seen[call.name, name]))
    return done


def traced(command: list[str | Path], trace: Path) -> list[Call]:
    """Run a command to its end; return its calls. Raises CalledProcessError if it fails."""
    # In the foreground, strace ends when the trace is complete.
    tracer = [word for word in tracing(trace, *CALLS) if word != "-D"]
    subprocess.run([*tracer, *command], check=True, stdout=subprocess.DEVNULL, timeout=_TIMEOUT_S)
    return read(trace)


def killed_at(step: Step, command: list[str | Path], index_dir: Path, generation: int) -> bool:
    """Run a command that gets SIGKILL at that call; return False where it made no such call."""
    name = re.sub(r"\{(-?\d+)\}", lambda at: f"{generation + int(at[1]):08d}", step.path)
    inject = f"inject={step.call}:signal=KILL:when={step.nth}"
    # not --seccomp-bpf: strace cannot send a signal from where that stops a process
    injected = ("strace", "-f", "-qqq", "--signal=none", "-o", "/dev/null")
    what = ("-e", f"trace={step.call}", "-e", inject, "-P", index_dir / name)
    done = subprocess.run(
        [*injected, *what, *command],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
    )
    return done.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}


def disorder(calls: list[Call], index_dir: Path) -> Iterator[str]:
    """Yield what a run that published a generation did too early to survive a power cut.

    Every file of it, and its directory, must be synced before it gets its name; the name, and the
    file that will be CURRENT, before CURRENT is replaced; CURRENT, before a generation is deleted.
    """
    renames = {path.name: call for call in calls if call.name == "rename" and (path := _path(call))}
    named, pointed = renames.get("building"), renames.get("CURRENT.new")
    if named is None or pointed is None:
        yield "nothing was published"
        return
    building = index_dir / "building"
    written = [
        (path, call)
        for call in calls
        if call.name in _WRITES and (path := _path(call)) and call.began < pointed.began
    ]
    for path in sorted({path for path, _ in written if path.parent == building}):
        last = max(call.began for written_path, call in written if written_path == path)
        if not _synced(calls, path, last, named.began):
            yield f"{path.name} was named before it was synced"
    if not _synced(calls, building, 0, named.began):
        yield "the directory was named before it was synced"
    aside = [call.began for path, call in written if path.name == "CURRENT.new"]
    if not _synced(calls, index_dir / "CURRENT.new", max(aside, default=0), pointed.began):
        yield "CURRENT was replaced by a file that was not synced"
    if not _synced(calls, index_dir, named.began, pointed.began):
        yield "CURRENT was replaced before the generation's name was synced"
    gone = [call.began for call in calls if call.name in _BY_PATH and call.began > pointed.began]
    if not _synced(calls, index_dir, pointed.began, min(gone, default=calls[-1].began + 1)):
        yield "a generation went before CURRENT was synced"


def _synced(calls: list[Call], path: Path, after: int, before: int) -> bool:
    return any(
        call.name == "fsync"
        and _path(call) == path
        and call.began > after
        and call.ended is not None
        and call.ended < before
        for call in calls
    )


def _path(call: Call) -> Path | None:
    """Return the path of a call: the file of its descriptor, or its first path argument."""
    if call.name == "unlinkat":
        return Path(call.target) / call.strings[0].decode()
    if call.name in _BY_PATH:
        return Path(call.strings[0].decode())
    return Path(call.target) if call.target else None
