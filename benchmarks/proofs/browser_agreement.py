"""Compare what the submission page makes of picture files in browsers with what Python makes.

Each engine decodes each file by itself. A row counts the pictures of a kind of file, those of which
both see the same pixels, the hashes compared, and the most bits between two: of the picture itself
(plan 0) and of its variants (the other plans). ``port`` compares with what Python makes of the
pixels that the page has read, so that the decoder plays no part. Of the same pixels a hash may
differ where rounding decides: where each differing bit has a coefficient within 0.001 of the
median. Exits with 1 if a bound is exceeded.

    ./scripts/bench browser_agreement --json out.json
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.harness.browsers import ENGINES, Browser, browser
from benchmarks.harness.fingerprint_rows import hashes_of, rows_of
from benchmarks.harness.page_files import EMPTY_PAGE, serving
from benchmarks.harness.reports import publish, rows_option, write
from benchmarks.proofs.browser_agreement_files import KINDS, Encoder, bmp, pictures
from disrupt.core.media import LowQuality
from disrupt.core.transforms import PLANS, Dihedral
from disrupt.hashing import fingerprint_image
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.decoding.pixels import Picture, oriented
from disrupt.hashing.pdq.linear import coefficients_of
from disrupt.hashing.pdq.luma import canonical_luma
from disrupt.hashing.regions.crops import sample_crops
from disrupt.hashing.regions.rotation import turned
from disrupt.hashing.variants import halved

Hashes: TypeAlias = dict[tuple[int, int, int], int]
"""Hashes by profile, plan and ordinal; none of a picture that is refused."""

Pixels: TypeAlias = NDArray[np.uint8]
"""Opaque colours, shape (height, width, 3)."""

_PLAIN = ("jpeg", "png", "webp", "avif")
_PLAIN_BITS = {"chromium": (0, 0), "firefox": (2, 4), "webkit": (2, 4)}
_OTHER_BITS = (4, 8)
"""Most bits between hashes of the picture itself, and of its variants."""

_ROUNDED = 0.001
"""Distance from the median, in coefficients, that sums in 32 bits do not resolve (docs/pdq.md)."""

_SABOTAGES = ("other-file", "other-pixels")

_HASH = """
const { hashFiles } = await import('/tests/web/hashing/worker_client.js');
const { putPixels } = await import('/tests/web/hashing/pixels.js');
const [name] = given;
const { fingerprints } = (await hashFiles([name]))[name];
return fingerprints ? [fingerprints, await putPixels(name)] : [[], null];
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Differences between two sets of hashes of one picture.

    ``picture_bits`` and ``plan_bits`` are the most bits, without those that rounding decides.

    ``ordinals`` are versions that only one side has, ``rounded`` hashes that rounding decides.
    """

    hashes: int
    picture_bits: int
    plan_bits: int
    differing: int
    ordinals: int
    rounded: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A file in an engine: its page beside Python, and beside Python with the page's pixels."""

    is_refused: bool
    has_same_pixels: bool
    file: Difference
    port: Difference


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of file in an engine; ``refused`` are files that only one side refuses."""

    engine: str
    kind: str
    pictures: int
    same_pixels: int
    hashes: int
    picture_bits: int
    plan_bits: int
    differing: int
    ordinals: int
    port_bits: int
    port_ordinals: int
    rounded: int
    refused: int

    @property
    def excess(self) -> list[str]:
        """Return what is worse than promised."""
        bounds = _PLAIN_BITS[self.engine] if self.kind in _PLAIN else _OTHER_BITS
        found = [
            name
            for name, most in zip(("picture_bits", "plan_bits"), bounds, strict=True)
            if getattr(self, name) > most
        ]
        if self.ordinals and not any(bounds):
            found.append("ordinals")
        if self.port_bits or self.port_ordinals:
            found.append("port")
        return [*found, "refused"] if self.refused else found


@click.command(help=__doc__)
@click.option("--engine", "engines", type=click.Choice(ENGINES), multiple=True)
@click.option("--kind", "kinds", type=click.Choice(list(KINDS)), multiple=True)
@click.option("--count", default=155, show_default=True, help="Pictures of each kind.")
@click.option("--seed", default=1, show_default=True)
@click.option("--sabotage", type=click.Choice(_SABOTAGES), help="Must fail.")
@rows_option
def main(
    engines: tuple[str, ...],
    kinds: tuple[str, ...],
    count: int,
    seed: int,
    sabotage: str | None,
    json_path: Path | None,
) -> None:
    """Compare, and print the table."""
    settings = {"count": count, "seed": seed, "sabotage": sabotage}
    images = list(pictures(count, seed))
    rows: list[Row] = []
    with _opened(engines or ENGINES) as (folder, pages):
        for kind in kinds or KINDS:
            for row in _rows(pages, folder, kind, images, seed, sabotage):
                rows.append(row)
                # It takes an hour: what is known so far is kept.
                write(rows, json_path, settings)
    sys.exit(publish(rows, json_path, settings))


@contextlib.contextmanager
def _opened(engines: Iterable[str]) -> Iterator[tuple[Path, dict[str, Browser]]]:
    """Yield a folder of files that is served to browsers, and these, each with a page."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        origin = stack.enter_context(serving(folder))
        pages = {}
        for engine in engines:
            (folder / engine).mkdir()
            pages[engine] = stack.enter_context(browser(engine, folder / engine))
            pages[engine].open(origin + EMPTY_PAGE)
        yield folder, pages


