"""AdminService for operators, answered by the writer on its Unix socket.

Three of its calls are answered to other machines, too, see ``edge.internal``.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from disrupt.server.desk import Desk
from disrupt.server.edge.handlers import answering
from disrupt.server.edge.interceptors import Handler, caller
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.receiving import Context


def desk_handler(desk: Desk, pool: Pool, method: MethodDescriptor) -> Handler:
    """Return a handler that answers a call from the desk, in a thread."""
    answer = getattr(desk, method.name)

    async def call(request: Any, _context: Context) -> Any:  # noqa: ANN401 any message
        if method.name == "RecordOutcome" and (key := caller.get(None)) is not None:
            request.organisation = key.organisation  # another machine asks in this key's name
        return await pool.run(answer, request)

    return answering(method, call)
