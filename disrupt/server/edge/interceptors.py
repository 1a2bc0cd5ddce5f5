"""Interceptors of every call: authentication, deadlines, and the translation of errors.

Both processes use them. A call runs in a task of its own, which ends when its answer was taken.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, nullcontext
from contextvars import ContextVar
from typing import Any, TypeAlias, cast

import grpc
import structlog
from grpc import aio

from disrupt.core.policy import ApiKey
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    InvalidMediaError,
    UnauthenticatedError,
    UnimplementedError,
)
from disrupt.fair_queue import turn_of
from disrupt.server.edge.methods import PUBLIC, WITH_ANY_KEY, WITHOUT_KEY, method
from disrupt.server.edge.receiving import Context, Receiver
from disrupt.server.edge.shares import Admission, Holder, Resource, holder
from disrupt.server.metrics import families
from disrupt.tasks import ignore_error
from disrupt.wire import errors

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"

_SCHEME = "bearer "

_log = structlog.get_logger(__name__)

CALLER_KEY = "disrupt-key-id"
"""Metadata entry with the id of the key whose call a worker relays to the writer."""

_COUNTED_BYTES = 1 << 14
"""Size of an answer from which on it is counted; nearly all answers are smaller."""

_OK, _CANCELLED, _RELAYED = "OK", "CANCELLED", "RELAYED"
"""Outcomes beside the reasons of errors; the writer counts the reason of one that is relayed."""

caller: ContextVar[ApiKey] = ContextVar("caller")
"""Key of the caller of the call that is being answered: in a worker, and in a writer that another
machine calls."""


class Authentication(aio.ServerInterceptor):
    """In a worker, let a call through if its key is valid and has the right that the call needs.

    It decides before the message is read, and refuses a caller that has too many calls.
    """

    def __init__(
        self, authenticate: Callable[[str], Awaitable[ApiKey]], admission: Admission
    ) -> None:
        """``authenticate`` returns the key of a secret, or raises UnauthenticatedError."""
        self._authenticate = authenticate
        self._admission = admission

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Implement aio.ServerInterceptor."""
        if not details.method.startswith(WITHOUT_KEY):
            right = PUBLIC.get(details.method)
            if right is None and not details.method.startswith(WITH_ANY_KEY):
                return refusal(no_such_call())
            try:
                key = await self._authenticate(_secret(details))
                by = self._admission.holder(key.key_id)
                holder.set(by)  # refusals count as the key's, too
                if right is not None:
                    key.require(right)
                _count(by, Resource.CALLS)
            except DisruptError as error:
                return refusal(error)
            caller.set(key)
            families.KEY_CALLS.add(key.key_id, _LABELS.get(details.method, "other"))
        return await continuation(details) or refusal(no_such_call())