def _rows(
    pages: Mapping[str, Browser],
    folder: Path,
    kind: str,
    images: Sequence[Image.Image],
    seed: int,
    sabotage: str | None,
) -> Iterator[Row]:
    """Compare a kind of file in each engine."""
    paths = _write(folder, KINDS[kind], images, seed)
    expected = [_expected(path.read_bytes()) for path in paths]
    if sabotage == "other-file":
        _write(folder, KINDS[kind], [ImageOps.mirror(image) for image in images], seed)
    for engine, page in pages.items():
        outcomes = [
            _outcome(page, path, *wanted, mirrored=sabotage == "other-pixels")
            for path, wanted in zip(paths, expected, strict=True)
        ]
        yield _row(engine, kind, outcomes)


def _write(folder: Path, encode: Encoder, images: Sequence[Image.Image], seed: int) -> list[Path]:
    paths = [folder / str(number) for number in range(len(images))]
    for number, (path, image) in enumerate(zip(paths, images, strict=True)):
        path.write_bytes(encode(image, np.random.default_rng([seed, number])))
    return paths


def _expected(data: bytes) -> tuple[Hashes, bytes]:
    """Return what Python makes of a file: hashes, and a digest of the pixels."""
    picture = decode(data)
    colours = oriented(picture.rgb(0, picture.height_px), picture.orientation)
    return _hashes(data), _digest(colours)


def _hashes(data: bytes) -> Hashes:
    outcome = fingerprint_image(data)
    return {} if isinstance(outcome, LowQuality) else hashes_of(rows_of(outcome))


def _digest(colours: Pixels) -> bytes:
    return hashlib.sha256(colours.tobytes()).digest()


def _outcome(
    page: Browser, path: Path, hashes: Hashes, digest: bytes, *, mirrored: bool
) -> Outcome:
    rows, size = page.run(_HASH, path.name)
    ours = hashes_of(rows)
    if size is None:
        nothing = _difference({}, {})
        return Outcome(bool(hashes), not hashes, nothing, nothing)
    pixels = _read(path.with_suffix(".rgba"), size)[:, :: -1 if mirrored else 1]
    is_same = _digest(pixels) == digest
    picture = Picture(Image.fromarray(pixels), Dihedral.IDENTITY)
    theirs = hashes if is_same else _hashes(bmp(picture.image))
    port = _difference(ours, theirs, picture)
    return Outcome(not hashes, is_same, port if is_same else _difference(ours, hashes), port)


def _read(path: Path, size: tuple[int, int]) -> Pixels:
    """Take the pixels that the page has put there."""
    width_px, height_px = size
    pixels = np.fromfile(path, np.uint8).reshape(height_px, width_px, 4)
    path.unlink()
    return pixels[..., :3]


def _difference(ours: Hashes, theirs: Hashes, picture: Picture | None = None) -> Difference:
    """Compare hashes; of the same ``picture``, look for those that rounding decides."""
    masks = {place: ours[place] ^ theirs[place] for place in ours.keys() & theirs.keys()}
    differing = {place: mask for place, mask in masks.items() if mask}
    rounded = {
        place
        for place, mask in differing.items()
        if picture is not None and _is_rounded(picture, place, mask)
    }
    bits = [
        (plan, mask.bit_count())
        for (profile, plan, ordinal), mask in differing.items()
        if (profile, plan, ordinal) not in rounded
    ]
    return Difference(
        len(masks),
        max((count for plan, count in bits if not plan), default=0),
        max((count for plan, count in bits if plan), default=0),
        len(differing),
        len(ours.keys() ^ theirs.keys()),
        len(rounded),
    )


def _is_rounded(picture: Picture, place: tuple[int, int, int], mask: int) -> bool:
    """Tell whether rounding decides each bit of ``mask``, in the hash of a variant."""
    _, plan, ordinal = place
    if not plan:
        return False
    variant = PLANS[plan][ordinal]
    luma = canonical_luma(picture)
    degrees = variant.rotation_millidegrees / 1000
    shown = turned(halved(luma), degrees, picture.aspect) if degrees else luma
    coefficients = coefficients_of(sample_crops(shown, [variant.crop])).ravel()
    distances = np.abs(coefficients - np.sort(coefficients)[127])
    undecided = np.packbits(distances < _ROUNDED, bitorder="little")
    return not mask & ~int.from_bytes(undecided.tobytes(), "little")


def _row(engine: str, kind: str, outcomes: Sequence[Outcome]) -> Row:
    files = [outcome.file for outcome in outcomes]
    ports = [outcome.port for outcome in outcomes]
    row = Row(
        engine,
        kind,
        sum(bool(file.hashes) for file in files),
        sum(outcome.has_same_pixels for outcome in outcomes),
        sum(file.hashes for file in files),
        max(file.picture_bits for file in files),
        max(file.plan_bits for file in files),
        sum(file.differing for file in files),
        sum(file.ordinals for file in files),
        max(max(port.picture_bits, port.plan_bits) for port in ports),
        sum(port.ordinals for port in ports),
        sum(port.rounded for port in ports),
        sum(outcome.is_refused for outcome in outcomes),
    )
    click.echo(f"{engine}, {kind}: {', '.join(row.excess) or 'as promised'}", err=True)
    return row


if __name__ == "__main__":
    main()
