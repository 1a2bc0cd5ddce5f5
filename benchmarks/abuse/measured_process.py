"""Run attacks, ordinary callers and the sink of a measurement, each in a child process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

_FORKSERVER = multiprocessing.get_context("forkserver")
# Children are forked from a process that has imported these, which saves them the time.
_FORKSERVER.set_forkserver_preload(
    [f"benchmarks.abuse.{module}" for module in ("attacks", "callers", "sink")]
)


class MeasuredProcess:
    """A child process of a measurement, which its parent talks to through a pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def hear(self) -> Any:  # noqa: ANN401 any picklable object
        """Return the next object that the process sends. Raises EOFError if it has ended."""
        return self._pipe.recv()

    def ask(self, word: str) -> Any:  # noqa: ANN401 any picklable object
        """Send the process a word, and return its answer."""
        self._pipe.send(word)
        return self.hear()


@contextmanager
def child(run: Callable[..., None], *arguments: object) -> Iterator[MeasuredProcess]:
    """Run ``run(pipe, *arguments)`` in a process; at the end, wait a second, then kill it."""
    ours, theirs = _FORKSERVER.Pipe()
    process = _FORKSERVER.Process(target=run, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield MeasuredProcess(ours)
    finally:
        process.join(1)
        process.kill()
        process.join()
        ours.close()
