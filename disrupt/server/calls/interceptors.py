"""Interceptors of every call: authentication, deadlines, and the translation of errors."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, nullcontext
from contextvars import ContextVar
from typing import Any, TypeAlias, cast

import grpc
import structlog
from grpc import aio

from disrupt.core.policy import ApiKey, Right
from disrupt.errors import (
    CertificateRefusedError,
    DeadlineExceededError,
    DisruptError,
    OverloadedError,
    UnauthenticatedError,
    UnimplementedError,
)
from disrupt.isolation.fair_queue import turn_of
from disrupt.server.admission.limits import STRANGER_STREAM_S
from disrupt.server.admission.operations import outlasting
from disrupt.server.admission.receipts import Receipts
from disrupt.server.admission.receiving import Context, Receiver
from disrupt.server.admission.refusals import Refusals
from disrupt.server.admission.sending import count, write
from disrupt.server.admission.shares import Admission, Holder, Resource, holder
from disrupt.server.admission.strangers import Strangers, ended
from disrupt.server.admission.unadmitted import Unadmitted
from disrupt.server.rights import RIGHTS, WITHOUT_KEY
from disrupt.wire import errors

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]]"

_SCHEME = "bearer "

_log = structlog.get_logger(__name__)

caller: ContextVar[ApiKey] = ContextVar("caller")
"""Key of the caller of the call that is being answered."""

OK, CANCELLED = "OK", "CANCELLED"
"""What becomes of calls that are answered, and of those that their callers end."""

Called: TypeAlias = "Callable[[str, str, float], None]"
"""Is told of each call that has ended: its path, what became of it, and the time that it took.

An error is told by its cause, as ``metadata`` names it, or by its reason.
"""


class RelayedError(Exception):
    """The writer's error, which a worker gives back as it is."""

    def __init__(self, error: aio.AioRpcError) -> None:
        """Keep code, message and details of what the writer answered."""
        super().__init__()
        # the stubs do not know that the pairs can be unpacked
        pairs: Any = error.trailing_metadata() or ()
        self.code = error.code()
        self.message = error.details() or ""
        self.details = tuple((name, value) for name, value in pairs if name == errors.DETAILS_KEY)

    @property
    def reason(self) -> str:
        """Its reason; that of its code where gRPC itself ended the call."""
        told = next((errors.reason_of(value) for _, value in self.details), None)
        return told or _REASONS.get(self.code, DisruptError.reason)


_REASONS = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError.reason,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError.reason,
}


def _uncounted(_path: str, _outcome: str, _took_s: float) -> None:
    pass


