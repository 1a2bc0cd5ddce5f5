"""RegistrationService in a worker: the writer alone writes and checks PINs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf.descriptor import MethodDescriptor

from disrupt.core.media import LowQuality, MediaKind, columns
from disrupt.core.registrations import MediaItem, Receipt, RejectedItem
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos
from disrupt.server.config import Config
from disrupt.server.edge.handlers import by_name
from disrupt.server.edge.interceptors import Handler
from disrupt.server.edge.receiving import Context
from disrupt.server.edge.shares import Resource, holder
from disrupt.server.worker.relay import Relay
from disrupt.server.worker.state import WorkerState
from disrupt.server.worker.videos import fingerprint, first_part, in_time
from disrupt.v1 import registration_pb2
from disrupt.wire import registration as wire
from disrupt.wire.payloads import WithImage

_REGISTER = "/disrupt.v1.RegistrationService/RegisterHashes"
_SHOW = "/disrupt.v1.RegistrationService/GetCase"


class RelayingRegistrationServicer:
    """Hash what staff register in this process, and relay the hashes; name partner platforms.

    Relay all other calls.
    """

    def __init__(
        self,
        config: Config,
        state: WorkerState,
        relay: Relay,
        hashing: IsolatedHashing,
        videos: IsolatedVideos,
    ) -> None:
        self._state = state
        self._relay = relay
        self._stall_s = config.video_stall_s
        self._hashing = hashing
        self._videos = videos

    def handler(self, method: MethodDescriptor) -> Handler:
        """Return the handler of a call of RegistrationService."""
        return by_name(self)(method) or self._relay.handler(method)

    async def RegisterImage(
        self,
        request: WithImage[registration_pb2.RegisterImageRequest],
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

    async def RegisterVideo(
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

    async def ListPartners(
        self, _request: registration_pb2.ListPartnersRequest, _context: Context
    ) -> registration_pb2.ListPartnersResponse:
        """Name the platforms that have a valid key, and want to be named."""
        ring = self._state.ring
        return wire.partners_answer(ring.partners, ring.day)

    async def _register(
        self, item: MediaItem, asked: registration_pb2.RegistrationContext, context: Context
    ) -> registration_pb2.Receipt:
        relayed = wire.registration_message(asked, item).SerializeToString()
        answer = await self._relay(_REGISTER, relayed, context)
        return registration_pb2.RegisterHashesResponse.FromString(answer).receipt

    async def _rejection(
        self, low_quality: LowQuality, asked: registration_pb2.RegistrationContext, context: Context
    ) -> registration_pb2.Receipt:
        """Return the receipt of media that are rejected, of which nothing is stored."""
        receipt = wire.receipt(
            Receipt("", None, (), (RejectedItem(0, low_quality),), None), cursor=""
        )
        if asked.access.case_number:  # only a caller with the PIN learns anything of a case
            request = wire.case_request(asked.access).SerializeToString()
            answer = await self._relay(_SHOW, request, context)
            case = registration_pb2.GetCaseResponse.FromString(answer).case
            receipt.case_number, receipt.status = case.case_number, case.status
        return receipt
