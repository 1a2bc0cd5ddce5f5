"""Pictures of many kinds that have nothing to do with each other, and views of them.

Photographs, drawings and screenshots of packages, and generated pages, screens and scenes. Each is
on one side only: what is stored, or what is looked up.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from benchmarks.layouts import BLACK, WHITE, Pixels, canvas, screenshot, text_bar
from benchmarks.originals import collection, half_of
from benchmarks.photographs import drawings

SIDE_PX, FILE_PX = 256, 720
"""Of the luma that is registered, and of the files that are looked up."""

_FOLDERS = {
    "stamp": (Path("/usr/share/tuxpaint/stamps"), "**/*.png"),
    "illustration": (Path("/usr/share/openclipart/png"), "**/*.png"),
    "screenshot": (Path("/usr/share/gimp"), "*/help/en/images/**/*.png"),
}
"""Of Debian: tuxpaint-stamps-default (cut-out photographs and drawings), openclipart-png and
gimp-help-en (windows of an application)."""

_MIN_SIDE_PX = 160
_MOST_OF_A_KIND = 3000
_TEXTURES = ("brick", "grass", "gravel", "coins", "moon", "retina", "hubble_deep_field", "page")
_GENERATED = 400


@dataclass(frozen=True, slots=True)
class Source:
    """One picture: what it is, its name, and how it is loaded or made."""

    kind: str
    name: str
    load: Callable[[], Pixels]

    @property
    def stored(self) -> bool:
        """Whether it is stored, and not looked up."""
        return half_of(f"{self.kind} {self.name}") == "development"


def sources(folder: Path | None = None) -> list[Source]:
    """All there are on this machine; or the photographs of a folder, and what is generated."""
    every = [
        Source("photograph", one.name, lambda one=one: one.pixels)  # type: ignore[misc]
        for one in collection(folder)
    ]
    every += [] if folder else _packaged()
    for kind, make in (("page", _page), ("scene", _scene)):
        every += [
            Source(kind, str(at), lambda at=at, make=make: make(np.random.default_rng(at)))  # type: ignore[misc]
            for at in range(_GENERATED)
        ]
    # a screen shows what is on its own side only
    shown = [one for one in every if one.kind in {"photograph", "scene"}]
    for at in range(_GENERATED):
        probe = Source("screen", str(at), lambda: np.zeros((1, 1, 3), np.uint8))
        mine = [one for one in shown if one.stored == probe.stored]
        every.append(
            Source("screen", str(at), lambda at=at, mine=mine: _screen(at, mine))  # type: ignore[misc]
        )
    return every


def _packaged() -> list[Source]:
    every = [
        Source("drawing", name, lambda load=load: np.asarray(load()))  # type: ignore[misc]
        for name, load in drawings()
    ]
    for kind, (place, pattern) in _FOLDERS.items():
        paths = sorted(place.glob(pattern), key=lambda path: zlib.crc32(path.name.encode()))
        every += [
            Source(kind, path.stem, lambda path=path: _opened(path))  # type: ignore[misc]
            for path in paths[:_MOST_OF_A_KIND]
            if _large(path)
        ]
    every += [
        Source("texture", name, lambda name=name: _colours(getattr(data, name)()))  # type: ignore[misc]
        for name in _TEXTURES
    ]
    return every


def views(source: Source, count: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Luma (height, width) of parts of a source, as other people would show it.

    The first is all of it. Others have 15 to 100 % of its area and another brightness. They are
    not independent of each other; those of two sources are.
    """
    rng = np.random.default_rng([seed, zlib.crc32(f"{source.kind} {source.name}".encode())])
    luma = cv2.cvtColor(np.ascontiguousarray(source.load()), cv2.COLOR_RGB2GRAY)
    height, width = luma.shape
    for at in range(count):
        share = math.sqrt(rng.uniform(0.15, 1)) if at else 1.0
        stretch = math.exp(rng.uniform(-0.2, 0.2)) if at else 1.0
        wide = max(round(width * min(share * stretch, 1)), 1)
        tall = max(round(height * min(share / stretch, 1)), 1)
        left, top = rng.integers(0, width - wide + 1), rng.integers(0, height - tall + 1)
        gamma = math.exp(rng.uniform(-0.4, 0.4)) if at else 1.0
        yield _gamma(round(gamma, 1))[luma[top : top + tall, left : left + wide]]


def square(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Averaged to SIDE_PX x SIDE_PX."""
    how = cv2.INTER_AREA if min(luma.shape) >= SIDE_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(luma, (SIDE_PX, SIDE_PX), interpolation=how), np.uint8)


def file_of(luma: NDArray[np.uint8]) -> bytes:
    """JPEG of at most FILE_PX a side."""
    scale = min(FILE_PX / max(luma.shape), 1)
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


@lru_cache(maxsize=32)
def _gamma(exponent: float) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = (255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return levels


def _large(path: Path) -> bool:
    with Image.open(path) as image:
        return min(image.size) >= _MIN_SIDE_PX


def _opened(path: Path) -> Pixels:
    with Image.open(path) as image:
        image.thumbnail((1200, 1200))
        colours = image.convert("RGBA")
    page = Image.new("RGB", colours.size, "white")
    page.paste(colours, mask=colours.getchannel("A"))
    return np.asarray(page)


def _colours(pixels: NDArray[np.uint8]) -> Pixels:
    return np.ascontiguousarray(np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels)


def _page(rng: np.random.Generator) -> Pixels:
    """A page of text under a heading, now and then with a plain box."""
    width = 800
    parts = [text_bar(int(rng.integers(60, 140)), width, rng, BLACK, WHITE, lines=1)]
    while sum(map(len, parts)) < 1100:
        lines = int(rng.integers(2, 9))
        parts.append(text_bar(26 * (lines + 1), width, rng, BLACK, WHITE, lines=lines))
        if rng.random() < 0.2:
            box = canvas(int(rng.integers(80, 260)), width, rng)
            parts.append(box)
    return np.concatenate(parts)[:1131]


def _scene(rng: np.random.Generator) -> Pixels:
    """Flat shapes on a gradient: an illustration, or a moment of an animation."""
    height, width = 600, int(rng.integers(450, 1000))
    page = np.ascontiguousarray(canvas(height, width, rng, gradient=True))
    for _ in range(int(rng.integers(4, 25))):
        colour = tuple(int(one) for one in rng.integers(0, 256, 3))
        middle = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = tuple(int(one) for one in rng.integers(15, 220, 2))
        if rng.random() < 0.6:
            cv2.ellipse(page, middle, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            corners = np.array(middle) + rng.integers(-200, 200, (int(rng.integers(3, 6)), 2))
            cv2.fillPoly(page, [corners.astype(np.int32)], colour)
    return page


def _screen(at: int, sources: list[Source]) -> Pixels:
    rng = np.random.default_rng(at)
    layout = ("feed", "chat", "viewer")[rng.integers(3)]
    shown = sources[rng.integers(len(sources))].load()
    return screenshot(shown, rng, layout=layout, dark=bool(rng.random() < 0.5))
