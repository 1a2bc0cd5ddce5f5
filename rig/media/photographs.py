"""Load real photographs of packages, and encode them as people send them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.data import data_dir

from rig.media.added_photographs import ADDED

_WALLPAPERS = (
    (Path("/usr/share/backgrounds/budgie"), "*.jpg"),
    (Path("/usr/share/wallpapers"), "*/contents/images/*x*.jpg"),
    (Path("/usr/share/backgrounds/mate/nature"), "*.jpg"),
    (Path("/usr/share/backgrounds"), "*_by_*.jpg"),
)
"""Folders of Debian's budgie-backgrounds, plasma-workspace-wallpapers, mate-backgrounds,
lomiri-wallpapers-16.04 and -20.04. Pictures of 1 to 25 MP."""

_DRAWINGS = (
    (Path("/usr/share/wallpapers"), "*/contents/images/*x*.png"),
    (Path("/usr/share/backgrounds/gnome"), "*.jpg"),
    (Path("/usr/share/backgrounds"), "*.png"),
)
"""Files of the same packages and gnome-backgrounds that are all drawings."""

_DRAWN = {
    *("abstract-spiral", "valley-midnight", "waves-midnight", "Flow", "Kite", "Opal", "Volna"),
    *("Honeywave", "PastelHills", "SafeLanding", "Shell", "Fossa_by_Jasper_Roks"),
    *("Painting-Colors_by__herobrine7gamer", "Infinite-Sea_by_Aury88", "umang_by_Abhishek_Mudgal"),
    "analogpattern_by_Peter_Nerlich",
}

_CACHE = Path(__file__).parents[2] / ".cache/photographs"

_SELECTED = {
    "palapeli-data": (
        "usr/share/palapeli/collection",
        (
            "castle-maintenon.jpg cincinnati-bridge.jpg citrus-fruits.jpg european-honey-bee.jpg "
            "panther-chameleon-female.jpg"
        ),
    ),
    "lxqt-themes": (
        "usr/share/lxqt/wallpapers",
        (
            "Butterfly-Kenneth-Wimer.jpg Valendas.png after-the-rain.jpg appleflower.png beam.png "
            "butterfly.png cloud.png drop.png flowers.png fog.jpg this-is-not-windows.jpg"
        ),
    ),
    "tuxpaint-data": (
        "usr/share/tuxpaint/templates",
        (
            "burnt_bark.jpg cliff.jpg clouds_from_airplane.jpg corn_maze.jpg jellyfish.jpg "
            "lighthouse.jpg lough_leane.jpg mossy_log.jpg mudstone.jpg ocean_splash.jpg "
            "ocean_waves.jpg redwoods_above.jpg rocks.jpg sheep.jpg spiders_web.jpg "
            "sun_behind_clouds.jpg sun_behind_leaves.jpg wool_mill_machine.jpg"
        ),
    ),
    "kphotoalbum": (
        "usr/share/kphotoalbum/demo",
        (
            "bar55.jpg blackie.jpg cold_water.jpg donna.jpg donna_2.jpg grand_canyon_2.jpg "
            "grand_canyon_3.jpg jesper.jpg jesper_2.jpg new_wave_2.jpg pool.jpg qt-logo.jpg "
            "skagen.jpg skagen_2.jpg snow.jpg spiff.jpg spiff_2.jpg sunset.jpg"
        ),
    ),
    "startbootstrap-agency": ("dist/assets/img", "header-bg.jpg"),
    "startbootstrap-clean-blog": (
        "dist/assets/img",
        "about-bg.jpg contact-bg.jpg home-bg.jpg post-bg.jpg",
    ),
    "startbootstrap-creative": ("dist/assets/img", "bg-masthead.jpg"),
    "startbootstrap-grayscale": ("dist/assets/img", "bg-masthead.jpg bg-signup.jpg"),
    "startbootstrap-landing-page": (
        "dist/assets/img",
        "bg-masthead.jpg bg-showcase-1.jpg bg-showcase-3.jpg",
    ),
    "startbootstrap-stylish-portfolio": ("dist/assets/img", "bg-callout.jpg"),
}
"""Package, folder in it, files. The packages are only read: scripts/system-packages says how. Their
other pictures are drawings, smaller than 800 px, not upright, of large text, or resemble a file of
the list."""

_PACKAGED = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
_SAMPLES = ("china.jpg", "flower.jpg")

EVERYWHERE = range(-len(_PACKAGED + _SAMPLES), 0)
"""Places of the photographs that every machine has, counted from the last one."""

_GRAIN_LEVELS = 5
"""Camera noise, which an enlarged photograph lacks; without it, files would be too small."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: longest side or area in pixels, format and options of Pillow."""

    format: str
    options: dict[str, Any]
    side_px: int = 0
    area_px: int = 0