class Authentication(aio.ServerInterceptor):
    """Let a call through if its key is valid and has the right that the call needs.

    It decides before the message is read, so that a stranger's message takes no memory.
    """

    def __init__(
        self,
        authenticate: Callable[[str], Awaitable[ApiKey]],
        admission: Admission,
        unadmitted: Unadmitted,
        refusals: Refusals,
        receipts: Receipts,
        called: Called = _uncounted,
    ) -> None:
        """``authenticate`` returns the key of a secret, or raises UnauthenticatedError."""
        self._called = called
        self._authenticate = authenticate
        self._admission = admission
        self._unadmitted = unadmitted
        self._refusals = refusals
        self._receipts = receipts

    async def intercept_service(
        self, continuation: _Continuation, details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Implement aio.ServerInterceptor."""
        right = RIGHTS.get(details.method)
        if right is not None:
            key = None
            try:
                key = await self._authenticate(_secret(details))
                caller.set(key)
                key.require(right)
                by = self._admit(key)
            except DisruptError as error:
                return self._refusal(details.method, error, key)
            turn_of.set(key.organisation)
            if by.certificate:
                return self._certified(
                    details.method, await continuation(details), by.certificate, key
                )
        elif details.method.startswith(WITHOUT_KEY):
            holder.set(self._admission.strangers)
        else:
            return self._refusal(details.method, _no_such_call())
        return await continuation(details) or self._refusal(details.method, _no_such_call())

    def _admit(self, key: ApiKey) -> Holder:
        """Count the call for its organisation until it ends."""
        task = asyncio.current_task()  # of the whole call
        by = self._admission.holder(key.organisation)
        by.take(Resource.CALLS)
        if task is not None:
            task.add_done_callback(lambda _: by.give_back(Resource.CALLS))
        holder.set(by)
        return by

    def _certified(self, method: str, handler: _Handler | None, name: str, key: ApiKey) -> _Handler:
        """Let a call through where its connection came with a client certificate of this name.

        The connection is known to the handler only, which has not read the message yet.
        """
        if handler is None:
            return self._refusal(method, _no_such_call(), key)
        answer: Any = handler.stream_unary or handler.stream_stream
        refuse: Any = self._refusal(method, _certificate_refused(name), key).stream_stream

        async def single(message: object, context: Context) -> Any:  # noqa: ANN401 any message
            if name in certificate_names(context):
                return await answer(message, context)
            return await refuse(message, context)

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(single, None, handler.response_serializer)

    def _refusal(self, method: str, error: DisruptError, key: ApiKey | None = None) -> _Handler:
        """Make a handler that raises the error. It is a streaming one, so gRPC reads no message."""

        async def refuse(_request: object, context: Context) -> None:
            self._called(method, error.reason, 0.0)
            peer = context.peer()
            self._unadmitted.add(peer)
            if key is not None:
                self._receipts.note_given_up(peer)  # its message comes, and is not read
            await self._refusals.count(key.key_id if key else None, peer)
            await _refuse(error, context)

        return grpc.stream_stream_rpc_method_handler(refuse)


class Errors(aio.ServerInterceptor):
    """Send errors as google.rpc.Status, and end calls that take too long.

    A call with streams both ways may take ``max_call_s`` from one answer to the next; a call that
    sends a stream for one answer, a video, may take ``max_upload_s``.

    Calls that receive a stream run within ``while_valid``, which ends them when their key does not
    allow them any more.

    An unexpected exception becomes INTERNAL without detail, and is logged.
    """

    def __init__(
        self,
        receiver: Receiver,
        max_call_s: float,
        max_upload_s: float,
        while_valid: Callable[[ApiKey, Right], AbstractAsyncContextManager[None]] | None = None,
        unadmitted: Unadmitted | None = None,
        refusals: Refusals | None = None,
        called: Called = _uncounted,
    ) -> None:
        self._called = called
        self._receiver = receiver
        self._max_call_s = max_call_s
        self._max_upload_s = max_upload_s
        self._while_valid = while_valid
        self._unadmitted = unadmitted
        self._refusals = refusals
        self._guarded: dict[str, _Handler] = {}

    async def intercept_service(
        self, continuation: _Continuation, details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Implement aio.ServerInterceptor."""
        handler = await continuation(details)
        if handler is None:
            return None
        guarded = self._guarded.get(details.method)
        if guarded is None:
            guarded = self._guarded[details.method] = self._guard(handler, details.method)
        return guarded

    def _guard(self, handler: _Handler, method: str) -> _Handler:
        if method.startswith(WITHOUT_KEY):
            return self._guard_stranger(handler, method)
        if handler.response_streaming:
            return self._guard_stream(handler, method)
        return self._guard_single(handler, method)

    def _guard_stranger(self, handler: _Handler, method: str) -> _Handler:
        """Guard calls that need no key: bound how many there are, and how long each may take.

        Each message of a stream costs as much as a call, and counts as one.
        """
        answer: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        reading = self._receiver.of(method, handler.request_deserializer)
        strangers = Strangers()
        # a watch of the server's health may last
        most_s = STRANGER_STREAM_S if handler.request_streaming else None

        async def counted(peer: str) -> None:
            if self._refusals is not None:
                await self._refusals.count(None, peer)

        async def answered(_: object, context: Context) -> Any:  # noqa: ANN401 any message
            began_s, outcome = time.perf_counter(), CANCELLED
            peer = context.peer()
            if self._unadmitted is not None:
                self._unadmitted.add(peer)
            await counted(peer)
            try:
                async with asyncio.timeout(most_s) as call:
                    with strangers.admitted(peer, call):
                        if not handler.request_streaming:
                            response = await answer(await reading.single(context), context)
                            outcome = OK
                            return response
                        async with (
                            aclosing(reading.each(context)) as messages,
                            aclosing(answer(messages, context)) as responses,
                        ):
                            async for response in responses:
                                await outlasting(context.write(response))
                                await counted(peer)
                outcome = OK
            except TimeoutError:
                outcome = DeadlineExceededError.reason
                await _refuse(ended(), context)
            except Exception as error:  # noqa: BLE001 nothing above reports errors
                outcome = await _tell(error, method, context)
            finally:
                self._called(method, outcome, time.perf_counter() - began_s)

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(answered, None, handler.response_serializer)

    def _guard_stream(self, handler: _Handler, method: str) -> _Handler:
        """Guard calls that are answered in a stream."""
        produce: Any = handler.stream_stream or handler.unary_stream
        reading = self._receiver.of(method, handler.request_deserializer)

        async def stream(_: object, context: Context) -> None:
            began_s, outcome = time.perf_counter(), CANCELLED
            try:
                async with (
                    self._valid(handler, method),
                    asyncio.timeout(_timeout_s(context, self._max_call_s)) as allowed,
                    AsyncExitStack() as opened,
                ):
                    if handler.request_streaming:
                        given = await opened.enter_async_context(aclosing(reading.each(context)))
                    else:
                        given = await reading.single(context)
                    async with aclosing(produce(given, context)) as responses:
                        async for response in responses:
                            # written, not yielded: a caller that reads nothing times out, too
                            await write(response, context)
                            if handler.request_streaming and allowed.when() is not None:
                                now_s = asyncio.get_running_loop().time()
                                allowed.reschedule(now_s + self._max_call_s)
                outcome = OK
            except asyncio.CancelledError:
                self._note_reset(context)
                raise
            except Exception as error:  # noqa: BLE001 nothing above reports errors
                outcome = await _tell(error, method, context)
            finally:
                self._called(method, outcome, time.perf_counter() - began_s)

        # raw bytes for both kinds of call: `reading` receives the messages
        return grpc.stream_stream_rpc_method_handler(stream, None, handler.response_serializer)

    def _guard_single(self, handler: _Handler, method: str) -> _Handler:
        """Guard calls that are answered once."""
        answer: Any = handler.stream_unary or handler.unary_unary
        most_s = self._max_upload_s if handler.request_streaming else self._max_call_s
        reading = self._receiver.of(method, handler.request_deserializer)

        async def single(_: object, context: Context) -> Any:  # noqa: ANN401 any message
            began_s, outcome = time.perf_counter(), CANCELLED
            try:
                async with (
                    self._valid(handler, method),
                    asyncio.timeout(_timeout_s(context, most_s)),
                ):
                    if handler.request_streaming:
                        # closed, so that what the last message holds is given back
                        async with aclosing(reading.each(context)) as messages:
                            response = await answer(messages, context)
                    else:
                        response = await answer(await reading.single(context), context)
                    count(response)
                outcome = OK
            except asyncio.CancelledError:
                self._note_reset(context)
                raise
            except Exception as error:  # noqa: BLE001 nothing above reports errors
                outcome, response = await _tell(error, method, context), None
            finally:
                self._called(method, outcome, time.perf_counter() - began_s)
            return response

        # raw bytes, and a stream even of one message: `reading` receives it
        return grpc.stream_unary_rpc_method_handler(single, None, handler.response_serializer)

    def _note_reset(self, context: Context) -> None:
        """Note a call that ends without an answer, mostly since its caller reset it."""
        if self._refusals is not None:
            self._refusals.note(caller.get().key_id, context.peer())

    def _valid(self, handler: _Handler, method: str) -> AbstractAsyncContextManager[None]:
        if self._while_valid is None or not handler.request_streaming:
            return nullcontext()
        return self._while_valid(caller.get(), RIGHTS[method])


def certificate_names(context: Context) -> set[str]:
    """Return the names of the caller's certificate: subject alternative ones, and common name.

    Empty where the connection came without, as on the listener that asks for none.
    """
    properties = context.auth_context()
    named = [
        *properties.get("x509_subject_alternative_name", ()),
        *properties.get("x509_common_name", ()),
    ]
    return {name.decode("utf-8", "replace") for name in named}


def _certificate_refused(name: str) -> CertificateRefusedError:
    return CertificateRefusedError(
        "Keys of your organisation need a client certificate with the name"
        f" {name!r}, on the server's address for client certificates."
    )


def _no_such_call() -> UnimplementedError:
    return UnimplementedError("This server has no such call.")


def _timeout_s(context: Context, most_s: float) -> float | None:
    """Return the timeout to set; None where gRPC itself ends the call in time."""
    given_s = remaining_s(context)
    return most_s if given_s is None or given_s > most_s else None


def remaining_s(context: Context) -> float | None:
    """Return the time until the caller's deadline; None without one."""
    return cast("float | None", context.time_remaining())  # the stubs do not know of None


def allowed_s(context: Context, most_s: float) -> float:
    """Return the time that a call may take from now: until its deadline, at most ``most_s``."""
    given_s = remaining_s(context)
    return most_s if given_s is None else min(given_s, most_s)


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


async def _tell(error: Exception, method: str, context: Context) -> str:
    """Answer with an error, and return what became of the call."""
    # The call was ended, or its caller is gone.
    if isinstance(error, aio.AbortError | aio.InternalError):
        _forget_frames(error)
        return CANCELLED
    if isinstance(error, RelayedError):
        _forget_frames(error)
        await _abort(context, error.code, error.message, error.details)
        return error.reason
    if isinstance(error, DisruptError):
        told = error
    elif isinstance(error, TimeoutError):
        told = DeadlineExceededError(
            "The call took longer than this server allows; whether it took effect is not known."
        )
    elif isinstance(error, NotImplementedError):  # raised by gRPC's generated servicers
        told = _no_such_call()
    else:
        # neither message nor locals: they could quote what was sent
        frames = traceback.format_tb(error.__traceback__)
        _log.error("call_failed", method=method, kind=type(error).__name__, frames=frames)
        told = DisruptError("Something went wrong in the server; the operator's log says what.")
    _forget_frames(error)  # which hold the message while the answer is not taken
    await _refuse(told, context)
    return told.metadata.get("cause", told.reason)


async def _refuse(error: DisruptError, context: Context) -> None:
    """Answer with an error. The handler is to return: gRPC then ends the call."""
    status = errors.status(error)
    await _abort(context, status.code, status.details or "", status.trailing_metadata or ())


async def _abort(
    context: Context,
    code: grpc.StatusCode,
    message: str,
    metadata: Sequence[tuple[str, str | bytes]],
) -> None:
    try:
        await context.abort(code, message, metadata)
    except aio.AbortError as aborted:
        _forget_frames(aborted)


def _forget_frames(error: Exception) -> None:
    """Free what the frames of an error hold.

    gRPC keeps that of an abort with its call, which these frames hold: so both, and the call's
    message, would stay until garbage is collected.
    """
    error.__traceback__ = error.__context__ = None
