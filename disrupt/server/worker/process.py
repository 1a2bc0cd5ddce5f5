"""The worker process: answers lookups and the feed, relays registrations to the writer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from disrupt.core.outcomes import MatchOutcome
from disrupt.data_directory import DataDirectory
from disrupt.errors import ConfigurationError
from disrupt.hashing import ImageLimits
from disrupt.hashing.decoding.videos import VideoLimits
from disrupt.isolation.child import Cause
from disrupt.isolation.picture_process import IsolationLimits
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos, VideoIsolationLimits
from disrupt.registry import opening
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config
from disrupt.server.edge import methods
from disrupt.server.edge.handlers import add_service, by_name
from disrupt.server.edge.health import Health
from disrupt.server.edge.interceptors import Authentication, Errors, Handler
from disrupt.server.edge.limits import Queue, by_delay, capacities
from disrupt.server.edge.memory import keep_little, trim
from disrupt.server.edge.methods import METHODS, message_limit
from disrupt.server.edge.part_failure import forever, vital
from disrupt.server.edge.receiving import Receiver
from disrupt.server.edge.serving import until_told_to_stop
from disrupt.server.edge.shares import Admission, Resource
from disrupt.server.edge.writer_pause import WriterPause
from disrupt.server.metrics import families
from disrupt.server.metrics.certificates import show_expiry
from disrupt.server.worker import draining
from disrupt.server.worker.feed import FeedServicer
from disrupt.server.worker.health_checks import WRITER_CHECK_S, check_index, check_writer
from disrupt.server.worker.key_uses import TELL_S, tell_writer
from disrupt.server.worker.matching import MatchServicer
from disrupt.server.worker.mirrored import of_hotline
from disrupt.server.worker.quotas import LookupQuotas
from disrupt.server.worker.registration import RelayingRegistrationServicer
from disrupt.server.worker.relay import Relay, writer_channel
from disrupt.server.worker.review import RelayingReviewServicer
from disrupt.server.worker.revocation import OpenCalls
from disrupt.server.worker.state import WorkerState
from disrupt.server.worker.upload_counts import HAND_OVER_S, hand_over
from disrupt.services.cursors import SealedCursors
from disrupt.services.keys import KeyRing
from disrupt.services.tokens import MatchTokens

_FRAMES_SHARE = 0.8
"""Share of a picture's processor time that an animation's frames may take, so that lookups end."""

_DECODERS = {path: method.decode for path, method in METHODS.items() if method.decode}

_REFLECTED = (
    *(service.full_name for service in methods.SERVICES),
    health.SERVICE_NAME,
    reflection.SERVICE_NAME,
)

_CONNECTION_CALLS_MAX = 128
"""Calls at once on one connection; gRPC's clients hold more back."""

_LOOKAHEAD_BYTES = 16 * 1024
"""Most bytes of a message that gRPC receives before a call reads it, or of a video's next parts."""

_PING_PAUSE_MS = 1_000
"""Clients of several machines may ask so often whether a connection still works; see the SDK's."""


async def run(config: Config, checked_from: int | None, pause: WriterPause) -> None:
    """Serve until SIGTERM; ``checked_from`` is that of the follower."""
    keep_little()
    directory = DataDirectory(config.data_dir)
    hashing, videos = decoders(config)
    with opening.reading(directory) as reader, _tracing(config) as tracing:
        # started before there is a server, and ready before it serves
        async with hashing, videos:
            await _serve(config, checked_from, pause, directory, reader, hashing, videos, tracing)


def decoders(config: Config) -> tuple[IsolatedHashing, IsolatedVideos]:
    """Return what decodes pictures, and videos, with the limits of the settings; not started."""
    room = capacities(config)
    hashing = IsolatedHashing(
        workers=config.hashing_workers,
        queued=room[Resource.PICTURES] - config.hashing_workers,
        limits=ImageLimits(frames_cpu_s=_FRAMES_SHARE * config.hashing_cpu_s),
        isolation=IsolationLimits(
            memory_bytes=config.hashing_memory_mib * 2**20,
            cpu_s=config.hashing_cpu_s,
            timeout_s=config.max_call_s,
        ),
    )
    videos = IsolatedVideos(
        workers=config.video_workers,
        queued=room[Resource.VIDEOS] - config.video_workers,
        limits=VideoLimits(
            max_bytes=config.max_video_mib * 2**20, max_duration_s=config.max_video_minutes * 60
        ),
        isolation=VideoIsolationLimits(
            memory_bytes=config.video_memory_mib * 2**20,
            cpu_s=config.video_cpu_s,
            stall_s=config.video_stall_s,
        ),
    )
    return hashing, videos


