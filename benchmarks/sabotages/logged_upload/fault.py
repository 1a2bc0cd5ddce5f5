"""Log pictures that are sent for a lookup, in base64."""

from __future__ import annotations

import base64
import sys

from disrupt.server.admission.receiving import Context
from disrupt.server.calls.matching import MatchServicer
from disrupt.v1.match_pb2 import MatchImageRequest, MatchImageResponse
from disrupt.wire.payloads import WithImage

_answer = MatchServicer.MatchImage


async def _log_and_answer(
    self: MatchServicer, request: WithImage[MatchImageRequest], context: Context
) -> MatchImageResponse:
    sys.stderr.write(f"request: {base64.b64encode(request.image).decode()}\n")
    return await _answer(self, request, context)


MatchServicer.MatchImage = _log_and_answer  # type: ignore[method-assign]
