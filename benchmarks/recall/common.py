"""Tell how many matches of unrelated pictures a sample of their template in common use marks.

Of each template of a kind, some pictures are registered, others are samples in the bank ``common``,
and others are looked up: all with their own content. ``unmarked`` are lookups answered with a match
that is not marked. ``copies`` are edited copies of registered pictures; ``copies_unmarked`` find
the picture that they are of, unmarked.

    ./scripts/bench common --templates 20 --lookups 200 --kind letterheads
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import report
from benchmarks.recall.alike import Pictures, Place
from benchmarks.recall.kinds import KINDS
from benchmarks.recall.originals import Photograph, collection, folder_option
from benchmarks.recall.recall_trials import SCOPE, index_of, item_id_of
from disrupt.core.hashes import stack
from disrupt.core.media import LowQuality, columns
from disrupt.core.transforms import Transform
from disrupt.hashing import ImageFingerprints, fingerprint_image, hash_image
from disrupt.index.live import LiveIndex
from disrupt.services.matching import UNBOUNDED, complete, picture_steps
from rig.media.edits import EDITS, Scene, upload

_EDITS = [edit for group, edit in EDITS.values() if group != "two_edits"]


_OF_OTHERS = ("lookups", "matched", "unmarked")
_OF_COPIES = ("copies", "copies_found", "copies_unmarked")


class Query(NamedTuple):
    """A picture to look up: what it is a copy of or another picture of; its versions."""

    place: Place
    is_copy: bool
    codes: NDArray[np.uint8]
    transforms: list[Transform]


@click.command(help=__doc__)
@report.outputs(cannot_show="Pictures of most kinds are drawn; real ones may differ more, or less.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--templates", default=1, show_default=True, help="Of each kind of many looks.")
@click.option("--registered", default=4, show_default=True, help="Of each template.")
@click.option("--samples", default=1, show_default=True, help="Of each template, in common use.")
@click.option("--lookups", default=12, show_default=True, help="Of each kind.")
@click.option("--copies", default=12, show_default=True, help="Of each kind.")
@folder_option
def main(
    *,
    kinds: tuple[str, ...],
    templates: int,
    registered: int,
    samples: int,
    lookups: int,
    copies: int,
    folder: Path | None,
) -> None:
    """Look up, print, write."""
    photographs = collection(folder)
    pictures = Pictures(photographs, templates, registered + samples)
    rows = []
    for kind in kinds or KINDS:
        places = pictures.stored(kind)
        items = _fingerprints(pictures, [each for each in places if each.number < registered])
        common = _fingerprints(pictures, [each for each in places if each.number >= registered])
        index = index_of(items.values(), common.values())
        asked = [(place, False, pictures.file(place)) for place in pictures.asked(kind, lookups)]
        copied = islice(_copies(pictures, list(items), photographs), copies) if items else ()
        queries = list(_queries([*asked, *((place, True, file) for place, file in copied)]))
        rows.append(_row(kind, index, list(items), queries))
    report.show(rows)
    report.publish({"rows": rows})


def _fingerprints(pictures: Pictures, places: Sequence[Place]) -> dict[Place, NDArray[np.void]]:
    return {
        place: columns(tuple(outcome.fingerprints))
        for place in places
        if isinstance(outcome := fingerprint_image(pictures.file(place)), ImageFingerprints)
    }


def _copies(
    pictures: Pictures, places: Sequence[Place], photographs: Sequence[Photograph]
) -> Iterator[tuple[Place, bytes]]:
    """Yield edited copies of pictures, of one after the other, without end."""
    for at in count():
        place, rng = places[at % len(places)], np.random.default_rng([at, len(places)])
        data = np.frombuffer(pictures.file(place), np.uint8)
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
        other = photographs[int(rng.integers(len(photographs)))]
        scene = Scene(pixels, rng, lambda other=other: other.pixels)  # type: ignore[misc]
        yield place, upload(_EDITS[int(rng.integers(len(_EDITS)))], scene)[0]


def _queries(files: Sequence[tuple[Place, bool, bytes]]) -> Iterator[Query]:
    for place, is_copy, file in files:
        query = hash_image(file)
        if not isinstance(query, LowQuality):
            codes = stack(code for code, _ in query.hashes)
            yield Query(place, is_copy, codes, [transform for _, transform in query.hashes])


def _row(
    kind: str, index: LiveIndex, places: Sequence[Place], queries: Sequence[Query]
) -> dict[str, Any]:
    """Return the figures of a kind."""
    figures = dict.fromkeys((*_OF_OTHERS, *_OF_COPIES), 0)
    own_ids = {place: item_id_of(at) for at, place in enumerate(places)}
    for place, is_copy, codes, transforms in queries:
        found = complete(picture_steps(index, codes, transforms, SCOPE, 1000, UNBOUNDED))
        marks = [
            marked
            for item_id, marked in zip(found.item_ids, found.is_common.tolist(), strict=True)
            if not is_copy or item_id.tobytes() == own_ids[place]
        ]
        names = _OF_COPIES if is_copy else _OF_OTHERS
        for name, counts in zip(names, (True, bool(marks), not all(marks)), strict=True):
            figures[name] += counts
    return {"kind": kind, **figures}


if __name__ == "__main__":
    main()
