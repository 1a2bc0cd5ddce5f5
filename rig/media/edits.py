"""Edit a picture as people do before they upload it again, with parameters drawn at random.

Each edit takes a scene and returns the edited pixels and its strength, the number that recall is
plotted against. Edits do not know what is registered: their parameters are continuous.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from rig.media.layouts import BLACK, WHITE, Pixels, canvas, fitted, paste, screenshot, text_bar


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture to edit, its source of random numbers, and other pictures to put beside it."""

    pixels: Pixels
    rng: np.random.Generator
    other: Callable[[], Pixels]
    encoding: dict[str, int] = field(default_factory=dict)
    """An edit's choices about the file: ``quality`` of the JPEG, ``side_px`` of the copy."""


Edited = tuple[Pixels, float]
Edit = Callable[[Scene], Edited]


# Photometric edits and re-encoding


def jpeg(scene: Scene) -> Edited:
    """Save again as JPEG of quality 15-95."""
    scene.encoding["quality"] = int(scene.rng.integers(15, 96))
    return scene.pixels, scene.encoding["quality"]


def resize(scene: Scene) -> Edited:
    """Scale to 160-2000 px, small sizes as often as large ones."""
    scene.encoding["side_px"] = round(math.exp(scene.rng.uniform(math.log(160), math.log(2000))))
    return scene.pixels, scene.encoding["side_px"]


def blur(scene: Scene) -> Edited:
    """Blur by a Gaussian of up to 0.6 % of the longer side."""
    share = scene.rng.uniform(0.05, 0.6)
    return cv2.GaussianBlur(scene.pixels, (0, 0), share / 100 * max(scene.pixels.shape)), share


def noise(scene: Scene) -> Edited:
    """Add grain of up to 20 levels."""
    levels = scene.rng.uniform(2, 20)
    grain = scene.rng.normal(0, levels, scene.pixels.shape).astype(np.float32)
    return _clipped(scene.pixels + grain), levels


def gamma(scene: Scene) -> Edited:
    """Apply a gamma of 0.6 to 1.7."""
    exponent = math.exp(scene.rng.uniform(math.log(0.6), math.log(1.7)))
    return _looked_up(scene.pixels, 255 * (np.arange(256) / 255) ** exponent), exponent


def contrast(scene: Scene) -> Edited:
    """Change contrast by at most 40 %, around the mean; what leaves the range is clipped."""
    change = scene.rng.uniform(-40, 40)
    mean = float(scene.pixels.mean())
    return _looked_up(scene.pixels, mean + (np.arange(256) - mean) * (1 + change / 100)), change


def grey(scene: Scene) -> Edited:
    """Convert to greyscale."""
    return _saturated(scene.pixels, 0), 0


def sepia(scene: Scene) -> Edited:
    """Tint sepia, wholly or in part."""
    share = scene.rng.uniform(0.5, 1)
    matrix = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])
    toned = cv2.transform(scene.pixels, matrix)
    return cv2.addWeighted(toned, share, scene.pixels, 1 - share, 0), share


def saturation(scene: Scene) -> Edited:
    """Make colours fainter or stronger, up to double."""
    factor = scene.rng.uniform(0, 2)
    return _saturated(scene.pixels, factor), factor


# Mirror and turns


def mirror(scene: Scene) -> Edited:
    """Mirror left to right."""
    return np.ascontiguousarray(scene.pixels[:, ::-1]), 0


