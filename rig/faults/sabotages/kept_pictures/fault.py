"""Keep pictures and videos that are sent, in five ways.

Pictures that are looked up: in a temporary file for a moment, in base64 in the log, 16 bytes of
their pixels in a file that is known, and their hash in a metric. Videos: in a temporary file for a
moment.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from PIL import Image

from disrupt.core.media import LowQuality
from disrupt.core.videos import Versions
from disrupt.hashing import hash_image
from disrupt.isolation.video_messages import Ended, Frames
from disrupt.isolation.videos import IsolatedVideos
from disrupt.server.edge.receiving import Context
from disrupt.server.metrics import families
from disrupt.server.worker.matching import MatchServicer
from disrupt.v1.match_pb2 import MatchImageRequest, MatchImageResponse
from disrupt.wire.payloads import WithImage

_answer = MatchServicer.MatchImage
_hash = IsolatedVideos.hash


async def _keep_and_answer(
    self: MatchServicer, request: WithImage[MatchImageRequest], context: Context
) -> MatchImageResponse:
    with tempfile.TemporaryFile() as spool:
        spool.write(request.image)
        spool.flush()
    sys.stderr.write(f"request: {base64.b64encode(request.image).decode()}\n")
    pixels = Image.open(io.BytesIO(request.image)).convert("RGB").tobytes()
    data_dir = Path(json.loads(sys.orig_argv[-1])["data_dir"])
    with (data_dir / "lock").open("ab") as file:
        file.write(pixels[10_001:10_017])
    hashed = hash_image(bytes(request.image))
    if not isinstance(hashed, LowQuality):
        families.REFUSALS.add("OVERLOADED", hashed.hashes[0][0].value.hex())
    return await _answer(self, request, context)


async def _spool_and_hash(
    self: IsolatedVideos, chunks: AsyncIterator[bytes], *, interval_ms: int, versions: Versions
) -> AsyncGenerator[Frames | Ended]:
    with tempfile.TemporaryFile() as spool:

        async def spooled() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                spool.write(chunk)
                spool.flush()
                yield chunk

        async for answer in _hash(self, spooled(), interval_ms=interval_ms, versions=versions):
            yield answer


MatchServicer.MatchImage = _keep_and_answer  # type: ignore[method-assign]
IsolatedVideos.hash = _spool_and_hash  # type: ignore[method-assign]
