"""A restore that is killed at a given step, in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from disrupt.server.restore import restore

STEPS = ("fsync", "mkdir", "rename", "replace", "rmdir", "unlink")
"""The calls that make restored files durable, visible or gone."""


def restore_and_die(step: int, backup: Path, data_dir: Path) -> None:
    """Restore; SIGKILL takes the place of the ``step``-th of STEPS, counted from 1."""
    left = step

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return wrapped

    for name in STEPS:
        setattr(os, name, dying(getattr(os, name)))
    restore(backup, data_dir, accept_unknown_removals=False)
