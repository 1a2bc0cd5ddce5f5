"""Load or make unrelated pictures of many kinds, and cut views of them.

They are photographs, drawings and screenshots of packages, and generated pages, screens and scenes.
Each is on one side only: it is stored, or it is looked up. A collection whose pictures show the
same things is on one side as a whole: the manual of an application shows its windows, and a few
sample pictures, over and over; a folder of drawings has one drawing in many versions.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from benchmarks.recall.originals import collection, half_of
from rig.media.layouts import BLACK, WHITE, Pixels, canvas, screenshot, text_bar
from rig.media.photographs import drawings

SIDE_PX, VIEW_PX = 256, 640
"""Side of the registered luma, and longer side of the source of a view, in pixels."""


Split = Literal[1, 2]
"""Two ways to split the sources: few pairs are on different sides in both."""


class _Collection(NamedTuple):
    """Pictures of a Debian package, all of one kind and side; the split that stores them."""

    kind: str
    folder: str
    stored: Split | None
    patterns: tuple[str, ...] = ("**/*.png",)


_COLLECTIONS = (
    _Collection(  # wesnoth-1.18-data
        "painting",
        "/usr/share/games/wesnoth/1.18/data",
        1,
        ("**/images/portraits/**/*.webp", "**/images/story/*.webp", "**/images/maps/*.webp"),
    ),
    # windows of applications: gimp-help-en, qt6-base-doc-html
    _Collection("screenshot", "/usr/share/gimp", 1, ("**/help/en/images/**/*.png",)),
    _Collection("screenshot", "/usr/share/qt6/doc", 1, ("*/images/*.png",)),
    _Collection("illustration", "/usr/share/openclipart/png", None),  # openclipart-png
    # tuxpaint-stamps-default: cut-out photographs, and drawings, of which some are openclipart's
    _Collection("stamp", "/usr/share/tuxpaint/stamps", None),
    # windows of applications: qtcreator-doc, kicad-doc-en
    _Collection("screenshot", "/usr/share/qtcreator/doc/qtcreator/images", 2, ("*.png", "*.webp")),
    _Collection("screenshot", "/usr/share/doc/kicad/help/en/images", 2),
)

_MIN_SIDE_PX = 160
_MAX_PX = 20_000_000
_TEXTURES = ("brick", "grass", "gravel", "coins", "moon", "retina", "hubble_deep_field", "page")
_GENERATED = 400


@dataclass(frozen=True, slots=True)
class Source:
    """One picture: what it is, its name, how it is loaded or made, whether it is stored.

    A source that is not stored is looked up.
    """

    kind: str
    name: str
    load: Callable[[], Pixels]
    stored: bool


def sources(folder: Path | None = None, split: Split = 1) -> list[Source]:
    """Return all sources of this machine; or a folder's photographs and the generated sources.

    Each ``split`` has other generated sources.
    """
    every = [
        _named("photograph", photograph.name, partial(getattr, photograph, "pixels"), split)
        for photograph in collection(folder)
    ]
    every += [] if folder else _packaged(split)
    generated = range(_GENERATED * (split - 1), _GENERATED * split)
    for kind, make in (("page", page_of_text), ("scene", _scene)):
        every += [_named(kind, str(at), partial(_generated, make, at), split) for at in generated]
    shown = [source for source in every if source.kind in {"photograph", "scene"}]
    return every + [_screen_of(at, shown) for at in generated]


def _named(kind: str, name: str, load: Callable[[], Pixels], split: Split) -> Source:
    """Return a source on the side that its name decides."""
    drawn = f"{kind} {name}" if split == 1 else f"{kind} {name} {split}"
    return Source(kind, name, load, half_of(drawn) == "development")


def _generated(make: Callable[[np.random.Generator], Pixels], seed: int) -> Pixels:
    return make(np.random.default_rng(seed))


def _loaded(load: Callable[[], Image.Image]) -> Pixels:
    return np.asarray(load())


def _texture(name: str) -> Pixels:
    return _colours(getattr(data, name)())


def _packaged(split: Split) -> list[Source]:
    files = dict(drawings())  # one size of each name
    every = [_named("drawing", name, partial(_loaded, load), split) for name, load in files.items()]
    every += [file for of in _COLLECTIONS for file in _files(of, stored=of.stored == split)]
    every += [_named("texture", name, partial(_texture, name), split) for name in _TEXTURES]
    return every


def _files(of: _Collection, *, stored: bool) -> Iterator[Source]:
    folder = Path(of.folder)
    for path in sorted(path for pattern in of.patterns for path in folder.glob(pattern)):
        if _fits(path):
            name = str(path.relative_to(folder).with_suffix(""))
            yield Source(of.kind, name, partial(_opened, path), stored)


def views(source: Source, places: Iterable[int], seed: int) -> Iterator[NDArray[np.uint8]]:
    """Yield luma (height, width), at most VIEW_PX, of parts of a source, as people would show it.

    View 0 is the whole source. Others have 15 to 100 % of its area and another brightness; the same
    place gives the same view. Views of one source are not independent; those of two sources are.
    """
    luma = _reduced(cv2.cvtColor(np.ascontiguousarray(source.load()), cv2.COLOR_RGB2GRAY), VIEW_PX)
    height, width = luma.shape
    name = zlib.crc32(f"{source.kind} {source.name}".encode())
    for at in places:
        rng = np.random.default_rng([seed, name, at])
        share = math.sqrt(rng.uniform(0.15, 1)) if at else 1.0
        stretch = math.exp(rng.uniform(-0.2, 0.2)) if at else 1.0
        wide = max(round(width * min(share * stretch, 1)), 1)
        tall = max(round(height * min(share / stretch, 1)), 1)
        left, top = rng.integers(0, width - wide + 1), rng.integers(0, height - tall + 1)
        gamma = math.exp(rng.uniform(-0.4, 0.4)) if at else 1.0
        yield _gamma(round(gamma, 1))[luma[top : top + tall, left : left + wide]]


def square(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Average to SIDE_PX x SIDE_PX."""
    how = cv2.INTER_AREA if min(luma.shape) >= SIDE_PX else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(luma, (SIDE_PX, SIDE_PX), interpolation=how), np.uint8)


