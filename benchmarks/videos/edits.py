"""Edit a video as people do before they send it on, with parameters drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import cast

import cv2
import numpy as np

from benchmarks.videos.sources import Source, scaled
from rig.media.videos import Codec, Frame, encode

_ROWS = 480
_CLIP_S = 5.0
_COMPILED_SOURCES = 10

Chance = np.random.Generator


@dataclass(frozen=True, slots=True)
class Edited:
    """A video file; it shows the source's times ``stored`` at its own times ``query``, in s."""

    data: bytes
    query: tuple[float, float]
    stored: tuple[float, float]
    other_sources: frozenset[str] = frozenset()
    """Names of the other sources that it shows."""


Edit = Callable[[Source, Sequence[Source], Chance], Edited]


def _mapped(change: Callable[[Source, Chance], Callable[[Frame], Frame]]) -> Edit:
    """Return an edit that does the same to each frame of the whole."""

    def edit(source: Source, _pool: Sequence[Source], chance: Chance) -> Edited:
        change_frame = change(source, chance)
        frames = map(change_frame, source.shown(_ROWS))
        data = encode(frames, fps=source.fps, codec=_codec(chance))
        return Edited(data, (0, source.seconds), (0, source.seconds))

    return edit


def _codec(chance: Chance, worst: tuple[int, int] = (20, 30)) -> Codec:
    crf = str(int(chance.integers(worst[0], worst[1] + 1)))
    return Codec(options={"preset": "ultrafast", "crf": crf})


def _low_bitrate(source: Source, _pool: Sequence[Source], chance: Chance) -> Edited:
    """Encode 480 rows at a rate at which blocks are seen."""
    data = encode(source.shown(_ROWS), fps=source.fps, codec=_codec(chance, (34, 40)))
    return Edited(data, (0, source.seconds), (0, source.seconds))


def _more_frames(source: Source, _pool: Sequence[Source], chance: Chance) -> Edited:
    """Raise the frame rate by a quarter, as from 24 to 30: frames repeated, or blended."""
    blended = bool(chance.integers(2))
    fps = source.fps * Fraction(5, 4)
    data = encode(_resampled(source.shown(_ROWS), blended=blended), fps=fps, codec=_codec(chance))
    return Edited(data, (0, source.seconds), (0, source.seconds))


def _resampled(frames: Iterable[Frame], *, blended: bool) -> Iterator[Frame]:
    """Yield five frames for each four: one of them twice, or those between blended of two."""
    before: Frame | None = None
    for at, frame in enumerate(frames):
        phase = at % 4
        if before is not None and phase and blended:
            yield cast("Frame", cv2.addWeighted(before, phase / 5, frame, 1 - phase / 5, 0))
        else:
            yield frame
        if phase == 3:
            yield frame
        before = frame


def _trimmed(source: Source, _pool: Sequence[Source], chance: Chance) -> Edited:
    """Cut out any 5 s."""
    start_s, end_s = _part(source, _CLIP_S, chance)
    frames = _between(source, source.shown(_ROWS), start_s, end_s)
    data = encode(frames, fps=source.fps, codec=_codec(chance))
    return Edited(data, (0, end_s - start_s), (start_s, end_s))


def _compilation(source: Source, pool: Sequence[Source], chance: Chance) -> Edited:
    """Place 5 to 10 s among parts of ten other videos, all at 12 frames a second."""
    start_s, end_s = _part(source, float(chance.uniform(_CLIP_S, 2 * _CLIP_S)), chance)
    picked = [pool[at] for at in chance.permutation(len(pool))[:_COMPILED_SOURCES]]
    place = int(chance.integers(len(picked) + 1))
    parts: list[tuple[Source, float, float]] = [
        (video, *_part(video, float(chance.uniform(4, 8)), chance)) for video in picked
    ]
    parts.insert(place, (source, start_s, end_s))
    width = next(source.shown(_ROWS)).shape[1]
    before_s = 0.0
    begins_s = ends_s = 0.0

    def frames() -> Iterator[Frame]:
        nonlocal before_s, begins_s, ends_s
        for at, (video, first_s, last_s) in enumerate(parts):
            begins = before_s
            count = max(round((last_s - first_s) * 12), 1)
            shown = _between(video, video.shown(_ROWS), first_s, last_s)
            for frame in _thinned(shown, float(video.fps) / 12, count):
                before_s += 1 / 12
                yield _filling(frame, width)
            if at == place:
                begins_s, ends_s = begins, before_s

    data = encode(frames(), fps=12, codec=_codec(chance))
    names = frozenset(video.name for video in picked)
    return Edited(data, (begins_s, ends_s), (start_s, end_s), names)


def _thinned(frames: Iterable[Frame], step: float, count: int) -> Iterator[Frame]:
    """Yield ``count`` frames, one of each ``step``, at most as many as there are."""
    due = 0.0
    for at, frame in enumerate(frames):
        while at + 1 > due and count:
            due += step
            count -= 1
            yield frame


def _filling(frame: Frame, width: int) -> Frame:
    """Cut the middle of the frame, so that it fills 480 rows of ``width``."""
    scale = max(width / frame.shape[1], 1)
    if scale > 1:
        frame = scaled(frame, round(frame.shape[1] * scale), round(_ROWS * scale))
    left, top = (frame.shape[1] - width) // 2, (frame.shape[0] - _ROWS) // 2
    return np.ascontiguousarray(frame[top : top + _ROWS, left : left + width])


