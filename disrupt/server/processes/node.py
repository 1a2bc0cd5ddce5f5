"""The node process, in the writer's place on a machine that only answers lookups.

It keeps the list of removals, shows it to writers, and has the index built anew where the registry
was replaced.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from grpc import aio

from disrupt.admin.v1 import removals_pb2_grpc
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.feed.node import Node
from disrupt.feed.removals import RemovalList
from disrupt.registry import opening
from disrupt.registry.contract import RegistryReader
from disrupt.server.admission.limits import MessageLimits
from disrupt.server.admission.receiving import Receiver
from disrupt.server.calls import internal
from disrupt.server.calls.interceptors import Errors
from disrupt.server.calls.internal import InternalCalls
from disrupt.server.calls.removals import CALLS, RemovalsServicer
from disrupt.server.config import Config
from disrupt.server.memory import keep_little
from disrupt.server.metrics import families
from disrupt.server.part_failure import forever, vital
from disrupt.server.processes import maintenance
from disrupt.server.processes.serving import until_told_to_stop
from disrupt.server.processes.storage import LOOK_S, Storage

_RETRY_S = 2.0
"""Pause after a step that failed: the registry cannot be read, or may not be followed."""

_log = structlog.get_logger(__name__)


async def run(config: Config) -> None:
    """Follow and serve until SIGTERM."""
    keep_little()
    directory = DataDirectory(config.data_dir)
    with opening.reading(directory) as reader:
        await _serve(config, directory, reader)


async def _serve(config: Config, directory: DataDirectory, reader: RegistryReader) -> None:
    removals = RemovalList(directory.journal)
    following = Following(Node(reader, directory, removals))
    errors = Errors(
        Receiver(MessageLimits.of(config), {}),
        config.max_call_s,
        config.max_video_call_s,
        durations=families.WRITES,
    )
    server = aio.server(
        interceptors=[InternalCalls(internal.WRITER, CALLS), errors],
        options=internal.options(config),
    )
    removals_pb2_grpc.add_RemovalsServiceServicer_to_server(RemovalsServicer(removals), server)
    internal.listen(server, config)

    disk = Storage(config, reader)

    def report() -> dict[str, object]:
        return {"lag_ms": following.lag_ms(), "erasure_late_s": disk.erasure_late_s}

    tasks = [
        vital("removals", forever(following.step, config.follow_interval_s)),
        vital("disk", forever(disk.look, LOOK_S)),
        vital("compaction", maintenance.request_compaction(config, reader)),
    ]
    await until_told_to_stop([server], config.drain_grace_s, lambda: None, report)
    for task in tasks:
        task.cancel()


class Following:
    """Makes the steps of a Node in threads; logs a fault when it begins."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._fault = ""
        self._level_s = time.monotonic()

    async def step(self) -> None:
        """Follow once. Waits a while where that failed."""
        began_s = time.monotonic()
        try:
            await asyncio.to_thread(self._node.step)
        except (DisruptError, OSError) as error:
            if str(error) != self._fault:
                _log.error("node_fault", reason=str(error))
            self._fault = str(error)
            await asyncio.sleep(_RETRY_S)
        else:
            self._level_s, self._fault = began_s, ""

    def lag_ms(self) -> int:
        """Return an upper bound on the age of the oldest removal that is not listed, in ms."""
        return round(1000 * (time.monotonic() - self._level_s))
