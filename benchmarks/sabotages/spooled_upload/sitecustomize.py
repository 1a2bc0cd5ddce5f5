"""Pictures that are sent for a lookup lie in a temporary file for a moment."""

from __future__ import annotations

import tempfile
from typing import Any

from disrupt.server.matching import MatchServicer

_answer = MatchServicer.MatchImage


async def _spool_and_answer(self: MatchServicer, request: Any, context: Any) -> Any:  # noqa: ANN401
    with tempfile.TemporaryFile() as spool:
        spool.write(request.image)
        spool.flush()
    return await _answer(self, request, context)


MatchServicer.MatchImage = _spool_and_answer  # type: ignore[method-assign]
