"""Make the table of the stored versions that each lookup matches, for random edited copies."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.recall import harder_edits
from benchmarks.recall.edits import (
    EDITS,
    GROUPS,
    Edited,
    Scene,
    crop_aspect,
    crop_sides,
    cropped,
    to_aspect,
    upload,
)
from benchmarks.recall.layouts import Pixels
from benchmarks.recall.originals import ORIGINALS, Photograph, encoded
from benchmarks.recall.variant_pool import LOOKUPS, OF_REGIONS, Variant, mirrored, stored_before
from disrupt.core.hashes import MAX_DISTANCE_BITS, MIN_QUALITY
from disrupt.core.transforms import Crop
from disrupt.hashing.regions.crops import hash_crops
from disrupt.hashing.regions.rotation import turned
from disrupt.hashing.variants import MAX_UNDECIDED_BITS

_SIDE_PX = 800
"""Longest side of what is edited. Small pictures are quicker, and PDQ sees 512 px of it."""


_LEAST_HEIGHT, _CUT_HEIGHT = 0.6, 0.4
"""Least height that is left, and how often: a wide picture is seldom made wider."""


def _two_crops(scene: Scene) -> Edited:
    """Cut off the sides, then crop to another shape."""
    edits = list(GROUPS["crop_shape"].values())
    cut = replace(scene, pixels=crop_sides(scene)[0])
    return edits[scene.rng.integers(len(edits))](cut)


def _shape(scene: Scene) -> Edited:
    """Crop the middle to a shape that does not depend on the picture's: few occur here."""
    height, width = scene.pixels.shape[:2]
    kept = math.exp(scene.rng.uniform(math.log(0.3), 0))
    if kept > _LEAST_HEIGHT and scene.rng.random() < _CUT_HEIGHT:
        return crop_aspect(scene, aspect=width / height / kept)
    return crop_aspect(scene, aspect=width / height * kept)


def _cell(scene: Scene) -> Edited:
    """Show the middle in a square or 4:5 cell, up to 8 % smaller on each side."""
    pixels, kept = to_aspect(scene.pixels, (1, 4 / 5, 5 / 4)[scene.rng.integers(3)], 0.5)
    cut = scene.rng.uniform(0, 0.08)
    return cropped(pixels, cut, cut, 1 - cut, 1 - cut), 100 * (1 - kept)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An edit, how often it is drawn for each original, and its weight in the choice.

    ``is_cell``: only the families OF_REGIONS are looked up, as of cells of a collage.
    """

    edit: Callable[[Scene], Edited]
    times: int
    weight: float
    is_cell: bool = False


DRAWN: dict[int, dict[str, Drawn]] = {
    1: {
        "resize": Drawn(EDITS["resize"][1], 2, 1),
        "crop_sides": Drawn(crop_sides, 70, 9),
        "crop_centre": Drawn(EDITS["crop_centre"][1], 5, 2),
        "shape": Drawn(_shape, 20, 9, is_cell=True),
        "crop_anywhere": Drawn(EDITS["crop_anywhere"][1], 3, 1),
        "rotation": Drawn(EDITS["rotation"][1], 8, 4),
        "opaque_sticker": Drawn(EDITS["opaque_sticker"][1], 8, 3),
        "blurred_part": Drawn(EDITS["blurred_part"][1], 4, 1),
        "two_crops": Drawn(_two_crops, 8, 2),
    },
    2: {
        "cut_side": Drawn(harder_edits.cut_side, 16, 9),
        "ratio": Drawn(harder_edits.ratio, 12, 5),
        "zoom": Drawn(harder_edits.zoom, 12, 9),
        "half": Drawn(partial(harder_edits.share_of, parts=2), 5, 3),
        "third": Drawn(partial(harder_edits.share_of, parts=3), 6, 4),
        "turn_and_crop": Drawn(harder_edits.turn_and_crop, 16, 5),
        "cell": Drawn(_cell, 10, 4, is_cell=True),
        "band": Drawn(harder_edits.band, 6, 3),
        "stickers": Drawn(harder_edits.stickers, 4, 3),
        "mosaic": Drawn(harder_edits.mosaic, 2, 1),
    },
}
"""Edits by the plan that is chosen for them.