@contextmanager
def _tracing(config: Config) -> Iterator[list[aio.ServerInterceptor]]:
    """Yield the interceptors that make spans of calls: none unless they are switched on."""
    if not config.traces_endpoint:
        yield []
        return
    from disrupt.server.worker import tracing  # noqa: PLC0415 it is of an extra

    with tracing.sending_to(config.traces_endpoint) as tracer:
        yield [tracing.Tracing(tracer)]


async def _serve(
    config: Config,
    checked_from: int | None,
    pause: WriterPause,
    directory: DataDirectory,
    reader: RegistryReader,
    hashing: IsolatedHashing,
    videos: IsolatedVideos,
    tracing: list[aio.ServerInterceptor],
) -> None:
    """Serve until SIGTERM.

    1. Make the parts: the state that follows the registry, admission, and a channel to the writer.
    2. Make the server with its interceptors, and add the services.
    3. Bring index and keys up to date, so that nothing withdrawn matches.
    4. Look at what health reports, then listen.
    5. Follow the registry and health until told to stop.
    """
    is_mirror = config.role == "mirror"
    state = WorkerState(
        reader,
        directory,
        config.follow_interval_s,
        config.stale_closes_s,
        checked_from=checked_from,
        outlives_registry=directory.registry_url is not None,
        mirror_max_age_s=config.mirror_max_age_s if is_mirror else None,
    )
    calls, quotas, statuses = OpenCalls(), LookupQuotas(), Health()
    secret = directory.match_tokens()
    tokens, cursors, channel = MatchTokens(secret), SealedCursors(secret), writer_channel(config)

    admission = Admission(
        capacities(config),
        {
            Resource.PICTURES: by_delay(Resource.PICTURES, hashing, config.hashing_workers),
            Resource.VIDEOS: by_delay(Resource.VIDEOS, videos, config.video_workers),
        },
    )
    server = aio.server(
        interceptors=[
            Authentication(state.authenticate, admission),
            *tracing,
            Errors(
                Receiver(partial(message_limit, config=config), _DECODERS),
                config.max_call_s,
                config.max_video_call_s,
                calls.while_valid,
                calls.while_serving,
            ),
        ],
        options=channel_options(config),
    )
    relay = Relay(channel, pause, config.max_call_s)
    matching = MatchServicer(config, state, relay, tokens, cursors, hashing, videos, quotas)
    registration = RelayingRegistrationServicer(config, state, relay, hashing, videos)
    review = RelayingReviewServicer(relay, matching.matches_any)
    handlers = {
        methods.MATCH: by_name(matching),
        methods.REGISTRATION: registration.handler,
        methods.REVIEW: review.handler,
        methods.FEED: by_name(FeedServicer(config, reader, state, relay, cursors)),
    }
    _add_services(server, handlers, is_mirror=is_mirror)
    health_pb2_grpc.add_HealthServicer_to_server(statuses, server)
    reflection.enable_server_reflection(_REFLECTED, server)

    await asyncio.to_thread(state.read_registry)
    trim()

    async def writer() -> None:
        if not (pause.is_on or is_mirror):
            await check_writer(statuses, channel)

    index = partial(
        check_index,
        *(statuses, state, hashing, config.stale_not_ready_s),
        feeds=not is_mirror,
    )
    await index()  # raises where the registry could not be read
    await writer()
    _listen(server, config)

    tasks = [
        vital("changes", state.follow_changes()),
        vital("keys", state.follow_keys(calls.end_changed, quotas.follow, _show_keys)),
        vital("key uses", forever(partial(tell_writer, state.uses, channel), TELL_S)),
        vital("uploads", forever(partial(hand_over, state.uploads, channel), HAND_OVER_S)),
        vital("freshness", forever(index, config.follow_interval_s)),
        vital("writer's health", forever(writer, WRITER_CHECK_S)),
    ]
    queues: dict[str, Queue] = {"pictures": hashing, "videos": videos, **matching.pools}
    ends = _DecoderEnds(pictures=hashing.deaths, videos=videos.deaths)

    def report() -> dict[str, object]:
        statuses.show()
        admission.show()
        quotas.show()
        ends.show()
        _show(queues)
        return {"not_serving": statuses.not_serving(), **state.report()}

    def stop_streams() -> None:
        statuses.stop()
        calls.end_streams()

    async def drain() -> None:
        _, port = config.address
        draining.close_listeners(port)
        await draining.connections_end(port, draining.longest_s(config.connection_max_age_s))
        stop_streams()
        # calls that began before, such as videos
        await draining.connections_end(port, _longest_call_s(config))

    try:
        await until_told_to_stop([server], config.drain_grace_s, stop_streams, report, drain)
    finally:
        for task in tasks:
            task.cancel()
        await hand_over(state.uploads, channel)
        await channel.close()


