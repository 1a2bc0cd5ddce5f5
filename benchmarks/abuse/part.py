"""A part of a measurement in a process of its own, told by words what to do."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

_SPAWN = multiprocessing.get_context("spawn")


class Part:
    """The process, from here."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def hear(self) -> Any:  # noqa: ANN401 whatever it says
        """Wait for what it says; EOFError where it has ended."""
        return self._pipe.recv()

    def ask(self, word: str) -> Any:  # noqa: ANN401 likewise
        """Say something, and wait for what it says."""
        self._pipe.send(word)
        return self.hear()


@contextmanager
def apart(run: Callable[..., None], *arguments: object) -> Iterator[Part]:
    """Start ``run(pipe, *arguments)``; in the end it is given a second, then killed."""
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=run, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Part(ours)
    finally:
        process.join(1)
        process.kill()
        process.join()
        ours.close()
