"""The worker process: answers lookups and the feed, relays registrations to the writer."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import cast

from grpc import aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from disrupt.data_directory import DataDirectory
from disrupt.hashing import ImageLimits
from disrupt.hashing.decoding.videos import VideoLimits
from disrupt.isolation.picture_process import IsolationLimits
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos, VideoIsolationLimits
from disrupt.registry import opening
from disrupt.registry.contract import RegistryReader
from disrupt.server import rights
from disrupt.server.admission.header_blocks import HeaderBlocks
from disrupt.server.admission.limits import (
    CONNECTION_CALLS_MAX,
    CONNECTIONS_MAX,
    FRAMES_MAX,
    LOOKAHEAD_BYTES,
    PENDING_CALLS_MAX,
    UNADMITTED_CALLS_MAX,
    MessageLimits,
    capacities,
    rates,
)
from disrupt.server.admission.receipts import Receipts
from disrupt.server.admission.receiving import Decode, Receiver
from disrupt.server.admission.refusals import Refusals
from disrupt.server.admission.shares import Admission, Board, Resource
from disrupt.server.admission.sockets import Sockets, bound, most_connections
from disrupt.server.admission.unadmitted import Unadmitted
from disrupt.server.calls import far_lookups
from disrupt.server.calls import key_uses as key_uses_calls
from disrupt.server.calls.erasing import RelayingErasureServicer
from disrupt.server.calls.feed import FeedServicer
from disrupt.server.calls.health import WRITER_LOOK_S, Health, look_at_index, look_at_writer
from disrupt.server.calls.interceptors import Authentication, Errors
from disrupt.server.calls.matching import MatchServicer
from disrupt.server.calls.relay import Relay, RelayingServicer, writer_channel
from disrupt.server.calls.review import RelayingReviewServicer
from disrupt.server.calls.revocation import OpenCalls
from disrupt.server.config import Config
from disrupt.server.following import Following
from disrupt.server.memory import keep_little, trim
from disrupt.server.metrics import families, gauges
from disrupt.server.metrics.counting import Counting
from disrupt.server.metrics.figures import Row
from disrupt.server.processes import listeners
from disrupt.server.processes.serving import OneQueue, until_told_to_stop
from disrupt.server.supervision import forever, vital
from disrupt.services.cursors import SealedCursors
from disrupt.services.far_lookups import SeenLookups
from disrupt.services.keys import KeyRing
from disrupt.v1.erasure_pb2_grpc import add_ErasureServiceServicer_to_server
from disrupt.v1.feed_pb2_grpc import add_FeedServiceServicer_to_server
from disrupt.v1.match_pb2_grpc import add_MatchServiceServicer_to_server
from disrupt.v1.registration_pb2_grpc import add_RegistrationServiceServicer_to_server
from disrupt.v1.review_pb2_grpc import add_ReviewServiceServicer_to_server
from disrupt.wire import payloads

_FRAMES_SHARE = 0.8
"""Share of a picture's processor time that an animation's frames may take, so that lookups end."""

_DECODERS: dict[str, Decode] = {
    "/disrupt.v1.MatchService/MatchImage": payloads.match_image,
    "/disrupt.v1.MatchService/MatchVideo": partial(payloads.match_video, hashes_max=FRAMES_MAX),
    "/disrupt.v1.RegistrationService/RegisterImage": payloads.register_image,
    "/disrupt.v1.RegistrationService/RegisterHashes": bytes,  # the writer decodes it
}

_HANDSHAKE_MS = 10_000
"""Time for TLS and HTTP/2's first frames; gRPC's own limit is two minutes."""

_SETTINGS_MS = 10_000
"""Time for a peer to acknowledge the server's settings; gRPC's own limit is a minute."""

_MORE_CALLS = 2 * UNADMITTED_CALLS_MAX
"""Places for calls beside admitted ones. Half of them are for calls whose connection was shut down
a moment ago."""

_CONNECTIONS_LOOK_S = 0.25
"""Connections that come meanwhile may fill the table of descriptors for so long."""


async def run(config: Config, board: Board, row: int, sketch_secret: bytes, figures: Row) -> None:
    """Serve until SIGTERM; ``row`` of the board, and ``figures``, are this worker's.

    ``sketch_secret``, 32 random bytes, is the same in all workers, and on no disk.
    """
    keep_little()
    directory = DataDirectory(config.data_dir)
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
        died=partial(figures.add, families.DECODER_ENDS, "pictures"),
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
        died=partial(figures.add, families.DECODER_ENDS, "videos"),
    )
    with opening.reading(directory) as reader:
        # started before there is a server, and ready before it serves
        async with hashing, videos:
            seen = SeenLookups(sketch_secret, config.lookup_policy)
            following = Following(
                reader, directory, config.follow_interval_s, config.stale_closes_s, seen
            )
            await _serve(
                config, directory, reader, hashing, videos, (board, row), following, figures
            )


async def _serve(
    config: Config,
    directory: DataDirectory,
    reader: RegistryReader,
    hashing: IsolatedHashing,
    videos: IsolatedVideos,
    counted_in: tuple[Board, int],
    following: Following,
    figures: Row,
) -> None:
    rights.check(rights.SERVICES)
    counting = Counting(figures, config.logged_calls_share)
    admission = Admission(
        *counted_in,
        capacities(config),
        following.number_of,
        following.organisation,
        rates(config),
        counts=counting,
    )
    receipts = Receipts(admission)
    other_bytes = admission.capacities[Resource.VIDEO_BYTES]
    header_blocks = HeaderBlocks(receipts, config.max_message_bytes, other_bytes)
    calls = OpenCalls()
    unadmitted, refusals = Unadmitted(Sockets().shut), Refusals(Sockets().shut)
    statuses = Health()
    server = aio.server(
        interceptors=[
            Authentication(
                following.authenticate, admission, unadmitted, refusals, receipts, counting.called
            ),
            Errors(
                Receiver(MessageLimits.of(config), _DECODERS, receipts),
                config.max_call_s,
                config.max_video_call_s,
                calls.while_valid,
                unadmitted,
                refusals,
                counting.called,
            ),
        ],
        options=_options(config),
        maximum_concurrent_rpcs=config.max_concurrent_calls + _MORE_CALLS,
    )
    secret = directory.secrets().match_tokens
    channel = writer_channel(directory.socket_address, config.max_message_bytes)
    services = cast("aio.Server", OneQueue(server))
    add_MatchServiceServicer_to_server(
        MatchServicer(config, following, secret, hashing, videos, channel, counting),
        services,
    )
    add_RegistrationServiceServicer_to_server(
        RelayingServicer(config, channel, hashing, videos), services
    )
    add_ErasureServiceServicer_to_server(
        RelayingErasureServicer(channel, Relay(channel, config.max_call_s)), services
    )
    add_FeedServiceServicer_to_server(
        FeedServicer(reader, following, SealedCursors(secret)), services
    )
    add_ReviewServiceServicer_to_server(
        RelayingReviewServicer(config.max_call_s, channel), services
    )
    health_pb2_grpc.add_HealthServicer_to_server(statuses.servicer, services)
    names = [service.full_name for service in rights.SERVICES]
    reflected = [*names, health.SERVICE_NAME, reflection.SERVICE_NAME]
    add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
        reflection.aio.ReflectionServicer(reflected), services
    )

    # Calls are answered once index and keys are up to date, so that nothing withdrawn matches.
    await asyncio.to_thread(following.look)
    trim()
    index = partial(look_at_index, statuses, following, hashing, config.stale_not_ready_s)
    writer = partial(look_at_writer, statuses, channel)
    key_uses = partial(key_uses_calls.tell_writer, following.uses, channel)
    lookups = partial(far_lookups.tell_writer, following.seen, channel)
    await index()  # raises where the registry could not be read
    await writer()
    listeners.listen(server, config)
    header_blocks.start()
    shown = partial(gauges.show_worker, figures, following, admission, statuses, hashing, videos)
    connections = partial(asyncio.to_thread, bound, most_connections(CONNECTIONS_MAX))
    tasks = [
        vital("changes", following.follow_changes()),
        vital("keys", following.follow_keys(partial(_follow_keys, calls, admission))),
        vital("key uses", forever(key_uses, key_uses_calls.TELL_S)),
        vital("far lookups", forever(lookups, far_lookups.TELL_S)),
        vital("freshness", forever(index, config.follow_interval_s)),
        vital("writer's health", forever(writer, WRITER_LOOK_S)),
        vital("gauges", forever(shown, gauges.SHOW_S)),
        vital("receipts", receipts.watch()),
        vital("refusals", refusals.watch()),
        vital("connections", forever(connections, _CONNECTIONS_LOOK_S)),
    ]
    try:
        drain = statuses.servicer.enter_graceful_shutdown
        await until_told_to_stop(server, config.drain_grace_s, drain)
    finally:
        for task in tasks:
            task.cancel()
        await channel.close()


def _options(config: Config) -> list[tuple[str, int]]:
    age_ms = round(config.connection_max_age_s * 1000)
    grace_ms = round(max(config.max_call_s, config.max_video_call_s) * 1000)
    return [
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_connection_age_ms", age_ms),
        ("grpc.max_concurrent_streams", CONNECTION_CALLS_MAX),
        ("grpc.server.max_pending_requests", PENDING_CALLS_MAX),
        ("grpc.server.max_pending_requests_hard_limit", 2 * PENDING_CALLS_MAX),
        ("grpc.max_connection_age_grace_ms", grace_ms),
        # none: gRPC would inflate messages before any limit of theirs holds
        ("grpc.compression_enabled_algorithms_bitset", 1),
        # without the probe, which would enlarge it
        ("grpc.http2.lookahead_bytes", LOOKAHEAD_BYTES),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
        # A peer that acknowledges no settings may send longer headers than these allow.
        ("grpc.http2.settings_timeout", _SETTINGS_MS),
    ]


def _follow_keys(calls: OpenCalls, admission: Admission, ring: KeyRing) -> None:
    """Take up what was read of keys and organisations."""
    calls.end_refused(ring)
    admission.refresh()
