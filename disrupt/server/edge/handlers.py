"""Handlers of the calls of a service, by its descriptor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from disrupt.server.edge.interceptors import Handler

_MAKE = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
}


def add_service(
    server: aio.Server,
    service: ServiceDescriptor,
    handler: Callable[[MethodDescriptor], Handler | None],
) -> None:
    """Let a server answer each call of a service for which ``handler`` makes one."""
    handlers = {
        method.name: made for method in service.methods if (made := handler(method)) is not None
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service.full_name, handlers),)
    )


def answering(method: MethodDescriptor, answer: Callable[..., Any]) -> Handler:
    """Return a handler that answers with messages."""
    make = _MAKE[method.client_streaming, method.server_streaming]
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    return make(answer, request.FromString, response.SerializeToString)


def by_name(servicer: object) -> Callable[[MethodDescriptor], Handler | None]:
    """Return what makes handlers of the methods of an object, which are named as the calls."""

    def handler(method: MethodDescriptor) -> Handler | None:
        answer = getattr(servicer, method.name, None)
        return answer and answering(method, answer)

    return handler


def path_of(method: MethodDescriptor) -> str:
    """Return the path of a call, as gRPC names it."""
    return f"/{method.containing_service.full_name}/{method.name}"
