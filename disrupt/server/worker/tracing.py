"""Spans of the calls that a worker lets in, for a collector of OpenTelemetry.

A span has the method, the code and the times of a call, and the caller's span as its parent where
``traceparent`` names one. It has nothing else of the call, and no address. OpenTelemetry's own
instrumentation of gRPC is not used: it records addresses, and loses the errors that are answered.

Import this where traces are switched on only: it needs the extra ``traces``.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import grpc
import structlog
from grpc import aio
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

import disrupt
from disrupt.server.edge.methods import PUBLIC
from disrupt.server.edge.receiving import Context

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]]"

_SEND_S = 2
"""Longest time for an attempt to send spans."""
_END_S = 0.5
"""Most that sending the last spans adds to the end of a worker."""

_PARENT = "traceparent"

_log = structlog.get_logger(__name__)
_propagator = TraceContextTextMapPropagator()


@contextmanager
def sending_to(endpoint: str) -> Iterator[Tracer]:
    """Yield a tracer whose spans a thread sends to a collector, by OTLP over gRPC.

    Call this in the process that makes the spans: a thread does not outlive a fork. Spans for which
    the collector has no time are dropped.
    """
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.addHandler(_Unsent())
    provider = TracerProvider(
        resource=Resource.create(
            {"service.name": "disrupt", "service.version": disrupt.__version__}
        ),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_SEND_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    try:
        yield provider.get_tracer("disrupt")
    finally:
        ending = threading.Thread(target=provider.shutdown, daemon=True)
        ending.start()
        ending.join(_END_S)


class _Unsent(logging.Handler):
    """Log once that spans are not sent, whatever OpenTelemetry says of it."""

    _logged = False

    def emit(self, _: logging.LogRecord, /) -> None:
        """Implement logging.Handler."""
        if not self._logged:
            self._logged = True
            _log.warning("traces_not_sent")


class Tracing(aio.ServerInterceptor):
    """Make a span of each call of the public contract. It stands between Authentication and Errors.

    So calls that are not let in have none, and handlers answer with errors by ``context.abort``.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._traced: dict[str, _Handler] = {}

    async def intercept_service(
        self, continuation: _Continuation, details: grpc.HandlerCallDetails
    ) -> _Handler | None:
        """Implement aio.ServerInterceptor."""
        traced = self._traced.get(details.method)
        if traced is None:
            handler = await continuation(details)
            if handler is None or details.method not in PUBLIC:
                return handler
            traced = self._traced[details.method] = self._trace(handler, details.method[1:])
        return traced

    def _trace(self, handler: _Handler, name: str) -> _Handler:
        answer: Any = handler.stream_unary  # what Errors makes of each of these calls

        async def call(request: object, context: Context) -> Any:  # noqa: ANN401 any message
            span = self._tracer.start_span(
                name, _propagator.extract(_parent(context)), SpanKind.SERVER
            )
            code = grpc.StatusCode.CANCELLED
            try:
                response = await answer(request, context)
                answered: grpc.StatusCode | None = context.code()  # None where all went well
                code = answered or grpc.StatusCode.OK
            finally:
                span.set_attribute("rpc.response.status_code", code.name)
                if code is grpc.StatusCode.INTERNAL:
                    span.set_status(Status(StatusCode.ERROR))
                span.end()
            return response

        return grpc.stream_unary_rpc_method_handler(call, None, handler.response_serializer)


def _parent(context: Context) -> dict[str, str]:
    """Return the entry that names the caller's span; ``tracestate`` may hold anything."""
    metadata: Any = context.invocation_metadata() or ()  # the stubs do not know the pairs
    return {name: value for name, value in metadata if name == _PARENT}
