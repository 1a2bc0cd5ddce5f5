"""MatchService beside the platform: pictures and videos are hashed here, and only hashes go on."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.door.answers import image_response
from disrupt.door.bodies import BODY_S
from disrupt.door.matching import Matching
from disrupt.errors import (
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
    UnauthenticatedError,
    Violation,
)
from disrupt.hashing.decoding.pictures import DEFAULT_LIMITS
from disrupt.http_server import in_time
from disrupt.v1 import match_pb2
from disrupt.wire.errors import status

SERVICE = match_pb2.DESCRIPTOR.services_by_name["MatchService"]

_MESSAGE_BYTES_MAX = DEFAULT_LIMITS.max_bytes + (1 << 20)
_VIDEO_S = 600.0
_FRAMES_BYTES_MAX = 16 << 20
"""Most bytes of frames that a caller hashed; the hotline takes some 6 MiB."""
_CALLS_MAX = 64
"""Calls at once, each of which may hold a picture in memory; one more is RESOURCE_EXHAUSTED."""

UNKNOWN = (
    "The door does not know this token: send one of its own, as `authorization: Bearer TOKEN`, not"
    " the hotline's key."
)

_TOKEN = "authorization"  # noqa: S105 a header
Context: TypeAlias = "aio.ServicerContext[Any, Any]"

_log = structlog.get_logger(__name__)


class MatchServicer:
    """Answer the calls of proto/disrupt/v1/match.proto, by a hotline's server."""

    def __init__(self, matching: Matching) -> None:
        self._room = matching.room
        self._uploads = matching.uploads
        self._hotline = matching.hotline
        self._metrics = matching.metrics

    async def MatchImage(self, context: Context) -> match_pb2.MatchImageResponse:
        """Hash a picture here, and look it up by its hashes."""
        options = match_pb2.MatchOptions()
        with self._room.place():
            picture = _taken(await _first(context), options)
            query = await self._uploads.picture(picture, _effort(options.effort))
        if isinstance(query, LowQuality):
            self._metrics.lookups.labels("grpc", "LOW_QUALITY").inc()
        return image_response(await self._hotline.picture(query, options))

    async def MatchVideo(self, context: Context) -> match_pb2.MatchVideoResponse:
        """Hash a video here while it comes in, and look its frames up; pass frames on."""
        first: match_pb2.MatchVideoRequest = await _first(context)
        if first.WhichOneof("part") != "options":
            raise _invalid("send the options first, then the video in chunks, or frames")
        second: match_pb2.MatchVideoRequest = await _first(context)
        if second.WhichOneof("part") == "frames":
            with self._room.place():
                parts = [first, second, *[part async for part in _frames(context)]]
                return await self._hotline.video(parts, _left_s(context, _VIDEO_S))
        effort = _effort(first.options.options.effort)
        interval_ms = first.options.sample_interval_ms or 1000
        with self._room.place():
            video = await self._uploads.video(_chunks(context, second), effort, interval_ms)
        return await self._hotline.frames(video, first, _left_s(context, _VIDEO_S))

    def answering(self, method: MethodDescriptor) -> Callable[[Context], Awaitable[Any]]:
        """Return what answers a method: one of the above, or the hotline itself."""
        by_hashing: Callable[[Context], Awaitable[Any]] | None
        by_hashing = getattr(self, method.name, None)
        return by_hashing or partial(self._pass_on, method.name)

    async def _pass_on(self, method: str, context: Context) -> Any:  # noqa: ANN401 the method's response
        return await self._hotline.pass_on(method, await _first(context), _left_s(context))


def grpc_server(servicer: MatchServicer, is_known: Callable[[str], bool] | None) -> aio.Server:
    """Return a server of MatchService; ``is_known`` tells a caller's token, None lets all in."""
    server = aio.server(
        interceptors=[_Callers(is_known)] if is_known else [],
        maximum_concurrent_rpcs=_CALLS_MAX,
        options=[
            ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
            # none: gRPC would inflate messages before any limit of theirs holds
            ("grpc.compression_enabled_algorithms_bitset", 1),
        ],
    )
    handlers = {
        method.name: _handler(method, servicer.answering(method)) for method in SERVICE.methods
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),)
    )
    return server


