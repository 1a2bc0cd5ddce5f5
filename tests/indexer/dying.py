"""A rebuild that is killed at a given step, in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from disrupt.feed.rebuild import rebuild
from disrupt.registry.sqlite.sql import SqlRegistry

STEPS = ("fsync", "mkdir", "rename", "rmdir", "unlink")
"""The calls that make a generation durable, visible or gone."""


def rebuild_and_die(step: int, data_dir: Path) -> None:
    """Rebuild; SIGKILL takes the place of the ``step``-th of STEPS, counted from 1."""
    left = step

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapped

    with SqlRegistry.open_reader(data_dir / "registry.db") as reader:
        for name in STEPS:
            setattr(os, name, dying(getattr(os, name)))
        rebuild(reader, data_dir / "index")
