"""Work that is killed at a given step, in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from disrupt.operators.restore import restore
from disrupt.registry import sqlite
from disrupt.upkeep.rebuild import rebuild

_STEPS = ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink")
"""The calls that make files durable, visible or gone."""


def ended_at(step: int, work: Callable[..., object], *arguments: object) -> int:
    """Do ``work``, of this module, in another process; return the exit code, 0 if it was done.

    SIGKILL takes the place of the ``step``-th of _STEPS, counted from 1.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_work, args=(step, work, *arguments))
    process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode


def restore_backup(backup: Path, data_dir: Path) -> None:
    """Restore a backup of which all removals since are known."""
    restore(backup, data_dir, accept_unknown_removals=False)


def rebuild_index(data_dir: Path) -> None:
    """Rebuild the index."""
    with sqlite.open_reader(data_dir / "registry.db") as reader:
        rebuild(reader, data_dir / "index")


def _work(step: int, work: Callable[..., object], *arguments: object) -> None:
    left = step

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapped

    for name in _STEPS:
        setattr(os, name, dying(getattr(os, name)))
    work(*arguments)
