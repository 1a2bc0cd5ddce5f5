"""A process shows what it takes from the machine, and that it lives when it gets nothing more."""

from __future__ import annotations

import math
import os
import resource
import time
from contextlib import ExitStack
from pathlib import Path

from disrupt.server.metrics import families, gauges
from disrupt.server.metrics.figures import Family

PROCESS = families.worker_row(0)


def shown(family: Family) -> float:
    """Return what a process shows that shows itself now."""
    figures = families.figures_of(1)
    gauges.show_process(figures.row(PROCESS))
    return float(figures.read(family)[figures.rows.index(PROCESS), 0, 0])


def test_open_files_and_memory_are_counted() -> None:
    before = shown(families.OPEN_FILES)
    with ExitStack() as files:
        for _ in range(7):
            files.enter_context(Path("/dev/null").open("rb"))
        assert shown(families.OPEN_FILES) == before + 7
    assert shown(families.OPEN_FILES) == before
    assert 0 < shown(families.MEMORY) < shown(families.ADDRESSES)


def test_limits_are_shown() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert shown(families.OPEN_FILES_MAX) == (math.inf if soft == resource.RLIM_INFINITY else soft)
    figures = families.figures_of(1)
    if not (child := os.fork()):
        resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))
        gauges.show_process(figures.row(PROCESS))
        os._exit(0)
    os.waitpid(child, 0)
    assert figures.read(families.ADDRESSES_MAX).max() == 1 << 40


def test_a_process_that_can_open_no_file_shows_that_it_lives() -> None:
    figures = families.figures_of(1)
    before_s = time.time()
    if not (child := os.fork()):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        gauges.show_process(figures.row(PROCESS))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert figures.read(families.SEEN).max() >= before_s
