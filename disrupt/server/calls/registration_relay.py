"""RegistrationService in a worker: relayed to the writer, which alone writes and checks PINs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from disrupt.core.media import LowQuality, MediaKind, columns
from disrupt.core.registrations import MediaItem, Receipt, RejectedItem
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos
from disrupt.server.admission.receiving import Context
from disrupt.server.admission.shares import Resource, holder
from disrupt.server.calls.relaying import Relay
from disrupt.server.calls.videos import fingerprint, first_part, in_time
from disrupt.server.config import Config
from disrupt.v1 import registration_pb2, registration_pb2_grpc
from disrupt.wire import registration as wire
from disrupt.wire.payloads import WithImage


class RelayingServicer(registration_pb2_grpc.RegistrationServiceServicer):
    """Relay the calls of proto/disrupt/v1/registration.proto to the writer."""

    def __init__(
        self,
        config: Config,
        relay: Relay,
        hashing: IsolatedHashing,
        videos: IsolatedVideos,
    ) -> None:
        self._relay = relay
        self._writer = registration_pb2_grpc.RegistrationServiceStub(relay.channel)
        self._register_hashes: Callable[..., Awaitable[registration_pb2.RegisterHashesResponse]] = (
            relay.channel.unary_unary(
                "/disrupt.v1.RegistrationService/RegisterHashes",
                response_deserializer=registration_pb2.RegisterHashesResponse.FromString,
            )
        )
        self._stall_s = config.video_stall_s
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
        with holder.get().holding(Resource.PICTURES):
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
        parts = in_time(parts, self._stall_s)
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
        """Keep a case that is about to be erased."""
        return await self._relay(self._writer.KeepCase, request, context)

    async def GetChallenge(  # noqa: N802 gRPC's name
        self, request: registration_pb2.GetChallengeRequest, context: Context
    ) -> registration_pb2.GetChallengeResponse:
        """Give a challenge, if one is needed."""
        return await self._relay(self._writer.GetChallenge, request, context)
