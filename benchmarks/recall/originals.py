"""Photographs to measure recall with: found, made distinct, split in halves, framed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Literal

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness.hash_sets import cache_dir
from rig.media.layouts import Pixels
from rig.media.photographs import Picture, is_added, opened, photographs

Half = Literal["development", "held-out", "unseen"]
"""``unseen`` photographs were added after parameters had been chosen on the others."""

SIDE_PX = 1600
"""Longest side that an original is taken from."""

ORIGINALS = 3
"""Pictures made of each photograph: all of it, and two as another camera would have framed it."""

_ASPECTS = (3 / 4, 2 / 3, 9 / 16, 1, 4 / 3, 3 / 2)
_THUMBNAIL_PX = 96
_SAME = 0.75
"""Correlation from which two pictures count as showing the same."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """A photograph on disk, and the half it belongs to."""

    name: str
    path: Path
    half: Half

    @property
    def pixels(self) -> Pixels:
        """Decoded pixels, at most SIDE_PX long; the last few are kept."""
        return _read(self.path)

    def original(self, number: int) -> Pixels:
        """Return original 0, 1 or 2: the same one every time."""
        pixels = self.pixels
        if number == 0:
            return pixels
        rng = np.random.default_rng([number, *self.name.encode()])
        height, width = pixels.shape[:2]
        aspect, share = rng.choice(_ASPECTS), rng.uniform(0.75, 1)
        wide = round(share * min(width, height * aspect))
        tall = round(wide / aspect)
        top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
        return pixels[top : top + tall, left : left + wide]


folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Pictures to use instead of the packages'.",
)


def collection(folder: Path | None = None) -> list[Photograph]:
    """Return the distinct photographs of a folder, or of this machine's packages, by name."""
    loaders = _in_folder(folder) if folder else photographs()
    kept = cache_dir() / f"photographs-{SIDE_PX}{'-' + _digest(str(folder)) if folder else ''}"
    kept.mkdir(exist_ok=True)
    paths = {name: _kept(name, load, kept) for name, load in loaders}
    listed = kept / f"distinct-{_digest(' '.join(sorted(paths)))}.json"
    if not listed.exists():
        listed.write_text(json.dumps(_distinct(paths)))
    distinct = json.loads(listed.read_text())
    return [
        Photograph(name, paths[name], "unseen" if not folder and is_added(name) else half_of(name))
        for name in sorted(distinct)
    ]


def half_of(name: str) -> Half:
    """Return the half of a photograph, by its name: adding others does not change it."""
    return "development" if int(_digest(name), 16) % 2 else "held-out"


def encoded(pixels: Pixels, quality: int = 92) -> bytes:
    """Encode as a JPEG file."""
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return file.tobytes()


def _in_folder(folder: Path) -> Iterable[Picture]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}:
            yield path.name, partial(opened, path)


def _kept(name: str, load: Callable[[], Image.Image], folder: Path) -> Path:
    path = folder / f"{_digest(name)}.jpg"
    if not path.exists():
        picture = load()
        picture.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=95)
        path.write_bytes(file.getvalue())
    return path


def _distinct(paths: dict[str, Path]) -> list[str]:
    """Return names of photographs none of which shows what another shows, larger ones first.

    Those that were added come last, so that they replace none.
    """
    large = sorted(paths, key=lambda name: (is_added(name), -_read(paths[name]).size))
    thumbnails = {name: _thumbnail(_read(paths[name])) for name in large}
    distinct: list[str] = []
    for name in large:
        if not any(_contains(thumbnails[kept_name], thumbnails[name]) for kept_name in distinct):
            distinct.append(name)
    return distinct


def _contains(whole: NDArray[np.float32], part: NDArray[np.float32]) -> bool:
    """Tell whether ``part``, or the middle of it, is found in ``whole`` at some scale."""
    height, width = part.shape
    middle = part[height // 8 : height - height // 8, width // 8 : width - width // 8]
    for scale in np.geomspace(0.4, 1.3, 14):
        size = [max(round(length * scale), 8) for length in middle.shape[::-1]]
        if size[0] <= whole.shape[1] and size[1] <= whole.shape[0]:
            small = cv2.resize(middle, size, interpolation=cv2.INTER_AREA)
            if (
                small.std() > 1
                and cv2.matchTemplate(whole, small, cv2.TM_CCOEFF_NORMED).max() > _SAME
            ):
                return True
    return False


def _thumbnail(pixels: Pixels) -> NDArray[np.float32]:
    """Return small luma without its coarse parts: sky over land is not yet the same picture."""
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = _THUMBNAIL_PX / min(luma.shape)
    small = cv2.resize(luma, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) - cv2.GaussianBlur(small, (0, 0), 4)


def chosen(
    photographs: Sequence[Photograph], half: Half | Literal["all"], most: int | None
) -> list[Photograph]:
    """Return at most ``most`` photographs of a half, or of all."""
    return [photograph for photograph in photographs if half in {photograph.half, "all"}][:most]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=4)
def _read(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))
