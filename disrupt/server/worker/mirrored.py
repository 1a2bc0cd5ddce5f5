"""Refuse, on a mirror, what only the hotline's server answers."""

from __future__ import annotations

from typing import NoReturn

from google.protobuf.descriptor import MethodDescriptor

from disrupt.errors import UnimplementedError
from disrupt.server.edge.handlers import answering
from disrupt.server.edge.interceptors import Handler
from disrupt.server.edge.receiving import Context


def of_hotline(method: MethodDescriptor) -> Handler:
    """Return a handler that says where a call is answered."""

    async def refuse(_request: object, _context: Context) -> NoReturn:
        raise UnimplementedError(
            f"{method.name} is not answered by a mirror, which looks up alone: ask the hotline's"
            " server."
        )

    return answering(method, refuse)
