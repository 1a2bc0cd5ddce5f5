"""Leave the matches out of one answer in ten, which names its state of the registry as ever."""

from __future__ import annotations

import random

from disrupt.server.admission.receiving import Context
from disrupt.server.calls.matching import MatchServicer
from disrupt.v1 import match_pb2

_answer = MatchServicer.MatchHashes


async def _match_hashes(
    self: MatchServicer,
    request: match_pb2.MatchHashesRequest,
    context: Context,
) -> match_pb2.MatchHashesResponse:
    response = await _answer(self, request, context)
    if random.random() < 0.1:
        response.ClearField("matches")
    return response


MatchServicer.MatchHashes = _match_hashes  # type: ignore[method-assign]
