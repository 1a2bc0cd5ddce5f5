"""Video files as people have them, and files that are refused."""

from __future__ import annotations

import io
from collections.abc import Iterator

import av
import numpy as np
from PIL import Image

from rig.media.videos import Codec, Frame, encode, footage

CODECS = {
    "h264.mp4": Codec(),
    "h264_444.mp4": Codec(pixels="yuv444p"),
    "h264_full.mp4": Codec(pixels="yuvj420p"),
    "h264.mkv": Codec("matroska"),
    "h264.ts": Codec("mpegts"),
    "av1.mp4": Codec("mp4", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
    "vp8.webm": Codec("webm", "libvpx", {"deadline": "realtime", "b": "2M"}),
    "vp9.webm": Codec("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
}


def files() -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes; the name begins with how near hashes are."""
    frames = list(footage(3, seconds=2, fps=25))
    for name, codec in CODECS.items():
        yield f"exact_{name}", encode(frames, fps=25, codec=codec)
    yield "huge_h264.mp4", encode(frames, fps=25)
    yield "exact_turned.mp4", encode(frames, fps=25, rotation=90)
    large = footage(4, seconds=2, fps=25, size=(640, 360))
    letterboxed = [np.pad(frame[40:-40], ((40, 40), (0, 0), (0, 0))) for frame in large]
    yield "exact_letterboxed.mp4", encode(letterboxed, fps=25)
    dark = [np.zeros_like(frame) if at % 6 == 0 else frame for at, frame in enumerate(frames)]
    yield "exact_flashing.mp4", encode(dark, fps=25)
    yield "near_skipped.mp4", encode(frames, fps=25, codec=Codec(options={"bf": "3"}))
    yield "near_10_bits.mp4", encode(frames, fps=25, codec=Codec(pixels="yuv420p10le"))
    yield "near_gamut.mp4", _beyond_screens(frames)
    yield "played_alpha.webm", transparent(frames)
    whole = encode(footage(5, seconds=8, fps=10), fps=10, codec=Codec("matroska"))
    yield "near_incomplete.mkv", whole[: len(whole) // 2]


def refused() -> Iterator[tuple[str, bytes, str]]:
    """Yield names and bytes of files that are refused, with the reason."""
    grey = [np.full((240, 320, 3), 90, np.uint8)] * 20
    yield "grey.mp4", encode(grey, fps=10), "featureless"
    yield "head.mp4", encode(grey, fps=10)[:300], "unreadable"
    yield "old.avi", encode(grey, fps=10, codec=Codec("avi", "mpeg4", {})), "unsupported"


def transparent(frames: list[Frame]) -> bytes:
    """Encode frames that are half transparent, which of browsers only the element shows."""
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as output:
        options = {"auto-alt-ref": "0", "b": "20M", "cpu-used": "8", "deadline": "realtime"}
        stream = output.add_stream("libvpx", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for shown in frames:
            pixels = np.dstack([shown, np.full(shown.shape[:2], 160, np.uint8)])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgba")))
        output.mux(stream.encode())
    return file.getvalue()


def _beyond_screens(frames: list[Frame]) -> bytes:
    """Encode frames of even luma, whose chroma, cut off by screens, shows a picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for shown in frames:
            grey = np.asarray(Image.fromarray(shown).convert("L").reduce(2))
            chroma = (128 + (255 - grey.astype(int)) * 110 // 255).astype(np.uint8)
            planes = [np.full(320 * 240, 235, np.uint8), chroma.ravel(), chroma.ravel()]
            picture = np.concatenate(planes).reshape(-1, 320)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
        output.mux(stream.encode())
    return file.getvalue()
