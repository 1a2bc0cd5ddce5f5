"""Make the table of the stored versions that each lookup matches, for random edited copies."""

from __future__ import annotations

import io
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.recall.edits import EDITS, GROUPS, Edited, Scene, crop_aspect, crop_sides, upload
from benchmarks.recall.layouts import Pixels
from benchmarks.recall.originals import ORIGINALS, Photograph, encoded
from benchmarks.recall.variant_pool import LOOKUPS, OF_REGIONS, Variant, mirrored
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


DRAWN: dict[str, tuple[Callable[[Scene], Edited], int, float]] = {
    "resize": (EDITS["resize"][1], 2, 1),
    "crop_sides": (crop_sides, 70, 9),
    "crop_centre": (EDITS["crop_centre"][1], 5, 2),
    "shape": (_shape, 20, 9),
    "crop_anywhere": (EDITS["crop_anywhere"][1], 3, 1),
    "rotation": (EDITS["rotation"][1], 8, 4),
    "opaque_sticker": (EDITS["opaque_sticker"][1], 8, 3),
    "blurred_part": (EDITS["blurred_part"][1], 4, 1),
    "two_crops": (_two_crops, 8, 2),
}
"""Edit, how often it is drawn for each original, and its weight in the choice.

Lookups undo borders, screens and quarter turns; what these leave is one of the edits here.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """``hits`` packs trials x lookups x candidates; a trial has an edit and a photograph."""

    candidates: list[Variant]
    crops: list[Crop]
    edits: NDArray[np.str_]
    photographs: NDArray[np.str_]
    hits: NDArray[np.uint8]

    def covered(self, families: Sequence[str]) -> NDArray[np.bool_]:
        """Return trials x candidates: whether any lookup of the families finds the candidate.

        Trials of another shape use only the families OF_REGIONS: cells of a collage show the
        picture so, and no more is looked up of them. Each trial counts four times: mirrored, it is
        the same trial of a mirrored photograph.
        """
        covered = self._covered(families)
        shapes = np.tile(self.edits == "shape", 4)
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
        for name, (_, _, weight) in DRAWN.items():
            mine = self.edits == name
            weights[mine] = weight / max(mine.sum(), 1)
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
    photographs: Sequence[Photograph], candidates: list[Variant], draws: float, seed: int
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
            for name, near in _trials(original, stored, crops, rng, draws):
                edits.append(name)
                names.append(photograph.name)
                near_rows.append(near)
    return Table(candidates, crops, np.array(edits), np.array(names), np.array(near_rows))


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
    original: Pixels,
    stored: NDArray[np.uint64],
    crops: list[Crop],
    rng: np.random.Generator,
    draws: float,
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for name, (edit, times, _) in DRAWN.items():
        for _ in range(max(round(times * draws), 1)):
            data, _ = upload(edit, Scene(original, rng, lambda: original))
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
