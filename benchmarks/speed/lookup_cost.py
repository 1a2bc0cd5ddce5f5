"""Measure processor time of a STANDARD lookup of a decoded picture of 1920 px, by its content.

It looks up photographs of the development half: as they are, in a frame, on a screen, in a collage
of four and in a story. The time includes the search, in hashes like those of photographs (see
hash_sets). A second table is of pages that are drawn to cost much (see costly_pages).

    ./scripts/bench lookup_cost --json cost.json
"""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.harness.costly_pages import COSTLY_PAGES
from benchmarks.harness.hash_sets import stored as stored_hashes
from benchmarks.recall.edits import EDITS, Scene, upload
from benchmarks.recall.originals import ORIGINALS, Photograph, chosen, collection
from benchmarks.recall.recall_trials import SCOPE, index_of
from disrupt.core.hashes import stack
from disrupt.core.lookups import LOOKUP_CROPS, Effort
from disrupt.core.media import FINGERPRINT, LowQuality
from disrupt.hashing import fingerprint_image, hash_image
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.regions.detection import find_regions
from disrupt.index.live import LiveIndex
from disrupt.services.matching import Allowance, complete, picture_steps

_SIDE_PX = 1920
_HASHES_PER_ITEM = 195
_JPEG_FROM_PX = 10_000_000
"""Larger pages are JPEG files, as PNG files of them would be too large."""

_PICTURES = {
    "without a border": "jpeg",
    "in a frame": "frame",
    "screenshot": "screenshot_feed_light",
    "collage of 4": "collage_4",
    "story": "story",
}
"""Pictures that are looked up, and the edit that makes each."""


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


@dataclass(frozen=True, slots=True)
class CostlyRow:
    """A page that is drawn to cost much: ms of processor time after decoding, and hashes."""

    page: str
    decode_ms: float
    standard_ms: float
    standard_hashes: int
    thorough_ms: float
    thorough_hashes: int
    register_ms: float
    """Decoding included."""
    registered_hashes: int


@click.command(help=__doc__)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the rows.")
@click.option("--photographs", "n_photographs", default=8, show_default=True, help="At most.")
@click.option("--stored", default=1_000_000, show_default=True, help="Hashes to search in.")
@click.option("--repeat", default=5, show_default=True, help="Times that each is hashed.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Pictures to use, all of them, instead of the packages'.",
)
def main(
    *, json_path: Path | None, n_photographs: int, stored: int, repeat: int, folder: Path | None
) -> None:
    """Measure, print, write."""
    photographs = chosen(collection(folder), "all" if folder else "development", n_photographs)
    codes = np.load(stored_hashes("real", stored))
    items = []
    for first in range(0, stored, _HASHES_PER_ITEM):
        some = codes[first : first + _HASHES_PER_ITEM]
        rows = np.zeros(len(some), FINGERPRINT)
        rows["hash"], rows["quality"], rows["profile"] = some, 100, 1
        items.append(rows)
    index = index_of(items)
    measured = [_row(name, photographs, index, repeat) for name in _PICTURES]
    costly = [_costly_row(name, draw(), repeat) for name, draw in COSTLY_PAGES.items()]
    Console().print(_table(measured), _costly_table(costly))
    if json_path:
        report = {
            "rows": [asdict(row) for row in measured],
            "costly": [asdict(row) for row in costly],
            "stored": stored,
        }
        json_path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def _row(name: str, photographs: list[Photograph], index: LiveIndex, repeat: int) -> Row:
    measured = []
    for at, photograph in enumerate(photographs):
        of_one = _measured(_file(name, photograph, photographs[at - 1], at), index, repeat)
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


def _file(name: str, photograph: Photograph, background: Photograph, at: int) -> bytes:
    """Return a JPEG of the edited photograph, as uploaded at _SIDE_PX."""
    original, rng = photograph.original(at % ORIGINALS), np.random.default_rng([1, at])
    edited = EDITS[_PICTURES[name]][1](Scene(original, rng, lambda: background.pixels))
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
    decode_ms = _fastest_ms(lambda: decode(data, scaled=True).page(), repeat)
    regions_ms = _fastest_ms(
        partial(find_regions, page, LOOKUP_CROPS[Effort.STANDARD].regions), repeat
    )
    all_ms = _fastest_ms(partial(hash_image, data), repeat)
    # Search once: a second search of the same hashes is quicker.
    search_ms = _fastest_ms(
        lambda: complete(picture_steps(index, hashes, SCOPE, 10, Allowance(math.inf))), 1
    )
    return decode_ms, regions_ms, all_ms - decode_ms - regions_ms, len(hashes), search_ms


def _costly_row(name: str, page: NDArray[np.uint8], repeat: int) -> CostlyRow:
    file = io.BytesIO()
    Image.fromarray(page).save(file, "JPEG" if page.size > _JPEG_FROM_PX else "PNG")
    data = file.getvalue()
    decode_ms = _fastest_ms(lambda: decode(data, scaled=True).page(), repeat)
    took_ms, hashes = {}, {}
    for effort in (Effort.STANDARD, Effort.THOROUGH):
        took_ms[effort] = _fastest_ms(partial(hash_image, data, effort=effort), repeat) - decode_ms
        query = hash_image(data, effort=effort)
        hashes[effort] = 0 if isinstance(query, LowQuality) else len(query.hashes)
    registered = fingerprint_image(data)
    return CostlyRow(
        name,
        decode_ms,
        took_ms[Effort.STANDARD],
        hashes[Effort.STANDARD],
        took_ms[Effort.THOROUGH],
        hashes[Effort.THOROUGH],
        _fastest_ms(partial(fingerprint_image, data), repeat),
        0 if isinstance(registered, LowQuality) else len(registered.fingerprints),
    )


def _fastest_ms(work: Callable[[], object], repeat: int) -> float:
    fastest_s = math.inf
    for _ in range(repeat):
        before_s = time.thread_time()
        work()
        fastest_s = min(fastest_s, time.thread_time() - before_s)
    return 1000 * fastest_s


def _costly_table(rows: list[CostlyRow]) -> Table:
    table = Table(
        "page", "decode", "STANDARD", "hashes", "THOROUGH", "hashes", "register", "stored"
    )
    for row in rows:
        table.add_row(row.page, *(f"{number:.0f}" for number in astuple(row)[1:]))
    return table


def _table(rows: list[Row]) -> Table:
    table = Table("picture", "decode", "find regions", "hash", "hashes", "search", "in all", "most")
    for row in rows:
        numbers = row.decode_ms, row.find_regions_ms, row.hash_ms, row.hashes
        more = row.search_ms, row.in_all_ms, row.most_ms
        table.add_row(row.picture, *(f"{number:.1f}" for number in (*numbers, *more)))
    return table


if __name__ == "__main__":
    main()
