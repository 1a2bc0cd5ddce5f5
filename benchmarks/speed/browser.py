"""Hash photographs in a browser, as the submission page does, and compare with Python.

It prints a table and, with --json, writes rows. Each size gets a fresh browser: the first file is
hashed cold, the same file again warm. Memory is the most that the page's process ever had, and what
it had before. It exits with 1 if a fingerprint differs, or a bound is exceeded.

    ./scripts/bench browser --json out.json
"""

from __future__ import annotations

import io
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from skimage.data import data_dir

from benchmarks.harness.browsers import Browser, browser, engine_option
from benchmarks.harness.fingerprint_rows import rows_of
from benchmarks.harness.page_files import EMPTY_PAGE, serving
from benchmarks.harness.page_processes import most_memory_mb
from benchmarks.harness.reports import publish, rows_option
from disrupt.hashing import ImageFingerprints, ImageLimits, fingerprint_image

_SIZES_PX = {12: (4000, 3000), 24: (6000, 4000), 48: (8000, 6000)}
"""Width and height by megapixels."""

_MOST_COLD_MS = {12: 1200, 48: 3000}
_MOST_MB = {12: 300}

_HASHED = """
const { hashFiles } = await import('/tests/web/hashing/worker_client.js');
return hashFiles([given[0]]);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One size: the least time of the warm runs, and how far fingerprints are from Python's."""

    engine: str
    megapixels: int
    cold_ms: int
    warm_ms: int
    idle_mb: float
    peak_mb: float
    fingerprints: int
    differing: int

    @property
    def excess(self) -> list[str]:
        """Return what is worse than promised; times and memory are promised for Chromium."""
        found = ["fingerprints"] if self.differing else []
        if self.engine == "chromium":
            if self.cold_ms > _MOST_COLD_MS.get(self.megapixels, self.cold_ms):
                found.append("time")
            if self.peak_mb > _MOST_MB.get(self.megapixels, self.peak_mb):
                found.append("memory")
        return found


@click.command(help=__doc__)
@engine_option
@click.option("--megapixels", type=click.Choice([str(size) for size in _SIZES_PX]), multiple=True)
@click.option("--warm-runs", default=3, show_default=True, help="How often a file comes again.")
@click.option("--shrink", default=1, show_default=True, help="Divide sides, for a trial.")
@click.option("--sabotage", is_flag=True, help="Give the browser another picture than Python.")
@rows_option
def main(
    engine: str,
    megapixels: tuple[str, ...],
    warm_runs: int,
    shrink: int,
    sabotage: bool,  # noqa: FBT001 click passes it by name
    json_path: Path | None,
) -> None:
    """Measure the sizes and print the table."""
    sizes = [int(size) for size in megapixels] or list(_SIZES_PX)
    rows = [_measured(engine, size, warm_runs, shrink, sabotage=sabotage) for size in sizes]
    settings = {"warm_runs": warm_runs, "shrink": shrink, "sabotage": sabotage}
    sys.exit(publish(rows, json_path, settings))


def _measured(engine: str, megapixels: int, warm_runs: int, shrink: int, *, sabotage: bool) -> Row:
    width_px, height_px = (side // shrink for side in _SIZES_PX[megapixels])
    data = _photograph(width_px, height_px)
    expected = fingerprint_image(data, ImageLimits(max_bytes=2**30))
    if not isinstance(expected, ImageFingerprints):
        raise click.ClickException("The photograph is too featureless at this size.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shown = _photograph(height_px, width_px) if sabotage else data
        (folder / "photograph.jpg").write_bytes(shown)
        with serving(folder) as origin, browser(engine, folder) as page:
            page.open(origin + EMPTY_PAGE)
            idle_mb = most_memory_mb(page.process)
            first = _hashed(page)
            peak_mb = most_memory_mb(page.process)
            warm_ms = min((_hashed(page)["ms"] for _ in range(warm_runs)), default=first["ms"])
    wanted = set(rows_of(expected))
    return Row(
        engine,
        megapixels,
        first["ms"],
        warm_ms,
        idle_mb,
        peak_mb,
        len(wanted),
        len(wanted ^ set(first["fingerprints"])),
    )


def _hashed(page: Browser) -> dict[str, Any]:
    outcome: dict[str, Any] = page.run(_HASHED, "photograph.jpg")["photograph.jpg"]
    return outcome


def _photograph(width_px: int, height_px: int) -> bytes:
    """Return a JPEG file of a photograph enlarged, with the noise of a sensor."""
    photo = Image.open(f"{data_dir}/coffee.png").convert("RGB").resize((width_px, height_px))
    noise = np.random.default_rng(1).integers(-6, 7, (height_px, width_px, 1), np.int16)
    pixels = (np.asarray(photo, np.int16) + noise).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main()
