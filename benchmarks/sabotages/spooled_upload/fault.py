"""Keep pictures that are sent for a lookup in a temporary file for a moment."""

from __future__ import annotations

import tempfile

from disrupt.server.admission.receiving import Context
from disrupt.server.calls.matching import MatchServicer
from disrupt.v1.match_pb2 import MatchImageRequest, MatchImageResponse
from disrupt.wire.payloads import WithImage

_answer = MatchServicer.MatchImage


async def _spool_and_answer(
    self: MatchServicer, request: WithImage[MatchImageRequest], context: Context
) -> MatchImageResponse:
    with tempfile.TemporaryFile() as spool:
        spool.write(request.image)
        spool.flush()
    return await _answer(self, request, context)


MatchServicer.MatchImage = _spool_and_answer  # type: ignore[method-assign]
