"""Compare PDQ by matrices with the C++ reference (pdqhash) on crops of photographs, bit by bit.

Each picture is a random crop of a photograph at its own or another size, a tenth of them turned or
mirrored. A bit may differ only where the reference's own rounding decides it: where its coefficient
is within 0.01 of the median. Exits with 1 if one differs elsewhere, or a quality by more than one.

    ./scripts/bench reference --count 10000 --json -
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import islice

import click
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness.photographs import photographs
from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding.pixels import oriented
from disrupt.hashing.pdq.linear import hash_dihedral, hash_luma

_LONGEST_PX = 2400
_LEAST_PX, _MOST_PX = 64, 700
_UNDECIDED = 0.01


@dataclass(frozen=True, slots=True)
class Difference:
    """A picture whose hashes differ: bits, those not explained by rounding, qualities."""

    number: int
    bits: int
    unexplained_bits: int
    quality: int
    reference_quality: int


@click.command(help=__doc__)
@click.option("--count", default=10_000, show_default=True, help="How many pictures.")
@click.option("--photographs", "n_photographs", default=40, show_default=True, help="At most.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "json_path", required=True, help="File for the report, - for stdout.")
@click.option("--sabotage", is_flag=True, help="Hash the mirrored picture: must fail.")
def main(*, count: int, n_photographs: int, seed: int, json_path: str, sabotage: bool) -> None:
    """Compare, write the report; exit with 1 if something is not explained."""
    chance = np.random.default_rng(seed)
    lumas = []
    for _, load in islice(photographs(), n_photographs):
        photograph = load().convert("L")
        photograph.thumbnail((_LONGEST_PX, _LONGEST_PX))
        lumas.append(photograph)
    different = []
    for number in range(count):
        luma, turn = _picture(lumas, chance)
        if compared := _compared(number, luma[:, ::-1] if sabotage else luma, luma, turn):
            different.append(compared)
    wrong = [
        difference
        for difference in different
        if difference.unexplained_bits or abs(difference.quality - difference.reference_quality) > 1
    ]
    report = {
        "pictures": count,
        "photographs": len(lumas),
        "other_bits": sum(bool(difference.bits) for difference in different),
        "other_quality": sum(
            difference.quality != difference.reference_quality for difference in different
        ),
        "unexplained": len(wrong),
        "qualities_of_other_bits": dict(
            Counter(difference.quality for difference in different if difference.bits)
        ),
        "differences": [asdict(difference) for difference in (wrong or different)[:50]],
    }
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(report, indent=2) + "\n")
    sys.exit(bool(wrong))


def _picture(
    lumas: list[Image.Image], chance: np.random.Generator
) -> tuple[NDArray[np.uint8], Dihedral]:
    image = lumas[chance.integers(len(lumas))]
    width, height = (int(chance.integers(_LEAST_PX, side + 1)) for side in image.size)
    left, top = (
        int(chance.integers(side - part + 1))
        for side, part in zip(image.size, (width, height), strict=True)
    )
    box = (left, top, left + width, top + height)
    if chance.random() < 0.5 and max(width, height) <= _MOST_PX:
        crop = image.crop(box)
    else:
        width, height = (int(side) for side in chance.integers(_LEAST_PX, _MOST_PX + 1, 2))
        crop = image.resize((width, height), box=box)
    turned = chance.random() < 0.1
    return np.asarray(crop), Dihedral(int(chance.integers(1, 8))) if turned else Dihedral.IDENTITY


def _compared(
    number: int, luma: NDArray[np.uint8], true: NDArray[np.uint8], turn: Dihedral
) -> Difference | None:
    hashed = hash_dihedral(luma) if turn else hash_luma(luma)
    at = turn or ()
    pixels = np.ascontiguousarray(np.dstack([oriented(true, turn)] * 3))
    bits, quality = pdqhash.compute(pixels)
    differing = hashed.hashes[at] ^ np.packbits(bits)
    mine = int(hashed.qualities[at])
    if not differing.any() and mine == quality:
        return None
    coefficients, _ = pdqhash.compute_float(pixels)
    undecided = np.packbits(np.abs(coefficients - np.sort(coefficients)[127]) < _UNDECIDED)
    return Difference(
        number,
        int(np.bitwise_count(differing).sum()),
        int(np.bitwise_count(differing & ~undecided).sum()),
        mine,
        int(quality),
    )


if __name__ == "__main__":
    main()
