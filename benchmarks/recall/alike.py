"""Tell what pictures of one kind match by: chats, letters, memes, slides, skies, maps and others.

Of each kind some are registered, and others are looked up among those of all kinds. A match may
rightly be of a part that both show, as a keyboard or a background: detail of the two parts then
correlates. Photographs are of this machine's packages; 18 or more, so that none is shown twice.

    ./scripts/bench alike --json alike.json --show alike
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import report
from benchmarks.recall.kinds import KINDS, drawn
from benchmarks.recall.originals import collection, encoded, folder_option
from benchmarks.recall.recall_trials import SCOPE, code_version, index_of, item_id_of
from benchmarks.recall.sources import square
from benchmarks.recall.unrelated import version
from disrupt.core.hashes import stack
from disrupt.core.lookups import Effort, Extent, extent_of
from disrupt.core.media import LowQuality, columns
from disrupt.core.transforms import PLANS
from disrupt.hashing import ImageFingerprints, fingerprint_image, hash_image
from disrupt.services.matching import UNBOUNDED, complete, picture_steps

_SHARED = 0.5
"""Correlation of detail below which two parts differ in most of it."""

_ALIGNED_PX = 10
"""Pixels, of 256, that two parts are moved by to align them."""


class Match(NamedTuple):
    """Match of a looked-up picture with a registered one, of the kinds named.

    Areas are those that the answer has, in thousandths; ``shown`` are squares of 256 px: the
    looked-up picture and the part of it that is nearest, the registered picture and its part.
    """

    kind: str
    number: int
    registered_kind: str
    distance_bits: int
    query_permille: int
    stored_permille: int
    extent: Extent
    shown: list[NDArray[np.uint8]]

    @property
    def correlation(self) -> float:
        """Largest correlation of the detail of both parts, which is finer than PDQ sees."""
        of_one, of_other = (
            part.astype(np.float32) - cv2.GaussianBlur(part.astype(np.float32), (0, 0), 4)
            for part in self.shown[1::2]
        )
        inner = of_other[_ALIGNED_PX:-_ALIGNED_PX, _ALIGNED_PX:-_ALIGNED_PX]
        return float(cv2.matchTemplate(of_one, inner, cv2.TM_CCOEFF_NORMED).max())


@click.command(help=__doc__)
@report.json_option
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--registered", default=4, show_default=True, help="Of each kind.")
@click.option("--lookups", default=12, show_default=True, help="Of each kind.")
@click.option("--effort", type=click.Choice(Effort.__members__), default="STANDARD")
@folder_option
@click.option("--show", type=click.Path(path_type=Path), help="Folder for pictures of matches.")
def main(
    *,
    json_path: Path | None,
    kinds: tuple[str, ...],
    registered: int,
    lookups: int,
    effort: str,
    folder: Path | None,
    show: Path | None,
) -> None:
    """Look up, print, write."""
    wanted = registered + lookups
    photographs = [photograph.pixels for photograph in collection(folder)[: wanted + 2]]
    files = {
        (kind, number): encoded(drawn(kind, number, photographs))
        for kind in kinds or KINDS
        for number in range(wanted)
    }
    items = {
        place: columns(tuple(outcome.fingerprints))
        for place, file in files.items()
        if place[1] < registered
        and isinstance(outcome := fingerprint_image(file), ImageFingerprints)
    }
    matches = list(_matches(files, items, registered, Effort[effort]))
    rows = [_row(kind, registered, lookups, items, matches) for kind in kinds or KINDS]
    report.show(rows)
    settings = {"effort": effort, "photographs": len(photographs), "version": code_version()}
    report.write(json_path, {"rows": rows, "settings": settings})
    if show:
        show.mkdir(parents=True, exist_ok=True)
        for match in matches:
            place = f"{match.kind} {match.number} {match.extent} {match.correlation:.2f}"
            name = f"{place} {match.distance_bits} bits {match.registered_kind}.png"
            cv2.imwrite(str(show / name), np.hstack(match.shown))


def _matches(
    files: dict[tuple[str, int], bytes],
    items: dict[tuple[str, int], NDArray[np.void]],
    registered: int,
    effort: Effort,
) -> Iterator[Match]:
    """Yield the best match of each looked-up picture: as a whole if there is such a match."""
    index = index_of(items.values())
    places = {item_id_of(at): place for at, place in enumerate(items)}
    for (kind, number), file in files.items():
        query = hash_image(file, effort=effort) if number >= registered else None
        if query is None or isinstance(query, LowQuality):
            continue
        codes, transforms = stack(code for code, _ in query.hashes), [of for _, of in query.hashes]
        found = complete(picture_steps(index, codes, transforms, SCOPE, len(items), UNBOUNDED))
        areas = np.stack([found.query_area_permille, found.stored_area_permille], axis=1)
        if not len(areas):
            continue
        at = int(areas.max(axis=1).argmax())
        other = places[found.item_ids[at].tobytes()]
        shown: list[NDArray[np.uint8]] = []
        for shown_file, transform in (
            (file, transforms[int(found.version[at])]),
            (files[other], PLANS[int(found.plan[at])][int(found.ordinal[at])]),
        ):
            data = np.frombuffer(shown_file, np.uint8)
            luma = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
            shown += [square(luma), square(version(luma, transform))]
        first, second = areas[at].tolist()
        bits, extent = int(found.distance_bits[at]), extent_of(first, second)
        yield Match(kind, number, other[0], bits, first, second, extent, shown)


def _row(
    kind: str,
    registered: int,
    lookups: int,
    items: dict[tuple[str, int], NDArray[np.void]],
    matches: list[Match],
) -> dict[str, Any]:
    """Return the figures of a kind; medians are over its matches."""
    mine = [match for match in matches if match.kind == kind]
    return {
        "kind": kind,
        "registered": sum((kind, number) in items for number in range(registered)),
        "looked_up": lookups,
        "matched": len(mine),
        "of_another_kind": sum(match.registered_kind != kind for match in mine),
        "whole": sum(match.extent == Extent.WHOLE for match in mine),
        "part": sum(match.extent == Extent.PART for match in mine),
        "detail_differs": sum(match.correlation < _SHARED for match in mine),
        "nearest_bits": min((match.distance_bits for match in mine), default=None),
        "query_permille": median(match.query_permille for match in mine) if mine else None,
        "stored_permille": median(match.stored_permille for match in mine) if mine else None,
    }


if __name__ == "__main__":
    main()
