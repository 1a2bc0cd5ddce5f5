"""Tell what pictures of one kind match by: chats, letters, memes, slides, skies, maps and others.

Of each kind some are registered, and others are looked up among those of all kinds. A match may
rightly be of a part that both show, as a keyboard or a background: detail of the two parts then
correlates. Photographs are of this machine's packages; where they are few, pictures of one template
may show one photograph, but no looked-up picture shows that of a registered one.

The second table counts lookups that match another picture of their own template, of another
template of their kind, and of another kind, at smaller distances, and if two stored versions of one
picture have to be that near. Kinds of one look have one template.

    ./scripts/bench alike --json alike.json --show alike
    ./scripts/bench alike --templates 20 --registered 4 --lookups 200 --kind "maps"
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple, get_args

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import report
from benchmarks.recall.kinds import KINDS, MANY_LOOKS, OF_ONE_PHOTOGRAPH, of_template
from benchmarks.recall.originals import Photograph, collection, encoded, folder_option
from benchmarks.recall.recall_trials import SCOPE, index_of, item_id_of
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


_BITS = (31, 28, 24)

Relation = Literal["its template", "another template", "another kind"]


class Place(NamedTuple):
    """Place of a picture: of a kind, of one of its templates."""

    kind: str
    template: int
    number: int

    def relation(self, other: Place) -> Relation:
        """Return what another picture is of, seen from this one."""
        if self.kind != other.kind:
            return "another kind"
        return "its template" if self.template == other.template else "another template"

    def shows_photograph_of(self, other: Place) -> bool:
        """Tell whether a template of another kind has the same photograph."""
        return (
            self.kind != other.kind
            and self.template == other.template
            and {self.kind, other.kind} <= OF_ONE_PHOTOGRAPH
        )


class Match(NamedTuple):
    """Best match of a looked-up picture: the registered picture, and the part of both.

    Areas are those that the answer has, in thousandths; ``shown`` are squares of 256 px: the
    looked-up picture and the part of it that is nearest, the registered picture and its part.
    ``nearest`` are the least distances, in bits, by one and by two stored versions of a registered
    picture, for each relation.
    """

    place: Place
    registered: Place
    distance_bits: int
    query_permille: int
    stored_permille: int
    extent: Extent
    shown: list[NDArray[np.uint8]]
    nearest: dict[Relation, list[int]]
    is_placed: bool
    """True if the index stores where the registered part lies: for crops, not for regions."""

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
@report.outputs(
    cannot_show="How often people upload pictures of such kinds; most are drawn, a few of each."
)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--templates", default=1, show_default=True, help="Of each kind of many looks.")
@click.option("--registered", default=4, show_default=True, help="Of each template.")
@click.option("--lookups", default=12, show_default=True, help="Of each kind.")
@click.option("--effort", type=click.Choice(Effort.__members__), default="STANDARD")
@folder_option
@click.option("--show", type=click.Path(path_type=Path), help="Folder for pictures of matches.")
def main(
    *,
    kinds: tuple[str, ...],
    templates: int,
    registered: int,
    lookups: int,
    effort: str,
    folder: Path | None,
    show: Path | None,
) -> None:
    """Look up, print, write."""
    photographs = collection(folder)
    if len(photographs) < templates + 2:
        sys.exit(f"{templates} templates need {templates + 2} photographs, here are fewer.")
    pictures = Pictures(photographs, templates, registered)
    items = {
        place: columns(tuple(outcome.fingerprints))
        for kind in kinds or KINDS
        for place in pictures.stored(kind)
        if isinstance(outcome := fingerprint_image(pictures.file(place)), ImageFingerprints)
    }
    asked = [place for kind in kinds or KINDS for place in pictures.asked(kind, lookups)]
    matches = list(_matches(pictures, items, asked, Effort[effort]))
    rows = [_row(kind, lookups, items, matches) for kind in kinds or KINDS]
    near = [row for kind in kinds or KINDS for row in _near(kind, matches)]
    report.show(rows)
    report.show(near)
    report.publish(
        {"rows": rows, "near": near}, parameters={"photographs": len(pictures.photographs)}
    )
    if show:
        show.mkdir(parents=True, exist_ok=True)
        for match in matches:
            asked_for, of = match.place, match.registered
            place = f"{asked_for.kind} {asked_for.template} {asked_for.number} {match.extent}"
            name = f"{place} {match.correlation:.2f} {match.distance_bits} bits {of.kind}.png"
            cv2.imwrite(str(show / name), np.hstack(match.shown))


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures of all kinds. What is registered and what is looked up show other photographs."""

    photographs: Sequence[Photograph]
    templates: int
    registered: int

    def stored(self, kind: str) -> list[Place]:
        """Return the registered pictures of a kind."""
        return [
            Place(kind, template, number)
            for template in range(self._looks(kind))
            for number in range(self.registered)
        ]

    def asked(self, kind: str, lookups: int) -> list[Place]:
        """Return the looked-up pictures of a kind, as many of each template."""
        looks = self._looks(kind)
        return [Place(kind, at % looks, self.registered + at // looks) for at in range(lookups)]

    def file(self, place: Place) -> bytes:
        """Draw a picture."""
        of_kinds, own = self.photographs[: self.templates], self.photographs[self.templates :]
        number, side = place.number - self.registered, 1
        if number < 0:
            number, side = place.number, 0
        at = place.template + number * self._looks(place.kind)
        mine = own[side::2]
        shown, of_kind = (
            some[at % len(some)].pixels for some, at in ((mine, at), (of_kinds, place.template))
        )
        return encoded(of_template(*place, shown, of_kind))

    def _looks(self, kind: str) -> int:
        return self.templates if kind in MANY_LOOKS else 1


def _matches(
    pictures: Pictures,
    items: dict[Place, NDArray[np.void]],
    asked: Sequence[Place],
    effort: Effort,
) -> Iterator[Match]:
    """Yield the best match of each looked-up picture: as a whole if there is such a match."""
    index = index_of(items.values())
    places = {item_id_of(at): place for at, place in enumerate(items)}
    for place in asked:
        file = pictures.file(place)
        query = hash_image(file, effort=effort)
        if isinstance(query, LowQuality):
            continue
        codes, transforms = stack(code for code, _ in query.hashes), [of for _, of in query.hashes]
        found = complete(picture_steps(index, codes, transforms, SCOPE, len(items), UNBOUNDED))
        others = [places[item_id.tobytes()] for item_id in found.item_ids]
        kept = [at for at, of in enumerate(others) if not place.shows_photograph_of(of)]
        found, others = found.take(np.array(kept, np.intp)), [others[at] for at in kept]
        areas = np.stack([found.query_area_permille, found.stored_area_permille], axis=1)
        if not len(areas):
            continue
        nearest: dict[Relation, list[int]] = {}
        for other, versions in zip(others, found.versions[:, :2, 2].tolist(), strict=True):
            known = nearest.setdefault(place.relation(other), [256, 256])
            known[:] = map(min, known, versions)
        at = int(areas.max(axis=1).argmax())
        stored = PLANS[int(found.plan[at])][int(found.ordinal[at])]
        shown: list[NDArray[np.uint8]] = []
        for shown_file, transform in (
            (file, transforms[int(found.version[at])]),
            (pictures.file(others[at]), stored),
        ):
            data = np.frombuffer(shown_file, np.uint8)
            luma = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
            shown += [square(luma), square(version(luma, transform))]
        first, second = areas[at].tolist()
        bits, extent = int(found.distance_bits[at]), extent_of(first, second)
        is_placed = not stored.anchored
        yield Match(place, others[at], bits, first, second, extent, shown, nearest, is_placed)


def _row(
    kind: str, lookups: int, items: dict[Place, NDArray[np.void]], matches: list[Match]
) -> dict[str, Any]:
    """Return the figures of a kind; medians are over its matches."""
    mine = [match for match in matches if match.place.kind == kind]
    return {
        "kind": kind,
        "registered": sum(place.kind == kind for place in items),
        "looked_up": lookups,
        "matched": len(mine),
        "of_another_kind": sum(match.registered.kind != kind for match in mine),
        "whole": sum(match.extent == Extent.WHOLE for match in mine),
        "part": sum(match.extent == Extent.PART for match in mine),
        "detail_differs": sum(match.is_placed and match.correlation < _SHARED for match in mine),
        "nearest_bits": min((match.distance_bits for match in mine), default=None),
        "query_permille": median(match.query_permille for match in mine) if mine else None,
        "stored_permille": median(match.stored_permille for match in mine) if mine else None,
    }


def _near(kind: str, matches: list[Match]) -> Iterator[dict[str, Any]]:
    """Yield how many lookups of a kind match what, at each distance, by one version and by two."""
    mine = [match for match in matches if match.place.kind == kind]
    for relation in get_args(Relation):
        found = [match.nearest[relation] for match in mine if relation in match.nearest]
        if found:
            yield {
                "kind": kind,
                "a match of": relation,
                **{
                    f"{bits} bits{', two' if place else ''}": sum(
                        versions[place] <= bits for versions in found
                    )
                    for place in (0, 1)
                    for bits in _BITS
                },
            }


if __name__ == "__main__":
    main()
