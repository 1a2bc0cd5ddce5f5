"""The mirror process, in the writer's place: it alone writes the registry, from the feed."""

from __future__ import annotations

import os
from functools import partial

from grpc import aio

from disrupt.data_directory import DataDirectory
from disrupt.durable_queue import DurableQueue
from disrupt.feed.mirror import Mirror
from disrupt.feed.node import refuse_older
from disrupt.registry import opening
from disrupt.registry.registry import RegistryWriter
from disrupt.server.config import Config
from disrupt.server.desk import Desk, desk_handler
from disrupt.server.edge import internal, methods
from disrupt.server.edge.handlers import add_service
from disrupt.server.edge.interceptors import Errors, RelayedCalls
from disrupt.server.edge.limits import capacities
from disrupt.server.edge.memory import keep_little
from disrupt.server.edge.methods import message_limit
from disrupt.server.edge.part_failure import forever, vital
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Receiver
from disrupt.server.edge.serving import until_told_to_stop
from disrupt.server.edge.shares import Admission
from disrupt.server.metrics import families
from disrupt.server.mirror.following import POLL_S, REPORT_S, SEND_S, Following
from disrupt.server.mirror.hotline import Hotline
from disrupt.server.upkeep import maintenance
from disrupt.server.upkeep.storage import LOOK_S, Storage
from disrupt.services.common_bank import CommonBank

OUTCOMES_MAX = 100_000
"""Most outcomes that wait for the hotline; the oldest are lost beyond."""

_THREADS = 4
_QUEUED = 256


async def run(config: Config) -> None:
    """Follow the hotline, and answer operators and workers, until SIGTERM."""
    keep_little()
    directory = DataDirectory(config.data_dir)
    with (
        opening.writing(directory) as registry,
        DurableQueue(directory.outcomes, entries_max=OUTCOMES_MAX) as outcomes,
    ):
        refuse_older(registry)
        await _serve(config, directory, registry, outcomes)


async def _serve(
    config: Config, directory: DataDirectory, registry: RegistryWriter, outcomes: DurableQueue
) -> None:
    pool = Pool("mirror", threads=_THREADS, queued=_QUEUED)
    errors = Errors(
        Receiver(partial(message_limit, config=config)),
        config.max_call_s,
        config.max_video_call_s,
        durations=families.WRITES,
    )
    server = aio.server(
        interceptors=[RelayedCalls(Admission(capacities(config))), errors],
        options=internal.options(config),
    )
    desk = Desk(registry, CommonBank(registry), outcomes=outcomes)
    add_service(server, methods.ADMIN, partial(desk_handler, desk, pool))
    directory.socket.unlink(missing_ok=True)  # what a killed one left
    mask = os.umask(0o177)  # the socket is for this user alone
    server.add_insecure_port(directory.socket_address)
    os.umask(mask)

    hotline, disk = Hotline(config), Storage(config, registry)
    following = Following(Mirror(registry, directory.index), hotline, outcomes)

    def report() -> dict[str, object]:
        return {"erasure_late_s": disk.erasure_late_s, **following.report()}

    tasks = [
        vital("feed", forever(following.follow, POLL_S)),
        vital("reports", forever(following.tell, REPORT_S)),
        vital("outcomes", forever(following.send, SEND_S)),
        vital("disk", forever(disk.look, LOOK_S)),
        vital("compaction", maintenance.request_compaction(config, registry)),
    ]
    await until_told_to_stop([server], config.drain_grace_s, lambda: None, report)
    for task in tasks:
        task.cancel()
    await hotline.close()
    directory.socket.unlink(missing_ok=True)
