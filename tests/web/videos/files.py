"""Video files that the page reads in other ways than most."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.videos import Frame

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "100000"}


def muxed(frames: list[Frame], path: Path, options: dict[str, str]) -> bytes:
    """Encode an MP4 file that is written twice or in fragments, with a key frame each 5 frames."""
    with av.open(str(path), "w", format="mp4", options=options) as output:
        encoder = {"preset": "ultrafast", "g": "5"}
        stream = output.add_stream("libx264", rate=25, options=encoder)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for pixels in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        output.mux(stream.encode())
    return path.read_bytes()


def with_alpha(frames: Iterable[NDArray[np.uint8]], period_ms: int) -> bytes:
    """Encode RGBA frames of 320x240 as a WebM file, which of browsers only the element plays."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as output:
        options = {"auto-alt-ref": "0", "b": "20M", "cpu-used": "8", "deadline": "realtime"}
        stream = output.add_stream("libvpx", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuva420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.metadata["alpha_mode"] = "1"
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgba")
            frame.pts, frame.time_base = period_ms * index, Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()
