"""Make videos for benchmarks and tests: a camera that moves over photographs, with cuts."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rig.media.photographs import EVERYWHERE, photographs

Frame = NDArray[np.uint8]
"""RGB pixels, shape (height, width, 3)."""

_LOADED_PX = 1600
_ZOOMS = (0.5, 0.85)


@dataclass(frozen=True, slots=True)
class Codec:
    """FFmpeg's names of container and encoder, and its options."""

    container: str = "mp4"
    encoder: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "23"})
    pixels: str = "yuv420p"


H264 = Codec()


@lru_cache(maxsize=16)
def photograph(number: int) -> Image.Image:
    """Return a photograph of this machine, of up to 1600 px, always the same for a number."""
    every = list(photographs())
    image = every[number % len(every)][1]()
    image.thumbnail((_LOADED_PX, _LOADED_PX))
    return image


def footage(
    seed: int,
    *,
    seconds: float,
    size: tuple[int, int] = (320, 240),
    fps: int = 10,
    pictures: range = EVERYWHERE,
    still: bool = False,
) -> Iterator[Frame]:
    """Yield frames of scenes of 2 to 6 s, each a slow pan and zoom over one photograph.

    ``pictures`` are the numbers to choose from, by default of those that every machine has; a
    ``still`` camera does not move.
    """
    chance = np.random.default_rng(seed)
    left = 0
    for _ in range(round(seconds * fps)):
        if not left:
            scene = left = round(float(chance.uniform(2, 6)) * fps)
            image = photograph(int(chance.choice(pictures)))
            start = chance.uniform((_ZOOMS[0], 0, 0), (_ZOOMS[1], 1, 1))
            # up to a tenth of the picture a second
            end = start + chance.uniform(-0.1, 0.1, 3) * (0 if still else scene / fps)
        zoom, right, down = np.clip(
            start + (end - start) * (1 - left / scene), (0.4, 0, 0), (0.9, 1, 1)
        )
        left -= 1
        yield _view(image, size, zoom, right, down)


def _view(
    image: Image.Image, size: tuple[int, int], zoom: float, right: float, down: float
) -> Frame:
    """Return a window of the frame's proportions, ``zoom`` of the largest, at places of 0-1."""
    scale = zoom * min(image.width / size[0], image.height / size[1])
    width, height = size[0] * scale, size[1] * scale
    x, y = right * (image.width - width), down * (image.height - height)
    box = (x, y, x + width, y + height)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box))


def encode(
    frames: Iterable[Frame],
    *,
    fps: Fraction | int = 10,
    codec: Codec = H264,
    times_ms: Iterable[int] | None = None,
    rotation: int = 0,
) -> bytes:
    """Encode frames of one size as a video file, in one thread, so that it is reproducible.

    ``times_ms``: when each frame is shown, instead of evenly; ``rotation``: degrees,
    counterclockwise, by which players turn it.
    """
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        return _encoded(frames, Fraction(fps), codec, times_ms, rotation)
    finally:
        # libsvtav1 gives the thread of a root user real-time priority, which starves all others
        os.sched_setscheduler(0, policy, priority)


def _encoded(
    frames: Iterable[Frame],
    fps: Fraction,
    codec: Codec,
    times_ms: Iterable[int] | None,
    rotation: int,
) -> bytes:
    file = io.BytesIO()
    output = av.open(file, "w", format=codec.container)
    stream: av.VideoStream | None = None
    clock = iter(times_ms) if times_ms is not None else None
    for frame in frames:
        if stream is None:
            stream = cast("av.VideoStream", output.add_stream(codec.encoder, fps))
            stream.height, stream.width = frame.shape[:2]
            stream.pix_fmt, stream.options = codec.pixels, dict(codec.options)
            stream.codec_context.thread_count = 1
            if clock is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                stream.set_display_rotation(rotation)
        picture = av.VideoFrame.from_ndarray(frame, "rgb24")
        if clock is not None:
            picture.pts, picture.time_base = next(clock), Fraction(1, 1000)
        output.mux(stream.encode(picture))
    if stream is not None:
        output.mux(stream.encode())
    output.close()
    return file.getvalue()


def decode(data: bytes) -> Iterator[Frame]:
    """Yield all frames of a video file, as they are stored."""
    with av.open(io.BytesIO(data), "r") as container:
        for frame in container.decode(video=0):
            yield cast("Frame", frame.to_ndarray(format="rgb24"))
