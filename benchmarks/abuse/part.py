"""Run a part of a measurement in a process of its own, steered by words through a pipe."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

_FORKSERVER = multiprocessing.get_context("forkserver")
# Each part is forked from a process that has imported all of them, in place of importing it anew.
_FORKSERVER.set_forkserver_preload(
    [f"benchmarks.abuse.{part}" for part in ("attacks", "callers", "sink")]
)


class Part:
    """The process, as seen by its parent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def hear(self) -> Any:  # noqa: ANN401 whatever it says
        """Return the next thing that it sends. Raises EOFError where it has ended."""
        return self._pipe.recv()

    def ask(self, word: str) -> Any:  # noqa: ANN401 likewise
        """Send a word, and return the answer."""
        self._pipe.send(word)
        return self.hear()


@contextmanager
def apart(run: Callable[..., None], *arguments: object) -> Iterator[Part]:
    """Run ``run(pipe, *arguments)`` in a process; at the end, wait a second, then kill it."""
    ours, theirs = _FORKSERVER.Pipe()
    process = _FORKSERVER.Process(target=run, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Part(ours)
    finally:
        process.join(1)
        process.kill()
        process.join()
        ours.close()
