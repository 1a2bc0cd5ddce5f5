"""Hash pictures and videos in a browser, as the submission page does, and compare with Python.

First how many bits fingerprints are apart, of pictures in every kind of file: photographs, and two
parts of each. Then time and memory of large files, each in a browser that begins cold: times are
the least of several, for a machine with other work. In Chromium also how long keys wait for their
answer meanwhile, the main thread four times as slow. It exits with 1 if fingerprints are farther
apart than docs/hashing-pictures.md promises.

    ./scripts/bench browser --json browser.json
"""

from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
from PIL import Image
from pillow_heif import register_heif_opener
from playwright.sync_api import sync_playwright

from benchmarks.harness import report
from disrupt.hashing import ImageFingerprints, fingerprint_image
from disrupt.hashing.decoding.colours import profile_of_numbers
from rig.callers.browsers import (
    HASH_FILES,
    PROGRAMS,
    ROOT,
    Json,
    awaited,
    browser,
    distances,
    result_of,
    rows_of,
    serving,
)
from rig.media.photographs import photographs
from rig.media.videos import encode as encode_video
from rig.media.videos import footage

_SIDE_PX = 1280
"""Longest side of the pictures that are compared."""

_EXACT, _NEAR = (0, 2), (4, 8)
"""Most bits. Of equal pixels, rounding decides two of one hash in tens of thousands."""

KINDS: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "JPEG": ({"quality": 85}, _EXACT),
    "PNG": ({"compress_level": 1}, _EXACT),
    "WEBP": ({"quality": 85, "method": 0}, _EXACT),
    "AVIF": ({"quality": 75, "speed": 10}, _EXACT),
    "JPEG, Display P3": ({"quality": 85, "icc_profile": profile_of_numbers(12, 13)}, _NEAR),
    "PNG, alpha": ({"compress_level": 1}, _NEAR),
    "HEIF": ({"quality": 80}, _NEAR),
}
"""Options of Pillow by kind of file, and most bits of the picture and of its variants."""

_IN_FIREFOX = {"PNG, alpha": (4, 16), **dict.fromkeys(("JPEG", "PNG", "WEBP", "AVIF"), (2, 4))}
"""Most bits in Firefox, where they are more than in Chromium."""

_SIZES_MP = {"12 MP JPEG": 12, "24 MP JPEG": 24, "48 MP JPEG": 48, "12 MP HEIF": 12}
_VIDEO = "15 s of 720p"
_SAMPLED_S = 0.05
_LISTEN = """
window.delays = [];
addEventListener('keydown', (event) => delays.push(performance.now() - event.timeStamp));
"""


@click.command(help=__doc__)
@click.option("--engine", type=click.Choice(list(PROGRAMS)), default="chromium")
@click.option("--pictures", default=150, help="Pictures of each kind that are compared.")
@click.option("--runs", default=3, help="Cold starts, of which the least counts; 0: none.")
@click.option("--largest-mp", default=48, help="Largest picture that is timed.")
@report.outputs(cannot_show="Telephones, and browsers with other work; engines of other versions.")
def main(engine: str, pictures: int, runs: int, largest_mp: int) -> None:
    """Print and write the figures."""
    register_heif_opener()
    subprocess.run([ROOT / "scripts" / "page-libraries"], check=True)
    agreement = [_agreement(engine, kind, pictures) for kind in KINDS]
    report.show(agreement)
    large = _large(largest_mp) if runs else ()
    costs = [_cost(engine, name, data, runs) for name, data in large]
    report.show(costs)
    delays = []
    if runs and engine == "chromium":
        delays = [_delays(name, data) for name, data in _large(min(largest_mp, 12))]
        report.show(delays)
    results = {"agreement": agreement, "costs": costs, "delays": delays}
    failures = [f"hashes of {row['kind']} are too far" for row in agreement if row["too_far"]]
    report.publish(results, failures=failures)


def _agreement(engine: str, kind: str, pictures: int) -> dict[str, Json]:
    """Compare pictures of a kind of file."""
    options, limits = KINDS[kind]
    format_ = kind.split(",", maxsplit=1)[0]
    if engine == "firefox":
        limits = _IN_FIREFOX.get(kind, limits)
    with _folder() as (files, profile):
        for number, image in enumerate(islice(_pictures(), pictures)):
            if kind.endswith("alpha"):
                image.putalpha(Image.linear_gradient("L").resize(image.size))
            path = files / f"{number:04}.{format_.lower()}"
            image.save(path, format_, **options)
        outcomes = result_of(engine, files, profile)
        expected = {path.name: fingerprint_image(path.read_bytes()) for path in files.iterdir()}
    hashed = {name: ours for name, ours in expected.items() if isinstance(ours, ImageFingerprints)}
    bits = [
        distances(outcomes[name].get("rows", []), rows_of(ours)) for name, ours in hashed.items()
    ]
    too_far = [
        each for each in bits if each.plain_bits > limits[0] or each.variant_bits > limits[1]
    ]
    return {
        "kind": kind,
        "pictures": len(hashed),
        "plain_bits": max(each.plain_bits for each in bits),
        "variant_bits": max(each.variant_bits for each in bits),
        "equal_pictures": sum(not any(each) for each in bits),
        "fingerprints": sum(len(ours.fingerprints) for ours in hashed.values()),
        "unlike_fingerprints": sum(each.unlike for each in bits),
        "region_bits": max(each.region_bits for each in bits),
        "unlike_regions": sum(each.unlike_regions for each in bits),
        "too_far": len(too_far),
    }


