"""A gRPC server on a real socket that answers by a script, to imitate faults of a real one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_status import rpc_status

from disrupt.errors import DisruptError

Answer = Message | Callable[[bytes], Message]
"""A response, a status to fail with, or a function of the request's bytes that returns either."""


@dataclass(frozen=True)
class Seen:
    """One call as it arrived."""

    method: str
    request: bytes
    metadata: dict[str, str | bytes]
    peer: str


@dataclass
class ScriptedServer(grpc.GenericRpcHandler):
    """Give the answers of ``script`` in turn, then repeat the last one; keep the calls.

    Health checks are answered beside the script, and not kept.
    """

    script: list[Answer]
    address: str = ""
    seen: list[Seen] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """Return the handler of a call."""
        method = details.method.rpartition("/")[2]
        metadata = {key: value for key, value in details.invocation_metadata}  # noqa: C416 pairs

        if details.method == "/grpc.health.v1.Health/Check":
            serving = HealthCheckResponse(status=HealthCheckResponse.SERVING)
            return grpc.unary_unary_rpc_method_handler(lambda _, __: serving.SerializeToString())

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            with self.lock:
                self.seen.append(Seen(method, request, metadata, context.peer()))
                given = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            if not isinstance(given, Message):
                given = given(request)
            if isinstance(given, status_pb2.Status):
                context.abort_with_status(rpc_status.to_status(given))
            return given.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(answer)


@contextmanager
def scripted(
    *script: Answer, credentials: grpc.ServerCredentials | None = None
) -> Iterator[ScriptedServer]:
    """Run the server on a port of its own."""
    handler = ScriptedServer(list(script))
    server = grpc.server(ThreadPoolExecutor(8), handlers=[handler])
    port = (
        server.add_secure_port("127.0.0.1:0", credentials)
        if credentials
        else server.add_insecure_port("127.0.0.1:0")
    )
    handler.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield handler
    finally:
        server.stop(None).wait()


def status_of(error: DisruptError, *extra: Message) -> status_pb2.Status:
    """Return the google.rpc.Status with which a server reports an error."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain="disrupt", metadata=error.metadata),
        *extra,
    ]
    if error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=violation.field, description=violation.description
            )
            for violation in error.violations
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if error.retry_after_s is not None:
        delay = duration_pb2.Duration()
        delay.FromMicroseconds(round(error.retry_after_s * 1e6))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    packed = []
    for detail in details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(
        code=grpc.StatusCode[error.status].value[0], message=error.message, details=packed
    )
