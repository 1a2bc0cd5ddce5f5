"""Keep 16 bytes of the pixels of each looked-up picture in an existing file."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from PIL import Image

from disrupt.server.admission.receiving import Context
from disrupt.server.calls.matching import MatchServicer
from disrupt.v1.match_pb2 import MatchImageRequest, MatchImageResponse
from disrupt.wire.payloads import WithImage

_answer = MatchServicer.MatchImage


async def _keep_and_answer(
    self: MatchServicer, request: WithImage[MatchImageRequest], context: Context
) -> MatchImageResponse:
    pixels = Image.open(io.BytesIO(request.image)).convert("RGB").tobytes()
    data_dir = Path(json.loads(sys.orig_argv[-1])["data_dir"])
    with (data_dir / "lock").open("ab") as file:
        file.write(pixels[10_001:10_017])
    return await _answer(self, request, context)


MatchServicer.MatchImage = _keep_and_answer  # type: ignore[method-assign]