def _pictures() -> Iterator[Image.Image]:
    """Yield photographs and two parts of each, at most _SIDE_PX a side."""
    parts = ((0, 0, 1, 1), (0, 0, 0.6, 0.6), (0.4, 0.3, 1, 1))
    for _, load in photographs():
        whole = load()
        width, height = whole.size
        for left, top, right, bottom in parts:
            image = whole.crop((left * width, top * height, right * width, bottom * height))
            image.thumbnail((_SIDE_PX, _SIDE_PX))
            yield image


def _large(largest_mp: int) -> Iterator[tuple[str, bytes]]:
    """Yield what is timed: large pictures, and a video."""
    _, load = next(photographs())
    photograph = load()
    for name, megapixels in _SIZES_MP.items():
        if megapixels > largest_mp:
            continue
        scale = (megapixels * 1e6 / (photograph.width * photograph.height)) ** 0.5
        file = io.BytesIO()
        size = round(photograph.width * scale), round(photograph.height * scale)
        photograph.resize(size).save(file, name.split()[-1], quality=90)
        yield name, file.getvalue()
    frames = footage(
        3, seconds=15 if largest_mp >= min(_SIZES_MP.values()) else 1, size=(1280, 720), fps=30
    )
    yield _VIDEO, encode_video(frames, fps=30)


def _cost(engine: str, name: str, data: bytes, runs: int) -> dict[str, Json]:
    """Hash one file in fresh browsers."""
    costs = [_cold(engine, {"file": data}) for _ in range(runs)]
    idle_mb = _cold(engine, {})[1]
    return {
        "file": name,
        "least_ms": min(ms for ms, _ in costs),
        "most_mb": max(peak_mb for _, peak_mb in costs) - idle_mb,
    }


def _cold(engine: str, files: dict[str, bytes]) -> tuple[int, float]:
    """Return the time that the only file takes, and the most memory of the browser, in MB."""
    with _folder() as (folder, profile):
        for name, data in files.items():
            (folder / name).write_bytes(data)
        peak_mb, done = 0.0, threading.Event()
        with (
            serving(folder, HASH_FILES) as (url, results),
            browser(engine, url, profile) as process,
        ):

            def sample() -> None:
                nonlocal peak_mb
                while not done.wait(_SAMPLED_S):
                    peak_mb = max(peak_mb, _memory_mb(process.pid))

            sampling = threading.Thread(target=sample)
            sampling.start()
            try:
                outcomes = awaited(results, process)
            finally:
                done.set()
                sampling.join()
    for outcome in outcomes.values():
        if "rows" not in outcome:
            raise RuntimeError(f"{outcome}")
    return max((outcome["ms"] for outcome in outcomes.values()), default=0), peak_mb


def _delays(name: str, data: bytes) -> dict[str, Json]:
    """Press a key again and again while a file is hashed; return how long it waits, in ms."""
    with _folder() as (folder, _), serving(folder, HASH_FILES) as (url, results):
        (folder / "file").write_bytes(data)
        with sync_playwright() as playwright:
            program = shutil.which(PROGRAMS["chromium"])
            page = playwright.chromium.launch(executable_path=program).new_page()
            page.add_init_script(_LISTEN)
            page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
            page.goto(url)
            while results.empty():
                page.keyboard.press("a", delay=_SAMPLED_S * 1000)
            waited = sorted(page.evaluate("delays"))
    places = {"median_ms": 0.5, "p95_ms": 0.95, "most_ms": 1}
    ms = {key: round(waited[int(place * (len(waited) - 1))]) for key, place in places.items()}
    return {"file": name, "keys": len(waited), **ms}


def _memory_mb(pid: int) -> float:
    """Return the memory of a process and its children, what they share counted once."""
    sizes_kb, waiting = 0, [pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        with contextlib.suppress(OSError):
            sizes_kb += int((folder / "smaps_rollup").read_text().split("Pss:")[1].split()[0])
            for thread in (folder / "task").iterdir():
                waiting += [int(child) for child in (thread / "children").read_text().split()]
    return sizes_kb / 1024


@contextlib.contextmanager
def _folder() -> Iterator[tuple[Path, Path]]:
    """Make folders for files, and for a browser."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        files, profile = Path(name, "files"), Path(name, "profile")
        files.mkdir()
        profile.mkdir()
        yield files, profile


if __name__ == "__main__":
    main()