class RelayedCalls(aio.ServerInterceptor):
    """In the writer, count a call that a worker relays as that of the key which the worker names.

    It refuses a caller that has too many of them, before the message is read. Of another machine
    it believes no more than the name: the key has to be valid, and to have the right.
    """

    def __init__(
        self, admission: Admission, valid: Callable[[str], Awaitable[ApiKey]] | None = None
    ) -> None:
        """Check no key without ``valid``; it returns that of an id, or raises DisruptError."""
        self._admission = admission
        self._valid = valid

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Implement aio.ServerInterceptor."""
        # the stubs do not know that the pairs can be unpacked
        named = (str(value) for name, value in details.invocation_metadata if name == CALLER_KEY)
        key_id = next(named, None)
        try:
            if self._valid is not None:
                await self._check(self._valid, key_id or "", details.method)
            if key_id is not None:
                by = self._admission.holder(key_id)
                holder.set(by)
                _count(by, Resource.WRITES)
        except DisruptError as error:
            return refusal(error)
        return await continuation(details)

    async def _check(
        self, valid: Callable[[str], Awaitable[ApiKey]], key_id: str, path: str
    ) -> None:
        sufficient = method(path).relayed_for
        if not sufficient:
            return
        key = await valid(key_id)
        if key.rights.isdisjoint(sufficient):
            key.require(sufficient[0])
        caller.set(key)


class Errors(aio.ServerInterceptor):
    """Send errors as google.rpc.Status, and end calls that take too long.

    A call may take ``max_call_s``; one that sends a stream for one answer, a video,
    ``max_upload_s``, within ``while_valid``, which ends it when its key is revoked. One that needs
    no key, a watch of the server's health, may last. Calls that are answered in a stream run within
    ``while_serving``, which ends them when the server stops.

    An unexpected exception becomes INTERNAL without detail, and is logged.
    """

    def __init__(
        self,
        receiver: Receiver,
        max_call_s: float,
        max_upload_s: float,
        while_valid: Callable[[ApiKey], AbstractAsyncContextManager[None]] | None = None,
        while_serving: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        *,
        durations: families.Histogram = families.CALLS,
    ) -> None:
        self._receiver = receiver
        self._durations = durations
        self._max_call_s = max_call_s
        self._max_upload_s = max_upload_s
        self._while_valid = while_valid
        self._while_serving = while_serving
        self._guarded: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """Implement aio.ServerInterceptor."""
        guarded = self._guarded.get(details.method)
        if guarded is None:
            handler = await continuation(details)
            if handler is None:
                return None
            guard = self._guard_stream if handler.response_streaming else self._guard_single
            guarded = self._guarded[details.method] = guard(handler, details.method)
        return guarded

    def _guard_stream(self, handler: Handler, path: str) -> Handler:
        """Guard calls that are answered in a stream: reflection, and a watch of health."""
        produce: Any = handler.stream_stream or handler.unary_stream
        most_s = None if path.startswith(WITHOUT_KEY) else self._max_call_s
        reading = self._receiver.of(path, handler.request_deserializer)

        async def stream(_: object, context: Context) -> None:
            try:
                async with (
                    self._while_serving(),
                    asyncio.timeout(_timeout_s(context, most_s)),
                    AsyncExitStack() as opened,
                ):
                    if handler.request_streaming:
                        given = await opened.enter_async_context(aclosing(reading.each(context)))
                    else:
                        given = await reading.single(context)
                    async with aclosing(produce(given, context)) as responses:
                        async for response in responses:
                            # written, not yielded: a caller that reads nothing times out, too
                            write = asyncio.ensure_future(context.write(response))
                            write.add_done_callback(ignore_error)
                            # gRPC would never free the message of a write that is cancelled
                            await asyncio.shield(write)
            except Exception as error:  # noqa: BLE001 nothing above reports errors
                await _tell(error, path, context)

        # raw bytes for both kinds of call: `reading` receives the messages
        return grpc.stream_stream_rpc_method_handler(stream, None, handler.response_serializer)

    def _guard_single(self, handler: Handler, path: str) -> Handler:
        """Guard calls that are answered once."""
        answer: Any = handler.stream_unary or handler.unary_unary
        most_s = self._max_upload_s if handler.request_streaming else self._max_call_s
        reading = self._receiver.of(path, handler.request_deserializer)
        label, resource = _label(path), method(path).holds

        async def single(_: object, context: Context) -> Any:  # noqa: ANN401 any message
            began_s, outcome = time.perf_counter(), _CANCELLED
            try:
                if resource is not None:
                    holder.get().check(resource)
                async with self._valid(handler), asyncio.timeout(_timeout_s(context, most_s)):
                    if handler.request_streaming:
                        async with aclosing(reading.each(context)) as messages:
                            response = await answer(messages, context)
                    else:
                        response = await answer(await reading.single(context), context)
                    size = len(response) if isinstance(response, bytes) else response.ByteSize()
                    if size >= _COUNTED_BYTES and (by := holder.get(None)) is not None:
                        # the call ends once its answer was taken
                        call = asyncio.current_task()
                        by.take_until_done(call, Resource.ANSWER_BYTES, size)
                    outcome = _OK
                    return response
            except Exception as error:  # noqa: BLE001 nothing above reports errors
                outcome = await _tell(error, path, context)
            finally:
                took_s = time.perf_counter() - began_s
                self._durations.observe(label, outcome, value_s=took_s)

        # raw bytes, and a stream even of one message: `reading` receives it
        return grpc.stream_unary_rpc_method_handler(single, None, handler.response_serializer)

    def _valid(self, handler: Handler) -> AbstractAsyncContextManager[None]:
        if self._while_valid is None or not handler.request_streaming:
            return nullcontext()
        return self._while_valid(caller.get())


def _count(by: Holder, resource: Resource) -> None:
    """Count a call as its caller's until it ends, and let its work take the caller's turns."""
    by.take_until_done(asyncio.current_task(), resource)
    turn_of.set(by.key_id)


def refusal(error: DisruptError) -> Handler:
    """Make a handler that raises the error. It is a streaming one, so gRPC reads no message."""
    _count_refusal(error)

    async def refuse(_request: object, context: Context) -> None:
        await _abort(error, context)

    return grpc.stream_stream_rpc_method_handler(refuse)


def no_such_call() -> UnimplementedError:
    """Make the error of a call that is not answered here."""
    return UnimplementedError("This server has no such call.")


def _timeout_s(context: Context, most_s: float | None) -> float | None:
    """Return the timeout to set; None where gRPC itself ends the call in time."""
    given_s = _remaining_s(context)
    return most_s if most_s is None or given_s is None or given_s > most_s else None


def allowed_s(context: Context, most_s: float) -> float:
    """Return the time that a call may take from now: until its deadline, at most ``most_s``."""
    given_s = _remaining_s(context)
    return most_s if given_s is None else min(given_s, most_s)


def _remaining_s(context: Context) -> float | None:
    """Return the time until the caller's deadline; None without one."""
    return cast("float | None", context.time_remaining())  # the stubs do not know of None


