"""Calls that a worker relays to the writer, which alone writes and checks PINs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from disrupt.core.media import LowQuality, MediaKind, columns
from disrupt.core.organisations import Kind
from disrupt.core.registrations import MediaItem, Receipt, RejectedItem
from disrupt.errors import UnavailableError
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos
from disrupt.server.admission.receiving import Context
from disrupt.server.admission.shares import Resource, holder
from disrupt.server.calls.interceptors import RelayedError, allowed_s, caller
from disrupt.server.calls.videos import fingerprint, first_part
from disrupt.server.config import Config
from disrupt.v1 import registration_pb2, registration_pb2_grpc
from disrupt.wire import registration as wire
from disrupt.wire.payloads import WithImage

CALLER_KEY = "disrupt-key-id"
"""Metadata entry with the id of the key whose call a worker relays to the writer."""


_TURNED_AWAY_S = 2.0
"""Whoever the writer turns away waits so long for that answer: asking costs it more than this."""

_STARTS_S = 5.0
"""Longest wait for a writer that is being started anew; on a busy machine it may take longer."""

_NO_WRITER = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}

_Response = TypeVar("_Response", bound=Message)


def writer_channel(address: str, max_message_bytes: int) -> aio.Channel:
    """Return a channel to the writer, which reconnects soon after the writer restarts."""
    return aio.insecure_channel(
        address,
        options=[
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.default_authority", "writer"),
            ("grpc.enable_http_proxy", 0),
        ],
    )


def relayed_for(context: Context) -> str:
    """Return, in the writer, the id of the key whose call a worker relays."""
    # the stubs do not know that the pairs can be unpacked
    pairs: Any = context.invocation_metadata() or ()
    return next((value for name, value in pairs if name == CALLER_KEY), "")


class Relay:
    """Make a call of the writer for the caller of the call that is being answered."""

    def __init__(self, writer: aio.Channel, max_call_s: float) -> None:
        self._channel = writer
        self._max_call_s = max_call_s

    async def __call__(
        self, call: Callable[..., Awaitable[_Response]], request: Message | bytes, context: Context
    ) -> _Response:
        """Return the writer's answer. Raises RelayedError, or UnavailableError without it."""
        metadata = ((CALLER_KEY, caller.get().key_id),)
        by = holder.get()
        size = len(request) if isinstance(request, bytes) else request.ByteSize()
        timeout_s = allowed_s(context, self._max_call_s)
        try:
            with by.holding(Resource.WRITES), by.holding(Resource.WRITTEN_BYTES, size):
                timeout_s -= await self._connected(timeout_s / 2)
                return await call(request, timeout=timeout_s, metadata=metadata)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                # nothing is held meanwhile but the call itself
                await asyncio.sleep(min(_TURNED_AWAY_S, timeout_s / 4))
            raise _given_back(error) from None

    async def _connected(self, within_s: float) -> float:
        """Wait for a writer that is being started anew; return for how long that was."""
        if self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY:
            return 0.0
        began_s = time.monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._channel.channel_ready(), min(within_s, _STARTS_S))
        return time.monotonic() - began_s