def turn(scene: Scene, *, degrees: int) -> Edited:
    """Turn clockwise by quarter turns."""
    return np.ascontiguousarray(np.rot90(scene.pixels, -degrees // 90)), degrees


# Crops


def crop_sides(scene: Scene) -> Edited:
    """Crop 0 to 15 % off each side, independently."""
    left, top, right, bottom = scene.rng.uniform(0, 0.15, 4)
    strength = 100 * max(left, top, right, bottom)
    return cropped(scene.pixels, left, top, 1 - right, 1 - bottom), strength


def crop_centre(scene: Scene) -> Edited:
    """Crop 0 to 30 % off width and height, half on each side."""
    share = scene.rng.uniform(0, 0.3)
    return cropped(scene.pixels, share / 2, share / 2, 1 - share / 2, 1 - share / 2), 100 * share


def crop_aspect(scene: Scene, *, aspect: float, anywhere: bool = False) -> Edited:
    """Crop to an aspect ratio (width over height), as large as fits: in the middle, or anywhere."""
    place = scene.rng.uniform(0, 1) if anywhere else 0.5
    pixels, kept = to_aspect(scene.pixels, aspect, place)
    return pixels, 100 * (1 - kept)


def crop_anywhere(scene: Scene) -> Edited:
    """Crop to 1:1, 4:5 or 9:16 at a random place."""
    aspect = (1, 4 / 5, 9 / 16)[scene.rng.integers(3)]
    return crop_aspect(scene, aspect=aspect, anywhere=True)


# Borders


def letterbox(scene: Scene) -> Edited:
    """Add bars above and below, 4 to 45 % of the height together, not always equal."""
    return _bars(scene, upright=False)


def pillarbox(scene: Scene) -> Edited:
    """Add bars left and right, 4 to 45 % of the width together, not always equal."""
    return _bars(scene, upright=True)


def frame(scene: Scene) -> Edited:
    """Add a frame of one colour or a gradient, 2 to 15 % of the shorter side."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    share = rng.uniform(0.02, 0.15)
    border = round(share * min(height, width))
    page = canvas(height + 2 * border, width + 2 * border, rng, gradient=rng.random() < 0.3)
    return paste(page, scene.pixels, border, border), 100 * share


def story(scene: Scene) -> Edited:
    """Put the picture on a 9:16 blurred, darkened copy of itself; at times rounded or inset."""
    rng = scene.rng
    page = cv2.resize(
        to_aspect(scene.pixels, 9 / 16, 0.5)[0], (1080, 1920), interpolation=cv2.INTER_AREA
    )
    page = cv2.GaussianBlur(page, (0, 0), rng.uniform(18, 60))
    page = _clipped(page * np.float32(rng.uniform(0.5, 1)))
    inset = 0 if rng.random() < 0.4 else rng.uniform(0.02, 0.1)
    picture = fitted(scene.pixels, round(1080 * (1 - 2 * inset)), 1700)
    left, top = (1080 - picture.shape[1]) // 2, (1920 - picture.shape[0]) // 2
    top += round(rng.uniform(-0.3, 0.3) * top)
    radius = round(rng.uniform(0, 40)) if inset else 0
    return paste(page, picture, top, left, radius), 100 * inset


# Captions, screens, collages


def caption_bar(scene: Scene) -> Edited:
    """Add a bar with one or two lines, below or above, black on white or white on black."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    share = rng.uniform(0.06, 0.2)
    ink, paper = (BLACK, WHITE) if rng.random() < 0.5 else (WHITE, BLACK)
    bar = text_bar(round(share * height), width, rng, ink, paper, lines=int(rng.integers(1, 3)))
    parts = [scene.pixels, bar] if rng.random() < 0.6 else [bar, scene.pixels]
    return np.concatenate(parts), 100 * share


def meme_header(scene: Scene) -> Edited:
    """Add a white header of two to four lines, and at times white sides and bottom."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    share = rng.uniform(0.15, 0.4)
    margin = round(rng.uniform(0.01, 0.05) * width) if rng.random() < 0.5 else 0
    header = text_bar(
        round(share * height), width + 2 * margin, rng, BLACK, WHITE, lines=int(rng.integers(2, 5))
    )
    page = np.full((height + margin, width + 2 * margin, 3), 255, np.uint8)
    return np.concatenate([header, paste(page, scene.pixels, 0, margin)]), 100 * share


def screen(scene: Scene, *, layout: str, dark: bool) -> Edited:
    """Make a screenshot of a phone that shows the picture."""
    return screenshot(scene.pixels, scene.rng, layout=layout, dark=dark), 0


def collage(scene: Scene, *, cells: int) -> Edited:
    """Place the picture beside 1 to 3 others, without or with gutters.

    Cells have the shape of the picture, or are 1:1 or 4:5 and show its middle.
    """
    rng = scene.rng
    height, width = scene.pixels.shape[:2]
    aspect = (width / height, width / height, 1, 4 / 5)[rng.integers(4)]
    cell_px = 640
    cell = (round(cell_px / max(aspect, 1)), round(cell_px * min(aspect, 1)))
    gutter = int(rng.integers(2, 24)) if rng.random() < 0.5 else 0
    boxes = _boxes(cells, *cell, gutter, upright=bool(rng.random() < 0.5))
    bottom, right = (max(box[at] + box[at + 2] for box in boxes) for at in (0, 1))
    page = canvas(bottom + gutter, right + gutter, rng)
    mine = int(rng.integers(len(boxes)))
    for at, (top, left, tall, wide) in enumerate(boxes):
        pixels = scene.pixels if at == mine else scene.other()
        part, _ = to_aspect(pixels, wide / tall, 0.5)
        shown = cv2.resize(part, (wide, tall), interpolation=cv2.INTER_AREA)
        page = paste(page, shown, top, left)
    scene.encoding["side_px"] = int(rng.integers(1080, 1921))
    return page, cells


# Small rotations, stickers


def rotation(scene: Scene) -> Edited:
    """Rotate up to 5 degrees either way; crop the corners off, or fill them."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    degrees = rng.uniform(0.2, 5) * rng.choice([-1, 1])
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    colour = BLACK if rng.random() < 0.5 else WHITE
    turned = cv2.warpAffine(scene.pixels, matrix, (width, height), borderValue=colour)
    if rng.random() < 0.6:
        sine, cosine = math.sin(math.radians(abs(degrees))), math.cos(math.radians(degrees))
        kept = 1 / (cosine + sine * max(width, height) / min(width, height))
        turned = cropped(turned, (1 - kept) / 2, (1 - kept) / 2, (1 + kept) / 2, (1 + kept) / 2)
    return turned, abs(degrees)


def sticker(scene: Scene, *, blurred: bool, most: float = 0.08) -> Edited:
    """Cover 1 % to ``most`` of the area anywhere with an opaque sticker, or blur it away."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    share, aspect = rng.uniform(0.01, most), math.exp(rng.uniform(-0.7, 0.7))
    wide = min(round(math.sqrt(share * height * width * aspect)), width)
    tall = min(round(share * height * width / wide), height)
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    pixels = scene.pixels.copy()
    part = pixels[top : top + tall, left : left + wide]
    if blurred:
        part[:] = cv2.blur(part, (max(wide // 3, 3), max(tall // 3, 3)))
    else:
        middle = (wide // 2, tall // 2)
        colour = tuple(int(level) for level in rng.integers(0, 256, 3))
        shown = np.ascontiguousarray(part)
        cv2.ellipse(shown, middle, middle, 0, 0, 360, colour, -1)
        cv2.circle(shown, middle, max(min(middle) // 3, 1), (255 - colour[0], 40, 90), -1)
        part[:] = shown
    return pixels, 100 * share


GROUPS: dict[str, dict[str, Edit]] = {
    "photometric": {
        edit.__name__: edit
        for edit in (jpeg, resize, blur, noise, gamma, contrast, grey, sepia, saturation)
    },
    "turned": {
        "mirror": mirror,
        **{f"rotate_{degrees}": partial(turn, degrees=degrees) for degrees in (90, 180, 270)},
    },
    "crop_sides": {"crop_sides": crop_sides},
    "crop_shape": {
        "crop_centre": crop_centre,
        "crop_1_1": partial(crop_aspect, aspect=1),
        "crop_4_5": partial(crop_aspect, aspect=4 / 5),
        "crop_9_16": partial(crop_aspect, aspect=9 / 16),
    },
    "border": {edit.__name__: edit for edit in (letterbox, pillarbox, frame, story)},
    "screen": {
        "caption_bar": caption_bar,
        "meme_header": meme_header,
        **{
            f"screenshot_{layout}_{'dark' if dark else 'light'}": partial(
                screen, layout=layout, dark=dark
            )
            for layout in ("feed", "chat", "viewer")
            for dark in (False, True)
        },
        **{f"collage_{cells}": partial(collage, cells=cells) for cells in (2, 3, 4)},
    },
    "rotation": {"rotation": rotation},
    "sticker": {
        "opaque_sticker": partial(sticker, blurred=False),
        "blurred_part": partial(sticker, blurred=True),
    },
    "crop_anywhere": {"crop_anywhere": crop_anywhere},
}
"""Edits by the row of the promised table that they belong to; the last group has no promise."""

_PAIRED = ("photometric", "turned", "crop_sides", "crop_shape", "border", "screen")


def two_edits(scene: Scene) -> Edited:
    """Apply two edits of different groups, in the order in which a person would do them."""
    rng = scene.rng
    first, second = sorted(rng.choice(len(_PAIRED), 2, replace=False))
    # People crop or mirror a picture first, and put it on a screen or in a frame after that.
    # Changes of all pixels come last.
    groups = [_PAIRED[at] for at in (first, second)]
    if "photometric" in groups:
        groups.reverse()
    for group in groups:
        edits = list(GROUPS[group].values())
        edit = edits[rng.integers(len(edits))]
        scene = replace(scene, pixels=edit(scene)[0])
    return scene.pixels, 0


EDITS: dict[str, tuple[str, Edit]] = {
    **{name: (group, edit) for group, edits in GROUPS.items() for name, edit in edits.items()},
    "two_edits": ("two_edits", two_edits),
}
"""Group and function of each edit by its name."""


def upload(edit: Edit, scene: Scene) -> tuple[bytes, float]:
    """Return the file of the edited picture as uploaded, a JPEG, and the edit's strength.

    It has 720 to 1920 px and quality 70-95, unless the edit chooses otherwise.
    """
    rng = scene.rng
    pixels, strength = edit(scene)
    side_px = scene.encoding.get("side_px") or int(rng.integers(720, 1921))
    quality = scene.encoding.get("quality") or int(rng.integers(70, 96))
    longest = max(pixels.shape)
    if longest != side_px:
        size = [max(round(length * side_px / longest), 1) for length in pixels.shape[1::-1]]
        how = cv2.INTER_AREA if side_px < longest else cv2.INTER_CUBIC
        pixels = cv2.resize(pixels, size, interpolation=how)
    _, file = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return file.tobytes(), strength


def _clipped(values: NDArray[np.floating]) -> Pixels:
    return values.clip(0, 255).astype(np.uint8)


def _looked_up(pixels: Pixels, table: NDArray[np.floating]) -> Pixels:
    return cv2.LUT(pixels, _clipped(table + 0.5))


def _saturated(pixels: Pixels, factor: float) -> Pixels:
    luma = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(pixels, factor, luma, 1 - factor, 0)


def cropped(pixels: Pixels, left: float, top: float, right: float, bottom: float) -> Pixels:
    """Return the part between these shares of the width and height."""
    height, width = pixels.shape[:2]
    return pixels[
        round(top * height) : round(bottom * height), round(left * width) : round(right * width)
    ]


def to_aspect(pixels: Pixels, aspect: float, place: float) -> tuple[Pixels, float]:
    """Return the largest part of an aspect ratio at a place of 0 to 1, and its share."""
    height, width = pixels.shape[:2]
    if width > aspect * height:
        kept = aspect * height / width
        return cropped(pixels, place * (1 - kept), 0, place * (1 - kept) + kept, 1), kept
    kept = width / aspect / height
    return cropped(pixels, 0, place * (1 - kept), 1, place * (1 - kept) + kept), kept


def _bars(scene: Scene, *, upright: bool) -> Edited:
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    share = rng.uniform(0.04, 0.45)
    total = round((width if upright else height) * share / (1 - share))
    before = round(total * (0.5 if rng.random() < 0.7 else rng.uniform(0.1, 0.9)))
    if upright:
        page = canvas(height, width + total, rng)
        return paste(page, scene.pixels, 0, before), 100 * share
    page = canvas(height + total, width, rng)
    return paste(page, scene.pixels, before, 0), 100 * share


def _boxes(
    cells: int, tall: int, wide: int, gutter: int, *, upright: bool
) -> list[tuple[int, int, int, int]]:
    """Return top, left, height, width of collage cells: 2 in a line, 1 large and 2, or 2 x 2."""
    second_row, second_column = tall + 2 * gutter, wide + 2 * gutter
    if cells == 2:
        place = (second_row, gutter) if upright else (gutter, second_column)
        return [(gutter, gutter, tall, wide), (*place, tall, wide)]
    if cells == 3:
        small_tall, small_wide = (tall - gutter) // 2, (wide - gutter) // 2
        if upright:
            small = [(second_row, gutter), (second_row, 2 * gutter + small_wide)]
        else:
            small = [(gutter, second_column), (2 * gutter + small_tall, second_column)]
        return [(gutter, gutter, tall, wide), *((*at, small_tall, small_wide) for at in small)]
    return [
        (top, left, tall, wide) for top in (gutter, second_row) for left in (gutter, second_column)
    ]