def _add_services(
    server: aio.Server,
    handlers: Mapping[ServiceDescriptor, Callable[[MethodDescriptor], Handler | None]],
    *,
    is_mirror: bool,
) -> None:
    """Let a server answer services; a mirror answers MatchService alone, and refuses the others."""
    for service, handler in handlers.items():
        refused = is_mirror and service is not methods.MATCH
        add_service(server, service, of_hotline if refused else handler)


def _show_keys(ring: KeyRing) -> None:
    """Show the names of keys, and what platforms with a valid one have not done yet: at 0."""
    for organisation in ring.platforms:
        families.UPLOADS_LOOKED_UP.show(organisation)
        families.UPLOADS_MATCHED.show(organisation)
        families.PROBING.show(organisation)
        for outcome in MatchOutcome:
            families.OUTCOMES.show(outcome.name.lower(), organisation)
    for key_id, name in ({"": "no key"} | ring.names).items():
        families.KEY_INFO.set(key_id, name, value=1)


def _show(queues: dict[str, Queue]) -> None:
    for name, queue in queues.items():
        families.WAITING.set(name, value=queue.waiting)
        families.WAIT.set(name, value=queue.waiting * queue.pace_s)


class _DecoderEnds:
    """Deaths of decoders, by medium and cause, and how many of them metrics have."""

    def __init__(self, **deaths: Counter[Cause]) -> None:
        self._deaths = deaths
        self._counted: Counter[tuple[str, Cause]] = Counter()

    def show(self) -> None:
        """Count those that are new."""
        for medium, deaths in self._deaths.items():
            for cause in Cause:
                new = deaths[cause] - self._counted[medium, cause]
                families.DECODER_ENDS.add(medium, cause.value, amount=new)
                self._counted[medium, cause] += new


def _longest_call_s(config: Config) -> float:
    return max(config.max_call_s, config.max_video_call_s)


def channel_options(config: Config) -> list[tuple[str, int]]:
    """Return gRPC's options for the server of a worker."""
    age_ms = round(config.connection_max_age_s * 1000)
    grace_ms = round(_longest_call_s(config) * 1000)
    return [
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_connection_age_ms", age_ms),
        ("grpc.max_connection_age_grace_ms", grace_ms),
        ("grpc.max_concurrent_streams", _CONNECTION_CALLS_MAX),
        # none: gRPC would inflate messages before any limit of theirs holds
        ("grpc.compression_enabled_algorithms_bitset", 1),
        # without the probe, which would enlarge it
        ("grpc.http2.lookahead_bytes", _LOOKAHEAD_BYTES),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_PAUSE_MS),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _listen(server: aio.Server, config: Config) -> None:
    try:
        if config.tls_cert is None or config.tls_key is None:
            server.add_insecure_port(config.listen)
            return
        pair = (config.tls_key.read_bytes(), config.tls_cert.read_bytes())
        show_expiry(pair[1])
        server.add_secure_port(config.listen, grpc.ssl_server_credentials([pair]))
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"Cannot listen on {config.listen}: check listen, tls_cert and tls_key ({error})."
        ) from error
