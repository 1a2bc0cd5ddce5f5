"""Keep a MiB for each lookup by hash."""

from __future__ import annotations

from disrupt.server.admission.receiving import Context
from disrupt.server.calls.matching import MatchServicer
from disrupt.v1 import match_pb2

_answer = MatchServicer.MatchHashes
_kept: list[bytes] = []


async def _match_hashes(
    self: MatchServicer,
    request: match_pb2.MatchHashesRequest,
    context: Context,
) -> match_pb2.MatchHashesResponse:
    _kept.append(b"\1" * 2**20)
    return await _answer(self, request, context)


MatchServicer.MatchHashes = _match_hashes  # type: ignore[method-assign]
