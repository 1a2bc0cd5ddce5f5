"""Measure processor time of a STANDARD lookup of a decoded picture of 1920 px, by its content.

It looks up photographs of the development half: as they are, in a frame, on a screen, in a collage
of four and in a story. The time includes the search, in hashes like those of photographs (see
hash_sets).

    ./scripts/bench lookup_cost --json cost.json
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import report
from benchmarks.harness.hash_sets import stored as stored_hashes
from benchmarks.recall.originals import ORIGINALS, Photograph, chosen, collection, folder_option
from benchmarks.recall.recall_trials import SCOPE, index_of
from disrupt.core.hashes import stack
from disrupt.core.lookups import LOOKUP_CROPS, Effort
from disrupt.core.media import FINGERPRINT, LowQuality
from disrupt.core.transforms import REGISTERED_MOST
from disrupt.hashing import hash_image
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.regions.detection import find_regions
from disrupt.index.live import LiveIndex
from disrupt.services.matching import Allowance, complete, picture_steps
from rig.media.edits import EDITS, Scene, upload

_SIDE_PX = 1920

PICTURES = {
    "without a border": "jpeg",
    "in a frame": "frame",
    "screenshot": "screenshot_feed_light",
    "collage of 4": "collage_4",
    "story": "story",
}
"""Pictures that are looked up, and the edit that makes each."""

photographs_option = click.option(
    "--photographs", "n_photographs", default=8, show_default=True, help="At most."
)
stored_option = click.option(
    "--stored", default=1_000_000, show_default=True, help="Hashes to search in."
)
"""Options that ``picture_calls`` has, too."""


@dataclass(frozen=True, slots=True)
class Row:
    """Means over pictures, each the fastest of several: ms of processor time, and hashes.

    ``in_all_ms`` is all after decoding; ``most_ms`` that of the picture that takes longest.
    """

    picture: str
    pictures: int
    decode_ms: float
    find_regions_ms: float
    hash_ms: float
    hashes: float
    search_ms: float
    in_all_ms: float
    most_ms: float


@click.command(help=__doc__)
@report.outputs(cannot_show="Decoding apart, one process without gRPC; photographs of packages.")
@photographs_option
@stored_option
@click.option("--repeat", default=5, show_default=True, help="Times that each is hashed.")
@folder_option
def main(*, n_photographs: int, stored: int, repeat: int, folder: Path | None) -> None:
    """Measure, print, write."""
    photographs = chosen(collection(folder), "all" if folder else "development", n_photographs)
    codes = np.load(stored_hashes("real", stored))
    items = []
    for first in range(0, stored, REGISTERED_MOST):
        some = codes[first : first + REGISTERED_MOST]
        rows = np.zeros(len(some), FINGERPRINT)
        rows["hash"], rows["quality"], rows["profile"] = some, 100, 1
        items.append(rows)
    index = index_of(items)
    measured = [asdict(_row(name, photographs, index, repeat)) for name in PICTURES]
    report.show(measured)
    report.publish({"rows": measured})


def _row(name: str, photographs: list[Photograph], index: LiveIndex, repeat: int) -> Row:
    measured = []
    for at, photograph in enumerate(photographs):
        of_one = _measured(picture_file(name, photograph, photographs[at - 1], at), index, repeat)
        if of_one:
            measured.append(of_one)
    decode_ms, regions_ms, hash_ms, hashes, search_ms = np.mean(measured, axis=0).tolist()
    most_ms = max(row[1] + row[2] + row[4] for row in measured)
    in_all_ms = regions_ms + hash_ms + search_ms
    return Row(
        name,
        len(measured),
        decode_ms,
        regions_ms,
        hash_ms,
        hashes,
        search_ms,
        in_all_ms,
        most_ms,
    )


def picture_file(name: str, photograph: Photograph, background: Photograph, at: int) -> bytes:
    """Return a JPEG of the edited photograph, as uploaded at _SIDE_PX."""
    original, rng = photograph.original(at % ORIGINALS), np.random.default_rng([1, at])
    edited = EDITS[PICTURES[name]][1](Scene(original, rng, lambda: background.pixels))
    scene = Scene(edited[0], rng, lambda: background.pixels)
    scene.encoding.update(side_px=_SIDE_PX, quality=85)
    return upload(lambda _: edited, scene)[0]


def _measured(data: bytes, index: LiveIndex, repeat: int) -> tuple[float, ...] | None:
    """Return ms to decode, find regions, hash; hashes; ms to search. None: featureless."""
    page = decode(data, scaled=True).page()
    query = hash_image(data)
    if isinstance(query, LowQuality):
        return None
    hashes: NDArray[np.uint8] = stack(hash_ for hash_, _ in query.hashes)
    transforms = [transform for _, transform in query.hashes]
    decode_ms = _fastest_ms(lambda: decode(data, scaled=True).page(), repeat)
    regions_ms = _fastest_ms(
        partial(find_regions, page, LOOKUP_CROPS[Effort.STANDARD].regions), repeat
    )
    all_ms = _fastest_ms(partial(hash_image, data), repeat)
    # Search once: a second search of the same hashes is quicker.
    search_ms = _fastest_ms(
        lambda: complete(picture_steps(index, hashes, transforms, SCOPE, 10, Allowance(math.inf))),
        1,
    )
    return decode_ms, regions_ms, all_ms - decode_ms - regions_ms, len(hashes), search_ms


def _fastest_ms(work: Callable[[], object], repeat: int) -> float:
    fastest_s = math.inf
    for _ in range(repeat):
        before_s = time.thread_time()
        work()
        fastest_s = min(fastest_s, time.thread_time() - before_s)
    return 1000 * fastest_s


if __name__ == "__main__":
    main()