def file_of(luma: NDArray[np.uint8]) -> bytes:
    """Encode as a JPEG file."""
    return cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _reduced(luma: Pixels, side_px: int) -> Pixels:
    scale = side_px / max(luma.shape)
    if scale >= 1:
        return luma
    return cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


@lru_cache(maxsize=32)
def _gamma(exponent: float) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = (255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return levels


def _fits(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            return min(image.size) >= _MIN_SIDE_PX and math.prod(image.size) <= _MAX_PX
    except Image.DecompressionBombError:
        return False


def _opened(path: Path) -> Pixels:
    with Image.open(path) as image:
        image.thumbnail((1200, 1200))
        colours = image.convert("RGBA")
    page = Image.new("RGB", colours.size, "white")
    page.paste(colours, mask=colours.getchannel("A"))
    return np.asarray(page)


def _colours(pixels: NDArray[np.uint8]) -> Pixels:
    return np.ascontiguousarray(np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels)


def page_of_text(rng: np.random.Generator) -> Pixels:
    """Draw a page of text under a heading, now and then with a plain box."""
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
    """Draw flat shapes on a gradient: an illustration, or a moment of an animation."""
    height, width = 600, int(rng.integers(450, 1000))
    page = np.ascontiguousarray(canvas(height, width, rng, gradient=True))
    for _ in range(int(rng.integers(4, 25))):
        colour = tuple(int(level) for level in rng.integers(0, 256, 3))
        middle = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = tuple(int(length) for length in rng.integers(15, 220, 2))
        if rng.random() < 0.6:
            cv2.ellipse(page, middle, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1)
        else:
            corners = np.array(middle) + rng.integers(-200, 200, (int(rng.integers(3, 6)), 2))
            cv2.fillPoly(page, [corners.astype(np.int32)], colour)
    return page


def _screen_of(at: int, every: list[Source]) -> Source:
    """Return a screen that shows a picture of its own side."""
    stored = half_of(f"screen {at}") == "development"
    mine = [source for source in every if source.stored == stored]
    return Source("screen", str(at), lambda: _screen(at, mine), stored)


def _screen(at: int, sources: list[Source]) -> Pixels:
    rng = np.random.default_rng(at)
    layout = ("feed", "chat", "viewer")[rng.integers(3)]
    shown = sources[rng.integers(len(sources))].load()
    return screenshot(shown, rng, layout=layout, dark=bool(rng.random() < 0.5))
