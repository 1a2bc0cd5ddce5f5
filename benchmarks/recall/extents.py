"""Tell whether matches are of whole pictures: of copies, and of people before one background."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np

from benchmarks.harness import report
from benchmarks.recall.originals import Photograph, collection, encoded, folder_option
from benchmarks.recall.recall_trials import SCOPE, index_of
from disrupt.core.hashes import stack
from disrupt.core.lookups import Extent, extent_of
from disrupt.core.media import LowQuality, columns
from disrupt.hashing import ImageFingerprints, fingerprint_image, hash_image
from disrupt.index.live import LiveIndex
from disrupt.services.matching import UNBOUNDED, complete, picture_steps
from rig.media.edits import GROUPS, Scene, upload
from rig.media.layouts import Pixels, canvas, fitted

_COPIES = {
    "whole": [*GROUPS["photometric"].values(), *GROUPS["turned"].values()],
    "framed": [
        *GROUPS["border"].values(),
        *(edit for name, edit in GROUPS["screen"].items() if not name.startswith("collage")),
    ],
    "cropped": [*GROUPS["crop_sides"].values(), *GROUPS["crop_shape"].values()],
}
"""Edits whose copies show all of a picture, all of it within more, or most of it."""

_COVERED = (0.3, 0.5, 0.7)
"""Shares of a background that people cover."""

_SIDE_PX = 900


@click.command(help=__doc__)
@report.outputs(
    cannot_show="People are drawn or cut out, and stand before backgrounds that do not move."
)
@click.option("--photographs", default=12, show_default=True, help="At most; copies and walls.")
@click.option("--trials", default=1, show_default=True, help="Of each edit of a photograph.")
@click.option("--people", default=4, show_default=True, help="Before each background.")
@click.option("--generated", default=12, show_default=True, help="Generated backgrounds.")
@folder_option
def main(
    *,
    photographs: int,
    trials: int,
    people: int,
    generated: int,
    folder: Path | None,
) -> None:
    """Look copies and other people up, print, write."""
    originals = collection(folder)[-photographs:]
    rows = []
    for name in _COPIES:
        extents = [
            extent
            for at in range(len(originals))
            for extent in _of_copies(name, originals, at, trials)
        ]
        rows.append(_row(name, extents))
    backgrounds = [original.pixels for original in originals]
    backgrounds += [_wall(np.random.default_rng([1, at])) for at in range(generated)]
    for share in (None, *_COVERED):
        extents = [
            extent
            for at in range(len(backgrounds))
            for extent in _of_people(backgrounds, at, people, share)
        ]
        name = f", {share:.0%} covered".replace("%", " %") if share else ""
        rows.append(_row(f"people, one background{name}", extents))
    report.show(rows)
    report.publish({"rows": rows})


def _row(name: str, extents: list[Extent | None]) -> dict[str, object]:
    matched = [extent for extent in extents if extent is not None]
    whole = matched.count(Extent.WHOLE)
    return {
        "lookups": name,
        "pictures": len(extents),
        "matched": len(matched),
        "whole": whole,
        "share": whole / len(matched) if matched else None,
    }


def _of_copies(
    name: str, originals: list[Photograph], at: int, trials: int
) -> Iterator[Extent | None]:
    original = originals[at]
    index = _registered(encoded(original.pixels))
    if index is None:
        return
    for place, edit in enumerate(_COPIES[name]):
        for trial in range(trials):
            seed = [place, trial, zlib.crc32(f"{name} {original.name}".encode())]
            scene = Scene(
                original.pixels, np.random.default_rng(seed), lambda: originals[at - 1].pixels
            )
            yield _looked_up(index, upload(edit, scene)[0])


def _of_people(
    backgrounds: list[Pixels], at: int, people: int, share: float | None
) -> Iterator[Extent | None]:
    """Look up each person among those registered before; drawn, or cut out of other backgrounds."""
    files = []
    for person in range(people):
        rng = np.random.default_rng([2, at, person])
        if share is None:
            page = before(backgrounds[at], rng)
        else:
            other = backgrounds[(at + 1 + person) % len(backgrounds)]
            page = covered(backgrounds[at], other, rng, share)
        files.append(encoded(page))
    for registered in range(people - 1):
        index = _registered(files[registered])
        if index is not None:
            yield from (_looked_up(index, file) for file in files[registered + 1 :])


def _registered(file: bytes) -> LiveIndex | None:
    outcome = fingerprint_image(file)
    if not isinstance(outcome, ImageFingerprints):
        return None
    return index_of([columns(tuple(outcome.fingerprints))])


def _looked_up(index: LiveIndex, file: bytes) -> Extent | None:
    """Return the extent of the match with the only registered picture, None where none matches."""
    query = hash_image(file)
    if isinstance(query, LowQuality):
        return None
    transforms = [transform for _, transform in query.hashes]
    queries = stack(hash_ for hash_, _ in query.hashes)
    matches = complete(picture_steps(index, queries, transforms, SCOPE, 1, UNBOUNDED))
    if not len(matches):
        return None
    return extent_of(int(matches.query_area_permille[0]), int(matches.stored_area_permille[0]))


def _wall(rng: np.random.Generator) -> Pixels:
    """Draw a wall with a few things on it, as behind a webcam."""
    page = np.ascontiguousarray(canvas(540, 960, rng, gradient=True))
    for _ in range(int(rng.integers(3, 9))):
        left, top = int(rng.integers(0, 900)), int(rng.integers(0, 400))
        right, bottom = left + int(rng.integers(60, 320)), top + int(rng.integers(60, 320))
        colour = tuple(int(level) for level in rng.integers(0, 256, 3))
        cv2.rectangle(page, (left, top), (right, bottom), colour, -1)
        inner = tuple(int(level) for level in rng.integers(0, 256, 3))
        cv2.rectangle(page, (left + 12, top + 12), (right - 12, bottom - 12), inner, -1)
    return page


def before(background: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw a head and shoulders, 45 to 95 % of the height, before a background."""
    scale = _SIDE_PX / max(background.shape[:2])
    page = cv2.resize(background, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = page.shape[:2]
    tall = rng.uniform(0.45, 0.95) * height
    middle, head = rng.uniform(0.3, 0.7) * width, tall * rng.uniform(0.17, 0.22)
    skin, hair, cloth = (
        tuple(int(level) for level in levels)
        for levels in (rng.integers(70, 230, 3), rng.integers(0, 160, 3), rng.integers(0, 256, 3))
    )
    chin = height - tall + 2.3 * head
    shoulders = rng.uniform(1.7, 2.4) * head
    body = (int(middle), int(chin + tall))
    cv2.ellipse(page, body, (int(shoulders), int(tall)), 0, 180, 360, cloth, -1)
    crown = (int(middle), int(chin - 1.3 * head))
    cv2.circle(page, crown, int(1.15 * head), hair, -1)
    face = (int(middle), int(chin - 1.1 * head))
    cv2.ellipse(page, face, (int(0.75 * head), int(head)), 0, 0, 360, skin, -1)
    for side in (-1, 1):
        eye = (int(middle + side * 0.3 * head), int(chin - 1.25 * head))
        cv2.circle(page, eye, max(int(0.09 * head), 1), (20, 20, 20), -1)
    return np.asarray(page)


def covered(background: Pixels, other: Pixels, rng: np.random.Generator, share: float) -> Pixels:
    """Cover a share of a background with head and shoulders that show another photograph."""
    page = fitted(background, _SIDE_PX, _SIDE_PX)
    height, width = page.shape[:2]
    middle, stout = rng.uniform(0.25, 0.75) * width, rng.uniform(0.35, 0.5)
    mask = np.zeros((height, width), np.uint8)
    for tall in np.arange(0.3, 6, 0.03) * height:
        if np.count_nonzero(mask) >= share * mask.size:
            break
        # Beyond the full height, only the shoulders grow: some of the background is left above.
        top = max(height - tall, 0.04 * height)
        head, neck = 0.16 * min(tall, height), top + 0.3 * min(tall, height**2 / tall)
        face, body = (int(middle), int(top + head)), (int(middle), int(neck + tall))
        cv2.ellipse(mask, face, (int(0.8 * head), int(head)), 0, 0, 360, (255,), -1)
        cv2.ellipse(mask, body, (int(stout * tall), int(tall)), 0, 180, 360, (255,), -1)
    shown = cv2.resize(other, (width, height), interpolation=cv2.INTER_AREA)
    return np.where(mask[..., None] > 0, shown, page)


if __name__ == "__main__":
    main()
