"""Do units in this process, on all its cores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from disrupt.errors import ArchiveRefusedError

_Unit = TypeVar("_Unit")
_Unit_contra = TypeVar("_Unit_contra", contravariant=True)


class Job(Protocol[_Unit_contra]):
    """Parameters that any process can do units with. Small and picklable."""

    def open(self) -> AbstractContextManager[Callable[[_Unit_contra], None]]:
        """Make ready once; yield a function that does a unit and writes its results."""


def attempt(work: Callable[[_Unit], None], unit: _Unit) -> str:
    """Do a unit; return why its file is refused, or nothing. Other errors end the run."""
    try:
        work(unit)
    except ArchiveRefusedError as error:
        return error.message
    return ""


def run(job: Job[_Unit], units: Sequence[_Unit], threads: int) -> Generator[str, None, None]:
    """Do the units; yield what ``attempt`` returns when one is done.

    With one thread everything happens in the caller's.
    """
    with job.open() as work:
        if threads == 1:
            for unit in units:
                yield attempt(work, unit)
            return
        # Threads, as a search does not hold the GIL: as quick as processes on two cores.
        with ThreadPoolExecutor(threads) as pool:
            try:
                for done in as_completed([pool.submit(attempt, work, unit) for unit in units]):
                    yield done.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
