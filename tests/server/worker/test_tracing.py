"""Spans have method, code and times of calls, and change nothing of what callers are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from disrupt.client import MatchClient
from disrupt.errors import ConfigurationError
from disrupt.server import config
from disrupt.server.config import Config
from disrupt.server.worker.tracing import Tracing
from rig.servers.deployment import Start
from rig.servers.in_process import KEYS, Stub, Troubled, calling, serving
from rig.waiting import eventually

SERVICE = "disrupt.v1.MatchService"
CALLS = (
    (KEYS[0], f"/{SERVICE}/MatchHashes"),
    (KEYS[0], f"/{SERVICE}/MatchImage"),
    (KEYS[0], f"/{SERVICE}/GetIndexStatus"),
    (KEYS[-1], f"/{SERVICE}/MatchHashes"),  # without the right
    ("unknown", f"/{SERVICE}/MatchHashes"),
    (KEYS[0], "/grpc.reflection.chosen/by-a-caller"),
)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "chosen=by-a-caller"))

Answer = tuple[str, str, Any]


def called(tracing: Sequence[aio.ServerInterceptor]) -> list[Answer]:
    """Return what each of CALLS is answered, twice."""

    async def call_all() -> list[Answer]:
        answers: list[Answer] = []
        async with serving(Troubled, tracing=tracing) as address:
            for key, method in 2 * CALLS:
                async with calling(address, key) as call:
                    try:
                        answers.append(("OK", "", bytes(await call(method, b"", *SENT))))
                    except aio.AioRpcError as error:
                        details = error.trailing_metadata() or ()
                        answers.append((error.code().name, error.details() or "", [*details]))
        return answers

    return asyncio.run(call_all())


def test_spans_have_the_code_of_each_call_that_is_let_in_and_nothing_else_of_it() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    answers = called([Tracing(provider.get_tracer("test"))])
    assert answers == called([])
    spans = exporter.get_finished_spans()
    assert [told(span) for span in spans] == 2 * [
        (f"{SERVICE}/MatchHashes", {"rpc.response.status_code": "OK"}, "UNSET"),
        (f"{SERVICE}/MatchImage", {"rpc.response.status_code": "INVALID_ARGUMENT"}, "UNSET"),
        (f"{SERVICE}/GetIndexStatus", {"rpc.response.status_code": "INTERNAL"}, "ERROR"),
    ]
    for span in spans:
        text = json.loads(span.to_json())
        assert (text["context"]["trace_id"], text["parent_id"]) == (f"0x{TRACE}", f"0x{SPAN}")
        assert text["context"]["trace_state"] == "[]"
        assert (text["events"], text["links"]) == ([], [])


def told(span: ReadableSpan) -> tuple[str, dict[str, Any], str]:
    return span.name, dict(span.attributes or {}), span.status.status_code.name


def test_a_call_that_its_caller_gives_up_has_a_span_too() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    begun = asyncio.Event()

    class Slow(Stub):
        async def MatchHashes(self, *_: object) -> Any:  # noqa: N802
            begun.set()
            await asyncio.Event().wait()

    async def give_up() -> None:
        tracing = [Tracing(provider.get_tracer("test"))]
        async with serving(Slow, tracing=tracing) as address, calling(address, KEYS[0]) as call:
            waiting = call(CALLS[0][1])
            await begun.wait()
            waiting.cancel()
            while not exporter.get_finished_spans():
                await asyncio.sleep(0.01)

    asyncio.run(give_up())
    (span,) = exporter.get_finished_spans()
    assert told(span)[1] == {"rpc.response.status_code": "CANCELLED"}


def test_workers_send_their_spans_to_the_collector(start: Start) -> None:
    received: list[trace_service_pb2.ExportTraceServiceRequest] = []

    class Collector(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, _: grpc.ServicerContext) -> Any:  # noqa: N802
            received.append(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    with ThreadPoolExecutor(1) as pool:
        collector = grpc.server(pool)
        add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
        add(Collector(), collector)
        port = collector.add_insecure_port("127.0.0.1:0")
        collector.start()
        server = start(workers=1, settings=f'traces_endpoint = "http://127.0.0.1:{port}"\n')
        key = server.make_key("platform", "match")
        with MatchClient(server.address, key=key) as client:
            client.match_hashes(bytes(range(32)))
        server.stop()  # sends what it has
        eventually(lambda: len(received) > 0)
        collector.stop(None)
    content = b"".join(request.SerializeToString() for request in received)
    assert b"disrupt.v1.MatchService/MatchHashes" in content
    for secret in (key.encode(), bytes(range(16)), b"127.0.0.1", server.address.encode()):
        assert secret not in content


def test_traces_are_refused_without_a_url_or_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="no URL"):
        Config.load(None, data_dir="data", traces_endpoint="127.0.0.1:4317")
    monkeypatch.setattr(config, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'disrupt-hashes\[traces\]'"):
        Config.load(None, data_dir="data", traces_endpoint="http://127.0.0.1:4317")