class RelayingServicer(registration_pb2_grpc.RegistrationServiceServicer):
    """Relay the calls of proto/disrupt/v1/registration.proto to the writer."""

    def __init__(
        self,
        config: Config,
        channel: aio.Channel,
        hashing: IsolatedHashing,
        videos: IsolatedVideos,
    ) -> None:
        self._writer = registration_pb2_grpc.RegistrationServiceStub(channel)
        self._register_hashes: Callable[..., Awaitable[registration_pb2.RegisterHashesResponse]] = (
            channel.unary_unary(
                "/disrupt.v1.RegistrationService/RegisterHashes",
                response_deserializer=registration_pb2.RegisterHashesResponse.FromString,
            )
        )
        self._relay = Relay(channel, config.max_call_s)
        self._hashing = hashing
        self._videos = videos

    async def RegisterHashes(  # noqa: N802 gRPC's name
        self,
        request: bytes,  # type: ignore[override]  # the writer decodes it
        context: Context,
    ) -> registration_pb2.RegisterHashesResponse:
        """Register media items hashed on the person's own device."""
        return await self._relay(self._register_hashes, request, context)

    async def RegisterImage(  # noqa: N802 gRPC's name
        self,
        request: WithImage[registration_pb2.RegisterImageRequest],  # type: ignore[override]  # see worker
        context: Context,
    ) -> registration_pb2.RegisterImageResponse:
        """Hash one picture in memory and register it; for staff."""
        asked = request.message.context
        wire.context(asked)  # raises, so that what is refused anyway is not decoded
        by = holder.get()
        by.check_quota(Kind.PICTURES)
        with by.holding(Resource.PICTURES):
            by.charge(Kind.PICTURES, 1)
            fingerprinted = await self._hashing.fingerprint_image(
                request.image, every_frame=request.message.every_frame
            )
        if isinstance(fingerprinted, LowQuality):
            return wire.image_answer(await self._rejection(fingerprinted, asked, context))
        item = MediaItem(fingerprinted.kind, columns(fingerprinted.fingerprints))
        return wire.image_answer(await self._register(item, asked, context))

    async def RegisterVideo(  # noqa: N802 gRPC's name
        self, parts: AsyncIterator[registration_pb2.RegisterVideoRequest], context: Context
    ) -> registration_pb2.RegisterVideoResponse:
        """Hash one video in memory, while it comes in, and register it; for staff."""
        asked = (await first_part(parts, "context")).context
        wire.context(asked)
        fingerprinted = await fingerprint(self._videos, parts)
        if isinstance(fingerprinted, LowQuality):
            return wire.video_answer(await self._rejection(fingerprinted, asked, context))
        item = MediaItem(MediaKind.VIDEO, fingerprinted.fingerprints)
        receipt = await self._register(item, asked, context)
        return wire.video_answer(
            receipt,
            frames_hashed=fingerprinted.frames,
            frames_low_quality=fingerprinted.low_quality,
            incomplete=fingerprinted.incomplete,
        )

    async def _register(
        self, item: MediaItem, asked: registration_pb2.RegistrationContext, context: Context
    ) -> registration_pb2.Receipt:
        relayed = wire.registration_message(asked, item).SerializeToString()
        return (await self._relay(self._register_hashes, relayed, context)).receipt

    async def _rejection(
        self, low_quality: LowQuality, asked: registration_pb2.RegistrationContext, context: Context
    ) -> registration_pb2.Receipt:
        """Return the receipt of media that are rejected, of which nothing is stored."""
        receipt = wire.receipt(
            Receipt("", None, (), (RejectedItem(0, low_quality),), None), cursor=""
        )
        if asked.access.case_number:  # only a caller with the PIN learns anything of a case
            request = wire.case_request(asked.access)
            case = (await self._relay(self._writer.GetCase, request, context)).case
            receipt.case_number, receipt.status = case.case_number, case.status
        return receipt

    async def GetCase(  # noqa: N802 gRPC's name
        self, request: registration_pb2.GetCaseRequest, context: Context
    ) -> registration_pb2.GetCaseResponse:
        """Show a case."""
        return await self._relay(self._writer.GetCase, request, context)

    async def WithdrawItems(  # noqa: N802 gRPC's name
        self, request: registration_pb2.WithdrawItemsRequest, context: Context
    ) -> registration_pb2.WithdrawItemsResponse:
        """Withdraw some items of a case."""
        return await self._relay(self._writer.WithdrawItems, request, context)

    async def WithdrawCase(  # noqa: N802 gRPC's name
        self, request: registration_pb2.WithdrawCaseRequest, context: Context
    ) -> registration_pb2.WithdrawCaseResponse:
        """Withdraw a whole case."""
        return await self._relay(self._writer.WithdrawCase, request, context)

    async def KeepCase(  # noqa: N802 gRPC's name
        self, request: registration_pb2.KeepCaseRequest, context: Context
    ) -> registration_pb2.KeepCaseResponse:
        """Keep a case that staff were asked to erase."""
        return await self._relay(self._writer.KeepCase, request, context)


def _given_back(error: aio.AioRpcError) -> Exception:
    """Return the writer's own error, or UnavailableError if there is no writer now."""
    relayed = RelayedError(error)
    if relayed.details or relayed.code not in _NO_WRITER:
        return relayed
    return UnavailableError(
        "This call cannot be answered just now. Try again in a moment.", retry_after_s=1.0
    )
