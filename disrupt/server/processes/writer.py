"""The writer process: it alone writes the registry, and serves the workers on a Unix socket."""

from __future__ import annotations

import os
import threading
from functools import partial

from grpc import aio
from grpc_health.v1 import health_pb2_grpc

from disrupt.admin.v1 import admin_pb2_grpc
from disrupt.core.waiting import ReportPolicy
from disrupt.data_directory import DataDirectory
from disrupt.registry import opening
from disrupt.registry.contract import RegistryWriter
from disrupt.server.admission.limits import MessageLimits
from disrupt.server.admission.pool import Pool
from disrupt.server.admission.receiving import Receiver
from disrupt.server.calls.administration import AdminServicer
from disrupt.server.calls.erasing import ERASE_LOOK_S, ErasureServicer, erase_due_cases
from disrupt.server.calls.health import STORAGE_LOOK_S, Health, look_at_storage
from disrupt.server.calls.interceptors import Errors
from disrupt.server.calls.registration import RegistrationServicer
from disrupt.server.calls.reporting import ReportingServicer
from disrupt.server.calls.review import ReviewServicer
from disrupt.server.config import Config
from disrupt.server.memory import keep_little
from disrupt.server.metrics import gauges
from disrupt.server.metrics.figures import Row
from disrupt.server.processes import housekeeping
from disrupt.server.processes.serving import until_told_to_stop
from disrupt.server.supervision import forever, vital
from disrupt.server.upkeep.administration import InRegistry
from disrupt.server.upkeep.review_limit import RELEASE_LOOK_S, release_overdue
from disrupt.services.case_erasures import CaseErasures
from disrupt.services.cursors import SealedCursors
from disrupt.services.door import Door, DoorLimits
from disrupt.services.far_lookups import FarLookups
from disrupt.services.pins import Pins
from disrupt.services.quotas import Quota
from disrupt.services.registration import Registrar, RegistrationLimits
from disrupt.services.reports import Reports
from disrupt.services.review import Review
from disrupt.services.throttle import Throttle
from disrupt.services.tokens import MatchTokens
from disrupt.v1 import erasure_pb2_grpc, match_pb2_grpc, registration_pb2_grpc, review_pb2_grpc
from disrupt.wire import payloads

_THREADS = 4
_QUEUED = 256

_NICENESS = 5
"""Lets workers go first on a busy machine, so that guesses of PINs take little from lookups.

The writer has about a quarter of a processor even then.
"""

_REGISTERING = 2
"""Threads that read and store registrations: one hashes a PIN while the other stores."""

_REGISTER = "/disrupt.v1.RegistrationService/RegisterHashes"


async def run(config: Config, row: Row) -> None:
    """Serve until SIGTERM."""
    os.nice(_NICENESS)
    keep_little()
    directory = DataDirectory(config.data_dir)
    with opening.writing(directory) as registry:
        await _serve(config, directory, registry, row)


async def _serve(
    config: Config, directory: DataDirectory, registry: RegistryWriter, row: Row
) -> None:
    secrets = directory.secrets()
    pepper = secrets.pepper
    limits = RegistrationLimits(
        items_per_registration=config.max_items_per_registration,
        hashes_per_item=config.max_hashes_per_item,
        items_per_case=config.max_items_per_case,
        hashes_per_registration=config.max_hashes_per_registration,
    )
    pins = Pins(pepper)
    throttle = Throttle(pins.verify)
    threading.Thread(target=throttle.run, name="pins", daemon=True).start()
    quota = Quota(config.max_registered_hashes_per_h)
    door = Door(registry, DoorLimits(config.flood_items_per_h, config.negative_bits))
    registrar = Registrar(registry, pins, throttle, pepper, limits, quota, door)
    reports = Reports(
        registry,
        MatchTokens(secrets.match_tokens),
        ReportPolicy(config.hide_organisations, config.hide_beyond_bits),
    )
    decode = partial(
        payloads.register_hashes,
        items_max=config.max_items_per_registration,
        hashes_max=config.max_hashes_per_registration,
    )
    receiver = Receiver(MessageLimits.of(config), {_REGISTER: bytes})
    pool = Pool("writer", threads=_THREADS, queued=_QUEUED)
    registering = Pool("register", threads=_REGISTERING, queued=_QUEUED)
    review = Review(registry, secrets.match_tokens)
    erasures = CaseErasures(registry, review.case_handle)
    server = aio.server(
        interceptors=[Errors(receiver, config.max_call_s, config.max_video_call_s)],
        options=[("grpc.max_receive_message_length", config.max_message_bytes)],
    )
    registration_pb2_grpc.add_RegistrationServiceServicer_to_server(
        RegistrationServicer(
            registrar, erasures, decode, pool, registering, SealedCursors(secrets.match_tokens)
        ),
        server,
    )
    erasure_pb2_grpc.add_ErasureServiceServicer_to_server(ErasureServicer(erasures, pool), server)
    match_pb2_grpc.add_MatchServiceServicer_to_server(
        ReportingServicer(reports, pool),  # type: ignore[abstract]  # workers answer other calls
        server,
    )
    lookups = FarLookups(registry, config.lookup_policy)
    review_pb2_grpc.add_ReviewServiceServicer_to_server(ReviewServicer(review, pool), server)
    admin_pb2_grpc.add_AdminServiceServicer_to_server(
        AdminServicer(InRegistry(registry), pool, lookups, door.refresh), server
    )
    statuses = Health()
    health_pb2_grpc.add_HealthServicer_to_server(statuses.servicer, server)
    directory.socket.unlink(missing_ok=True)  # what a killed writer left
    mask = os.umask(0o177)  # the socket is for this user alone
    server.add_insecure_port(directory.socket_address)
    os.umask(mask)
    storage = partial(look_at_storage, statuses, registry, (pool, registering))
    await storage()
    release = partial(release_overdue, registry, config.review_within_h)
    await erase_due_cases(erasures, pool)  # after a restore, sets the days that cases show
    tasks = [
        vital("compaction", housekeeping.watch(config, registry)),
        vital("storage", forever(storage, STORAGE_LOOK_S)),
        vital("gauges", forever(partial(gauges.show_life, row), gauges.SHOW_S)),
        vital("review limit", forever(release, RELEASE_LOOK_S)),
        vital("case erasures", forever(partial(erase_due_cases, erasures, pool), ERASE_LOOK_S)),
    ]
    await until_told_to_stop(
        server, config.drain_grace_s, statuses.servicer.enter_graceful_shutdown
    )
    for task in tasks:
        task.cancel()
    directory.socket.unlink(missing_ok=True)