class _Callers(aio.ServerInterceptor):
    """Lets callers with a token in, before their message is read."""

    def __init__(self, is_known: Callable[[str], bool]) -> None:
        self._is_known = is_known

    async def intercept_service(self, continuation: Any, details: Any) -> Any:  # noqa: ANN401 gRPC's own
        """Implement aio.ServerInterceptor."""
        named = (str(value) for name, value in details.invocation_metadata if name == _TOKEN)
        if self._is_known(next(named, "").removeprefix("Bearer ")):
            return await continuation(details)

        async def refuse(_request: object, context: Context) -> None:
            await _abort(context, status(UnauthenticatedError(UNKNOWN)))

        # a streaming one, for which gRPC reads no message
        return grpc.stream_stream_rpc_method_handler(refuse)


def _handler(
    method: MethodDescriptor, answer: Callable[[Context], Awaitable[Any]]
) -> grpc.RpcMethodHandler[Any, Any]:
    async def answered(_parts: object, context: Context) -> Any:  # noqa: ANN401 the method's response
        try:
            return await answer(context)
        except DisruptError as error:
            refused = status(error)
        except Exception as error:  # noqa: BLE001 answered without a detail
            frames = traceback.format_tb(error.__traceback__)  # the message could quote an upload
            _log.error("request_failed", kind=type(error).__name__, frames=frames)
            refused = status(DisruptError("The door failed. Its log says how."))
        await _abort(context, refused)
        return None

    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    # Of one message, too: gRPC then reads it when it is asked for.
    return grpc.stream_unary_rpc_method_handler(
        answered, request.FromString, response.SerializeToString
    )


async def _abort(context: Context, refused: grpc.Status) -> None:
    """Answer with an error; the handler is to return, and gRPC then ends the call.

    gRPC keeps what is raised here with its call, which the frames of that hold: they, and the
    picture in them, would stay until garbage is collected.
    """
    try:
        await context.abort(refused.code, refused.details or "", refused.trailing_metadata or ())
    except aio.AbortError as aborted:
        aborted.__traceback__ = aborted.__context__ = None


def _left_s(context: Context, most_s: float | None = None) -> float | None:
    """Return what is left of the caller's time, in seconds."""
    left_s = context.time_remaining()
    times = [time for time in (left_s, most_s) if time is not None]
    return max(min(times), 0.001) if times else None


def _effort(number: int) -> Effort:
    return Effort(number) if number in tuple(Effort) else Effort.STANDARD


async def _first(context: Context) -> Any:  # noqa: ANN401 message of the method
    """Read a message; gRPC's iterator would keep it, and its picture, for long."""
    async with in_time(BODY_S):
        first = await context.read()
    if first is aio.EOF:
        raise _invalid("there is no message")
    return first


def _taken(request: match_pb2.MatchImageRequest, options: match_pb2.MatchOptions) -> bytes:
    """Return the picture of a request, which is free once this returns, and copy its options."""
    options.CopyFrom(request.options)
    return request.image


async def _chunks(context: Context, part: Any) -> AsyncIterator[bytes]:  # noqa: ANN401 a message, or EOF
    """Yield the chunks of a file, of which ``part`` has the first."""
    while part is not aio.EOF:
        if part.WhichOneof("part") != "chunk":
            raise _invalid("after the options only chunks of the file can come, or only frames")
        yield part.chunk
        part = await context.read()


async def _frames(context: Context) -> AsyncIterator[match_pb2.MatchVideoRequest]:
    """Yield further frames. Raises LimitExceededError beyond _FRAMES_BYTES_MAX."""
    total_bytes = 0
    while (part := await context.read()) is not aio.EOF:
        total_bytes += part.ByteSize()
        if part.WhichOneof("part") != "frames":
            raise _invalid("after frames only frames can come")
        if total_bytes > _FRAMES_BYTES_MAX:
            raise LimitExceededError(
                f"At most {_FRAMES_BYTES_MAX} bytes of frames. Send the video in parts.",
                limit=str(_FRAMES_BYTES_MAX),
            )
        yield part


def _invalid(reason: str) -> InvalidRequestError:
    return InvalidRequestError.of(Violation("part", reason))