KINDS = {
    "jpeg_720": Kind("JPEG", {"quality": 85}, side_px=720),
    "jpeg_1920": Kind("JPEG", {"quality": 88}, side_px=1920),
    "jpeg_12mp": Kind("JPEG", {"quality": 92}, area_px=12_000_000),
    "jpeg_24mp": Kind("JPEG", {"quality": 92}, area_px=24_000_000),
    "png_1920": Kind("PNG", {"compress_level": 1}, side_px=1920),
    "webp_1920": Kind("WEBP", {"quality": 85, "method": 2}, side_px=1920),
    "heic_1920": Kind("HEIF", {"quality": 80}, side_px=1920),
    "avif_1920": Kind("AVIF", {"quality": 75, "speed": 10}, side_px=1920),
}


Picture = tuple[str, Callable[[], Image.Image]]


def photographs() -> Iterator[Picture]:
    """Yield name and loader of each photograph on this machine, ``EVERYWHERE`` last."""
    yield from (picture for picture in _files(_WALLPAPERS) if picture[0] not in _DRAWN)
    yield from _selected(_SELECTED)
    yield from _selected(ADDED)
    for name in _PACKAGED:
        path = Path(data_dir) / name
        yield path.stem, partial(opened, path)
    # Importing sklearn would take a second.
    (sklearn,) = getattr(find_spec("sklearn"), "submodule_search_locations", None) or [""]
    for name in _SAMPLES:
        path = Path(sklearn) / "datasets" / "images" / name
        yield path.stem, partial(opened, path)


def drawings() -> Iterator[Picture]:
    """Yield illustrations and computer graphics, as ``photographs`` does."""
    yield from _files(_DRAWINGS)
    yield from (picture for picture in _files(_WALLPAPERS) if picture[0] in _DRAWN)


def opened(path: Path) -> Image.Image:
    """Open a picture in RGB."""
    return Image.open(path).convert("RGB")


def is_added(name: str) -> bool:
    """Tell whether a photograph was added after parameters had been chosen."""
    return name in _added()


@cache
def _added() -> frozenset[str]:
    return frozenset(name for name, _ in _selected(ADDED))


def _selected(packages: Mapping[str, tuple[str, str]]) -> Iterator[Picture]:
    for package, (folder, names) in packages.items():
        within = package if folder.startswith("usr/") else f"node_modules/{package}"
        for name in names.split():
            path = _CACHE / within / folder / name
            if path.exists():
                yield f"{package}-{path.stem}", partial(opened, path)


def _files(folders: tuple[tuple[Path, str], ...]) -> Iterator[Picture]:
    for folder, pattern in folders:
        for path in sorted(folder.glob(pattern)):
            name = path.stem if "contents" not in path.parts else path.parts[-4]
            if not path.is_symlink():
                yield name, partial(opened, path)


def encode(photograph: Image.Image, kind: Kind) -> bytes:
    """Encode a photograph at the size of a kind; if that enlarges it, add a fixed grain."""
    longest = max(photograph.size)
    scale = (
        kind.side_px / longest
        if kind.side_px
        else (kind.area_px / (photograph.width * photograph.height)) ** 0.5
    )
    size = round(photograph.width * scale), round(photograph.height * scale)
    image = photograph.resize(size, Image.Resampling.LANCZOS)
    if scale > 1:
        shape = (image.height, image.width, 3)
        grain = np.random.default_rng(1).normal(0, _GRAIN_LEVELS, shape).astype(np.float32)
        image = Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
    file = io.BytesIO()
    image.save(file, kind.format, **kind.options)
    return file.getvalue()
