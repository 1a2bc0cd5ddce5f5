"""The node process, in the writer's place on a machine that only answers lookups.

It keeps the list of removals, shows it to writers, and has the index built anew where the registry
was replaced.
"""

from __future__ import annotations

from functools import partial

from grpc import aio

from disrupt.data_directory import DataDirectory
from disrupt.feed.node import Node
from disrupt.feed.removals import RemovalList
from disrupt.registry import opening
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config
from disrupt.server.edge import internal
from disrupt.server.edge.handlers import add_service, by_name
from disrupt.server.edge.interceptors import Errors
from disrupt.server.edge.internal import InternalCalls
from disrupt.server.edge.memory import keep_little
from disrupt.server.edge.methods import message_limit
from disrupt.server.edge.part_failure import forever, vital
from disrupt.server.edge.receiving import Receiver
from disrupt.server.edge.serving import until_told_to_stop
from disrupt.server.metrics import families
from disrupt.server.node.removals import SERVICE, RemovalsServicer
from disrupt.server.upkeep import maintenance
from disrupt.server.upkeep.following import Following
from disrupt.server.upkeep.storage import LOOK_S, Storage


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
        Receiver(partial(message_limit, config=config)),
        config.max_call_s,
        config.max_video_call_s,
        durations=families.WRITES,
    )
    server = aio.server(
        interceptors=[InternalCalls(internal.WRITER, (f"/{SERVICE.full_name}/",)), errors],
        options=internal.options(config),
    )
    add_service(server, SERVICE, by_name(RemovalsServicer(removals, reader, directory.index)))
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