Lookups undo borders, screens and quarter turns; what these leave is one of the edits here.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """``hits`` packs trials x lookups x candidates; a trial has an edit and a photograph."""

    plan: int
    candidates: list[Variant]
    crops: list[Crop]
    edits: NDArray[np.str_]
    photographs: NDArray[np.str_]
    hits: NDArray[np.uint8]

    @property
    def stored_before(self) -> list[int]:
        """Places of the candidates that earlier plans store."""
        return [self.candidates.index(variant) for variant in stored_before(self.plan)]

    def covered(self, families: Sequence[str]) -> NDArray[np.bool_]:
        """Return trials x candidates: whether any lookup of the families finds the candidate.

        Trials of another shape use only the families OF_REGIONS: cells of a collage show the
        picture so, and no more is looked up of them. Each trial counts four times: mirrored, it is
        the same trial of a mirrored photograph.
        """
        covered = self._covered(families)
        cells = [name for name, drawn in DRAWN[self.plan].items() if drawn.is_cell]
        shapes = np.tile(np.isin(self.edits, cells), 4)
        covered[shapes] = self._covered([family for family in families if family in OF_REGIONS])[
            shapes
        ]
        return covered

    def _covered(self, families: Sequence[str]) -> NDArray[np.bool_]:
        places = {candidate: at for at, candidate in enumerate(self.candidates)}
        parts = []
        for symmetry in range(4):
            crops = [
                mirrored((*crop, 0))[symmetry][:4]
                for family in families
                for crop in LOOKUPS[family]
            ]
            rows = [self.crops.index(crop) for crop in crops]
            packed = np.bitwise_or.reduce(self.hits[:, rows], axis=1)
            bits = np.unpackbits(packed, axis=-1, count=len(self.candidates)).astype(np.bool_)
            parts.append(
                bits[:, [places[mirrored(candidate)[symmetry]] for candidate in self.candidates]]
            )
        return np.concatenate(parts)

    def weights(self) -> NDArray[np.float32]:
        """Return weights of the trials, in sum 1: each edit weighs what DRAWN says."""
        weights = np.zeros(len(self.edits), np.float32)
        for name, drawn in DRAWN[self.plan].items():
            mine = self.edits == name
            weights[mine] = drawn.weight / max(mine.sum(), 1)
        total: NDArray[np.float32] = weights / weights.sum()
        return total

    def of(self, photographs: Sequence[str]) -> Table:
        """Return the trials of some photographs."""
        mine = np.isin(self.photographs, photographs)
        return replace(
            self,
            edits=self.edits[mine],
            photographs=self.photographs[mine],
            hits=self.hits[mine],
        )


def table(
    plan: int,
    photographs: Sequence[Photograph],
    candidates: list[Variant],
    draws: float,
    seed: int,
) -> Table:
    """Hash, edit, look up. ``draws`` multiplies those of DRAWN."""
    crops = [crop for family in LOOKUPS.values() for crop in family]
    edits, names, near_rows = [], [], []
    for photograph in photographs:
        for number in range(ORIGINALS):
            original = _wide(photograph.original(number))
            stored = _stored(original, candidates)
            if stored is None:
                continue
            rng = np.random.default_rng([seed, number, zlib.crc32(photograph.name.encode())])
            for name, near in _trials(plan, original, stored, rng, draws):
                edits.append(name)
                names.append(photograph.name)
                near_rows.append(near)
    return Table(plan, candidates, crops, np.array(edits), np.array(names), np.array(near_rows))


def _stored(original: Pixels, candidates: list[Variant]) -> NDArray[np.uint64] | None:
    """Hash the candidates, 4 words each; all ones where they would not be stored."""
    pixels = _grey(encoded(original))
    luma, aspect = _reduced(pixels), original.shape[1] / original.shape[0]
    hashes = np.full((len(candidates), 32), 255, np.uint8)
    order = sorted(range(len(candidates)), key=lambda at: candidates[at][4])
    for turn, same in groupby(order, key=lambda at: candidates[at][4]):
        places = np.array(list(same))
        shown = turned(luma, turn / 1000, aspect) if turn else luma
        hashed = hash_crops(shown, [candidates[at][:4] for at in places])
        good = (hashed.qualities >= MIN_QUALITY) & (hashed.undecided_bits <= MAX_UNDECIDED_BITS)
        if not turn and not good[0]:
            return None
        hashes[places[good]] = hashed.hashes[good]
    return hashes.view(np.uint64)


def _trials(
    plan: int,
    original: Pixels,
    stored: NDArray[np.uint64],
    rng: np.random.Generator,
    draws: float,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    crops = [crop for family in LOOKUPS.values() for crop in family]
    for name, drawn in DRAWN[plan].items():
        for _ in range(max(round(drawn.times * draws), 1)):
            data, _ = upload(drawn.edit, Scene(original, rng, lambda: original))
            pixels = _grey(data)
            hashed = hash_crops(_reduced(pixels), crops)
            asked = hashed.hashes.view(np.uint64)[:, None]
            near = np.bitwise_count(asked ^ stored).sum(axis=-1) <= MAX_DISTANCE_BITS
            near &= (hashed.qualities >= MIN_QUALITY)[:, None]
            yield name, np.packbits(near, axis=-1)


def _wide(pixels: Pixels) -> Pixels:
    """Scale to _SIDE_PX at most; exchange the axes where taller than wide, as the plan does."""
    scale = _SIDE_PX / max(pixels.shape)
    small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tall = small.shape[0] > small.shape[1]
    return np.ascontiguousarray(small.transpose(1, 0, 2)) if tall else small


def _grey(file: bytes) -> Pixels:
    image = Image.open(io.BytesIO(file)).convert("L")
    return np.asarray(image)


def _reduced(luma: Pixels) -> NDArray[np.float32]:
    """Average to 256x256; a lookup averages parts to 128x128."""
    how = cv2.INTER_AREA if min(luma.shape) >= 256 else cv2.INTER_LINEAR
    return cv2.resize(luma, (256, 256), interpolation=how).astype(np.float32)
