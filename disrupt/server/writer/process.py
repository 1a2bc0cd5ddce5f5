"""The writer process: it alone writes the registry.

It serves the workers of its machine on a Unix socket, and those of others on the internal listener.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import ParamSpec, TypeVar

import structlog
from grpc import aio
from grpc_health.v1 import health_pb2_grpc

from disrupt import logs
from disrupt.data_directory import DataDirectory
from disrupt.errors import (
    DataDirectoryInUseError,
    DisruptError,
    LeadershipLostError,
)
from disrupt.feed.node import Node, refuse_older
from disrupt.registry import opening
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.server.config import Config
from disrupt.server.desk import Desk, desk_handler
from disrupt.server.edge import internal, methods
from disrupt.server.edge.handlers import add_service, by_name
from disrupt.server.edge.health import Health
from disrupt.server.edge.interceptors import Errors, RelayedCalls
from disrupt.server.edge.internal import InternalCalls, ValidKeys
from disrupt.server.edge.limits import capacities
from disrupt.server.edge.memory import keep_little
from disrupt.server.edge.methods import message_limit
from disrupt.server.edge.part_failure import end_process, forever, vital
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Receiver
from disrupt.server.edge.serving import BEAT_S, tell_of_waiting, until_told_to_stop
from disrupt.server.edge.shares import Admission
from disrupt.server.edge.today import today
from disrupt.server.metrics import families
from disrupt.server.upkeep import maintenance
from disrupt.server.upkeep.following import Following
from disrupt.server.upkeep.storage import LOOK_S, Storage
from disrupt.server.writer import duties
from disrupt.server.writer.audit import COPY_S, AuditKeeper
from disrupt.server.writer.health_checks import STORAGE_CHECK_S, check_storage
from disrupt.server.writer.registration import RegistrationServicer
from disrupt.server.writer.review import ReviewServicer
from disrupt.services.common_bank import CommonBank
from disrupt.services.cursors import SealedCursors
from disrupt.services.live_limits import LiveLimits
from disrupt.services.pins import Pins
from disrupt.services.proofs_of_work import ProofsOfWork
from disrupt.services.quotas import Quota
from disrupt.services.registration import Registrar, RegistrationLimits
from disrupt.services.review import Reviewer
from disrupt.services.throttle import Throttle
from disrupt.services.tokens import MatchTokens
from disrupt.services.turns import Turns
from disrupt.upkeep.erasure import oldest_withdrawn_s
from disrupt.wire import payloads

_THREADS = 4
_QUEUED = 256

_REGISTERING = 2
"""Threads that read and store registrations: one hashes a PIN while the other stores."""

_RELEASE_S = 60.0
"""Pause between two looks for items whose time for a review is over, for cases to erase, and for
what staff have hidden."""
_MIRRORS_S = 10.0
"""Pause between two looks at how late mirrors are."""
_TURN_S = 10.0
"""Pause between two looks for items whose turn it is to go live."""
_CLEAR_LOG_S = 3600.0
"""Pause between two times that the database is cleared of what was erased, and of what is old."""

_ANSWERED_S = 0.1

_LEADERSHIP_S = 0.5
"""Pause between two looks whether this process leads. Another leads once its connection is lost,
and nobody reaches that one while this one listens: its threads may wait for the database."""

_P = ParamSpec("_P")
_T = TypeVar("_T")

_log = structlog.get_logger(__name__)

_REGISTER = "/disrupt.v1.RegistrationService/RegisterHashes"


async def run(config: Config) -> None:
    """Serve until SIGTERM."""
    keep_little()
    directory = DataDirectory(config.data_dir)
    with ExitStack() as stack:
        try:
            registry = stack.enter_context(opening.writing(directory))
        except DataDirectoryInUseError:  # the writer of another machine leads
            _log.info("writer_waits")
            noting = forever(partial(asyncio.to_thread, note_head, directory), STORAGE_CHECK_S)
            waiting = vital("waiting", forever(tell_of_waiting, BEAT_S)), vital("head", noting)
            registry = await asyncio.to_thread(
                stack.enter_context, opening.writing(directory, wait=True)
            )
            for task in waiting:
                task.cancel()
            _log.info("writer_leads")
        refuse_older(registry)
        await _serve(config, directory, registry)


def note_head(directory: DataDirectory) -> None:
    """Note what another machine writes, so that this one would not lead on an older copy of it."""
    with suppress(DisruptError), opening.reading(directory) as registry:
        registry.note_head()


async def _serve(config: Config, directory: DataDirectory, registry: RegistryWriter) -> None:
    """Serve until SIGTERM.

    1. Make what registers: PINs with the throttle that checks them, quotas, limits.
    2. Make the server with its interceptors, and add the services.
    3. Listen on the Unix socket and, where there are other machines, to them; check storage.
    4. Look at storage, and at what is to be compacted, until told to stop.
    """
    logs.name_keys(partial(_name_of, registry))
    secrets = directory.secrets()
    common = CommonBank(registry)
    registrar = _registrar(config, registry, secrets.pepper, common)
    turns = Turns(registry, config.turns_per_h)
    decode = partial(
        payloads.register_hashes,
        items_max=config.max_items_per_registration,
        hashes_max=config.max_hashes_per_registration,
    )
    pool = _LeadersPool("writer", threads=_THREADS, queued=_QUEUED)
    registering = _LeadersPool("register", threads=_REGISTERING, queued=_QUEUED)
    statuses = Health()

    receiver = Receiver(partial(message_limit, config=config), {_REGISTER: bytes})
    admission = Admission(capacities(config))
    cursors = SealedCursors(secrets.match_tokens)
    audit = AuditKeeper(config, registry, directory, pool)
    registration = RegistrationServicer(
        registrar, decode, pool, registering, cursors, audit.receipt
    )
    tokens = MatchTokens(secrets.match_tokens)
    review = ReviewServicer(
        *(Reviewer(registry), common, pool, cursors, tokens),
        partial(oldest_withdrawn_s, registry, directory.index),
        config.erase_within_h * 3600.0,
    )
    desk = partial(desk_handler, Desk(registry, common, config.mirror_disputes_per_day), pool)

    def answering(relayed: RelayedCalls, *first: aio.ServerInterceptor) -> aio.Server:
        errors = Errors(
            receiver, config.max_call_s, config.max_video_call_s, durations=families.WRITES
        )
        server = aio.server(
            interceptors=[*first, relayed, errors], options=internal.options(config)
        )
        add_service(server, methods.REGISTRATION, by_name(registration))
        add_service(server, methods.REVIEW, by_name(review))
        add_service(server, methods.ADMIN, desk)
        health_pb2_grpc.add_HealthServicer_to_server(statuses, server)
        return server

    servers = [answering(RelayedCalls(admission))]
    directory.socket.unlink(missing_ok=True)  # what a killed writer left
    mask = os.umask(0o177)  # the socket is for this user alone
    servers[0].add_insecure_port(directory.socket_address)
    os.umask(mask)
    if config.internal_listen:
        relayed = RelayedCalls(admission, ValidKeys(registry).get)
        first = InternalCalls(internal.MATCH, internal.WRITER_CALLS)
        servers.append(answering(relayed, first))
        internal.listen(servers[1], config)
    storage = partial(check_storage, statuses, registry, (pool, registering))
    await storage()

    disk = Storage(config, registry, registry.uncleared_s)
    queues = {"writes": pool, "registrations": registering}

    def report() -> dict[str, object]:
        for name, queue in queues.items():
            families.WAITING.set(name, value=queue.waiting)
        for of, hashes in registrar.tally.most(today())._asdict().items():
            families.REGISTERED.set(of, value=hashes)
        return {"not_serving": statuses.not_serving(), "erasure_late_s": disk.erasure_late_s}

    tasks = [
        vital("disk", forever(disk.look, LOOK_S)),
        vital("compaction", maintenance.request_compaction(config, registry)),
        vital(
            "releases",
            forever(partial(duties.release_unreviewed, config, registry, pool), _RELEASE_S),
        ),
        vital("narrowings", forever(duties.Narrowings(config, registry, pool).look, _RELEASE_S)),
        vital("turns", forever(partial(duties.give_turns, turns, pool), _TURN_S)),
        vital("erasures", forever(partial(duties.erase_due_cases, registry, pool), _RELEASE_S)),
        vital("hidden", forever(partial(duties.count_hidden, registry, pool), _RELEASE_S)),
        vital("mirrors", forever(partial(duties.show_mirrors, registry, pool, set()), _MIRRORS_S)),
        vital("audit", forever(audit.step, COPY_S)),
        vital("lists", forever(duties.Lists(registry, pool).look, _RELEASE_S)),
        vital("forgetting", forever(partial(duties.forget, registry, pool), _CLEAR_LOG_S)),
        vital("log", forever(partial(duties.clear_log, registry, pool), _CLEAR_LOG_S)),
        vital("storage", forever(storage, STORAGE_CHECK_S)),
        vital("leadership", forever(partial(duties.check_leadership, registry), _LEADERSHIP_S)),
    ]
    if config.role == "all" and directory.registry_url is not None:  # it may be another epoch's
        following = Following(Node(registry, directory, None))
        tasks.append(vital("index", forever(following.step, STORAGE_CHECK_S)))
    await until_told_to_stop(servers, config.drain_grace_s, statuses.stop, report)
    for task in tasks:
        task.cancel()
    directory.socket.unlink(missing_ok=True)


def _name_of(registry: RegistryReader, key_id: str) -> str:
    """Return the name of a key, for the log; empty where it cannot be read."""
    with suppress(DisruptError):
        keys = registry.keys()
        return next((key.name for key in keys if key.key_id == key_id), "")
    return ""


def _registrar(
    config: Config, registry: RegistryWriter, pepper: bytes, common: CommonBank
) -> Registrar:
    """Make what registers, and start the thread that checks PINs."""
    pins = Pins(pepper)
    throttle = Throttle(pins.verify)
    threading.Thread(target=throttle.run, name="pins", daemon=True).start()
    limits = RegistrationLimits(
        items_per_registration=config.max_items_per_registration,
        hashes_per_item=config.max_hashes_per_item,
        items_per_case=config.max_items_per_case,
        hashes_per_registration=config.max_hashes_per_registration,
    )
    quota = Quota(config.max_registered_hashes_per_h)
    live = LiveLimits(config.live_pictures_per_key, config.live_pictures_per_origin)
    proofs = ProofsOfWork(config.proof_attempts)
    parts = (registry, pins, throttle, pepper, limits, quota, live, proofs)
    return Registrar(*parts, common=common)


class _LeadersPool(Pool):
    """Threads of a writer, which ends soon after the leader's lock was lost with its connection."""

    async def run(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run ``function`` in a thread, and return or raise what it does."""
        try:
            return await super().run(function, *args, **kwargs)
        except LeadershipLostError as error:
            # once the call is answered
            asyncio.get_running_loop().call_later(_ANSWERED_S, end_process, "leadership", error)
            raise