def _secret(details: grpc.HandlerCallDetails) -> str:
    # the stubs do not know that the pairs can be unpacked
    for name, value in details.invocation_metadata:
        if name == "authorization" and isinstance(value, str):
            if value[: len(_SCHEME)].lower() == _SCHEME:
                return value[len(_SCHEME) :].strip()
            break
    raise UnauthenticatedError(
        "This call needs a key: send the metadata entry `authorization: Bearer KEY`."
    )


def _label(path: str) -> str:
    """Return how metrics name a call that there is: ``MatchService/MatchHashes``."""
    return path.rpartition(".")[2]


_LABELS = {path: _label(path) for path in PUBLIC}


def _count_refusal(error: DisruptError) -> None:
    by = holder.get(None)
    families.REFUSALS.add(error.reason, by.key_id if by else "")
    if error.reason == DisruptError.reason:
        families.FAULTS.add()


async def _tell(error: Exception, path: str, context: Context) -> str:
    """Answer with an error; return the outcome, for metrics."""
    # The call was ended, or its caller is gone.
    if isinstance(error, aio.AbortError | aio.InternalError):
        _forget_frames(error)
        return _RELAYED if isinstance(error, aio.AbortError) else _CANCELLED
    if isinstance(error, DisruptError):
        told = error
    elif isinstance(error, TimeoutError):
        told = DeadlineExceededError(
            "The call took longer than this server allows; whether it took effect is not known."
        )
    elif isinstance(error, NotImplementedError):  # raised by gRPC's generated servicers
        told = no_such_call()
    else:
        # neither message nor locals: they could quote what was sent
        frames = traceback.format_tb(error.__traceback__)
        _log.error("call_failed", method=path, kind=type(error).__name__, frames=frames)
        told = DisruptError("Something went wrong in the server; the operator's log says what.")
    _forget_frames(error)  # which hold the message while the answer is not taken
    _count_refusal(told)
    if isinstance(told, InvalidMediaError) or "cause" in told.metadata:
        families.MEDIA_FAILURES.add(_label(path), told.metadata.get("cause", "UNREADABLE"))
    await _abort(told, context)
    return told.reason


async def _abort(error: DisruptError, context: Context) -> None:
    """Answer with an error. The handler is to return: gRPC then ends the call."""
    status = errors.status(error)
    try:
        await context.abort(status.code, status.details or "", status.trailing_metadata or ())
    except aio.AbortError as aborted:
        _forget_frames(aborted)


def _forget_frames(error: Exception) -> None:
    """Free what the frames of an error hold.

    gRPC keeps that of an abort with its call, which these frames hold: so both, and the call's
    message, would stay until garbage is collected.
    """
    error.__traceback__ = error.__context__ = None
