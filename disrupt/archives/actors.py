"""Do units on a Ray cluster: by actors that open the list by its path, on Ray core alone.

Nothing that is secret goes through Ray: a job is paths and numbers, a unit names files, and
results go to files.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util import ActorPool

from disrupt.archives.running import Job, attempt
from disrupt.errors import DisruptError, UnavailableError

_Unit = TypeVar("_Unit")

_CONNECT_S = 5.0

_TRIES = 3
"""Most attempts to repeat a unit after its actor died, since the unit itself may be the cause."""


class _Actor:
    """Opens a job once, and does units of it in its main thread."""

    def __init__(self, job: Job[Any]) -> None:
        self._job = job
        self._opened = ExitStack()
        self._work: Callable[[Any], None] | None = None

    def do(self, unit: object) -> str:
        """Do a unit, as ``attempt`` does. Opens the job with the first, so that errors are told."""
        if self._work is None:
            self._work = self._opened.enter_context(self._job.open())
        return attempt(self._work, unit)


def run(job: Job[_Unit], units: Sequence[_Unit], address: str) -> Generator[str, None, None]:
    """Do the units on the cluster at ``address``, an actor on each of its processors.

    Yields what ``attempt`` returns when a unit is done. An actor that dies is started again, and
    does its unit anew. UnavailableError where the cluster cannot be used, or a unit kills actors.
    """
    try:
        if address != "auto":  # Ray itself would try for minutes
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), _CONNECT_S).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (RayError, OSError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"The Ray cluster at {address} cannot be used: {error}. It has to run with"
            " RAY_AUTH_MODE=token, and this command needs the same token."
        ) from error
    try:
        processors = int(ray.cluster_resources().get("CPU", 0))
        if not processors:
            raise UnavailableError(f"The Ray cluster at {address} has no processors.")
        actor = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=_TRIES)(_Actor)
        pool = ActorPool([actor.remote(job) for _ in range(min(processors, len(units)))])
        yield from pool.map_unordered(lambda actor, unit: actor.do.remote(unit), units)
    except RayTaskError as error:
        if isinstance(error.cause, DisruptError):
            raise error.cause from error
        raise DisruptError(f"A part failed on the cluster: {error.cause}") from error
    except RayError as error:
        raise UnavailableError(
            f"The Ray cluster failed: {error}. What was done stays: run the same command again."
        ) from error
    finally:
        ray.shutdown()
