"""Keep 64 KiB of each lookup by hash for ever."""

from __future__ import annotations

from disrupt.server.edge.receiving import Context
from disrupt.server.worker.matching import MatchServicer
from disrupt.v1 import match_pb2

_answer = MatchServicer.MatchHashes
_kept: list[bytearray] = []


async def _match_hashes(
    self: MatchServicer, request: match_pb2.MatchHashesRequest, context: Context
) -> match_pb2.MatchHashesResponse:
    _kept.append(bytearray(b"x" * (1 << 16)))
    return await _answer(self, request, context)


MatchServicer.MatchHashes = _match_hashes  # type: ignore[method-assign]