def _letterboxed(_source: Source, chance: Chance) -> Callable[[Frame], Frame]:
    """Add black bars of 5 to 25 % above and below, or at the sides."""
    share, upright = float(chance.uniform(0.05, 0.25)), bool(chance.integers(2))

    def cropped(frame: Frame) -> Frame:
        canvas = np.zeros_like(frame)
        height, width = frame.shape[:2]
        rows, columns = (
            round(share * size) if on else 0
            for size, on in ((height, upright), (width, not upright))
        )
        inner = scaled(frame, width - 2 * columns, height - 2 * rows)
        canvas[rows : height - rows, columns : width - columns] = inner
        return canvas

    return cropped


def _mirrored(_source: Source, _chance: Chance) -> Callable[[Frame], Frame]:
    return lambda frame: np.ascontiguousarray(frame[:, ::-1])


def _logo(_source: Source, chance: Chance) -> Callable[[Frame], Frame]:
    """Add a box with a name in a corner, 10 to 20 % of the width, 4 to 8 % of the height."""
    wide, tall, opacity = chance.uniform((0.1, 0.04, 0.6), (0.2, 0.08, 1))
    right, low = chance.integers(2, size=2)
    colour = chance.integers(0, 256, 3).astype(np.uint8)

    def labelled(frame: Frame) -> Frame:
        frame = frame.copy()
        height, width = frame.shape[:2]
        box = np.tile(colour, (round(tall * height), round(wide * width), 1))
        ink = [int(255 - level) for level in colour]
        where = (box.shape[1] // 12, box.shape[0] * 2 // 3)
        cv2.putText(box, "LOGO", where, cv2.FONT_HERSHEY_SIMPLEX, box.shape[1] / 100, ink, 2)
        top = height - box.shape[0] - height // 40 if low else height // 40
        left = width - box.shape[1] - width // 40 if right else width // 40
        under = frame[top : top + box.shape[0], left : left + box.shape[1]]
        under[:] = cv2.addWeighted(box, opacity, under, 1 - opacity, 0)
        return frame

    return labelled


def _grey(_source: Source, _chance: Chance) -> Callable[[Frame], Frame]:
    def framed(frame: Frame) -> Frame:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)

    return framed


def _screen(source: Source, chance: Chance) -> Callable[[Frame], Frame]:
    """Show a desktop player: video at 55 to 85 % of the side, with other light and noise."""
    share = chance.uniform(0.55, 0.85)
    x, y = chance.uniform(0.1, 0.9, 2)
    gain, noise_levels = chance.uniform(0.85, 1.15), chance.uniform(0, 4)
    desktop = _desktop(next(source.shown(_ROWS)).shape[:2], chance)

    def recorded(frame: Frame) -> Frame:
        height, width = frame.shape[:2]
        inner = scaled(frame, round(share * width), round(share * height))
        top = round(y * (height - inner.shape[0]))
        left = round(x * (width - inner.shape[1]))
        canvas = desktop.copy()
        canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        noisy = canvas * np.float32(gain)
        noisy += np.float32(noise_levels) * chance.standard_normal(canvas.shape, np.float32)
        return noisy.clip(0, 255).astype(np.uint8)

    return recorded


def _desktop(size: tuple[int, int], chance: Chance) -> Frame:
    """Draw windows, bars and lines of text, that stand still."""
    height, width = size
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = chance.integers(0, 256, 3)
    for _ in range(12):
        top, left = int(chance.integers(height)), int(chance.integers(width))
        colour = [int(level) for level in chance.integers(0, 256, 3)]
        tall, wide = int(chance.integers(height // 2)), int(chance.integers(width // 2))
        cv2.rectangle(canvas, (left, top), (left + wide, top + tall), colour, -1)
        ink = [255 - level for level in colour]
        for line in range(top + 12, top + tall, 14):
            cv2.putText(canvas, "lorem ipsum", (left, line), cv2.FONT_HERSHEY_PLAIN, 0.8, ink)
    return canvas


def _part(source: Source, seconds: float, chance: Chance) -> tuple[float, float]:
    """Return beginning and end of any part of that length, or of the whole."""
    seconds = min(seconds, source.seconds)
    start = round(float(chance.uniform(0, source.seconds - seconds)) * source.fps)
    end = min(start + max(round(seconds * source.fps), 1), source.frames)
    return float(start / source.fps), float(end / source.fps)


def _between(
    source: Source, frames: Iterable[Frame], start_s: float, end_s: float
) -> Iterator[Frame]:
    yield from islice(frames, round(start_s * source.fps), round(end_s * source.fps))


EDITS: dict[str, Edit] = {
    "re-encoded to 480p, low bitrate": _low_bitrate,
    "24 to 30 fps": _more_frames,
    "trimmed to any 5 s": _trimmed,
    "inside a compilation of 10 others": _compilation,
    "letterboxed": _mapped(_letterboxed),
    "mirrored": _mapped(_mirrored),
    "logo": _mapped(_logo),
    "greyscale": _mapped(_grey),
    "screen-recorded with borders": _mapped(_screen),
}
