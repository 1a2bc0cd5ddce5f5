"""Hash videos in a browser, as the submission page does, and compare with Python.

It prints a table and, with --json, writes rows. Each codec gets a fresh browser: the file is hashed
cold, then again warm; Python hashes it in the same run. Memory is the most that the page's process
ever had, and what it had before. It exits with 1 if a fingerprint differs, or a bound is exceeded.

    ./scripts/bench browser_video --json out.json
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.harness.browsers import engine_option
from benchmarks.harness.page_processes import cpu_ms, most_memory_mb
from benchmarks.harness.reports import publish, rows_option
from benchmarks.harness.video_device import device
from benchmarks.harness.videos import Codec, encode, footage
from disrupt.core.videos import VideoFingerprints
from disrupt.hashing.videos.frames import fingerprint_video

_CODECS = {
    "H.264": Codec(options={"preset": "veryfast", "crf": "23"}),
    "VP8": Codec("webm", "libvpx", {"deadline": "realtime", "cpu-used": "8", "b": "2500000"}),
    "VP9": Codec("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "b": "2500000"}),
    "AV1": Codec("mp4", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
}
_FPS = 30
_MOST_MS_PER_S = 200
"""Promised for 720p: 15 seconds in 3."""


@dataclass(frozen=True, slots=True)
class Row:
    """One codec; ``cpu_ms`` is of all of the browser's processes for the warm file.

    ``load`` is how many processes waited for a core meanwhile, on the average.
    """

    engine: str
    codec: str
    seconds: float
    cold_ms: int
    warm_ms: int
    cpu_ms: int
    python_ms: int
    idle_mb: float
    peak_mb: float
    fingerprints: int
    differing: int
    load: float

    @property
    def excess(self) -> list[str]:
        """Return what is worse than promised."""
        found = ["fingerprints"] if self.differing else []
        return [*found, "time"] if self.warm_ms > _MOST_MS_PER_S * self.seconds else found


@click.command(help=__doc__)
@engine_option
@click.option("--codec", "codecs", type=click.Choice(list(_CODECS)), multiple=True)
@click.option("--seconds", default=15.0, show_default=True, help="Length of the video.")
@click.option("--height", "height_px", default=720, show_default=True, help="Of a frame.")
@click.option("--sabotage", is_flag=True, help="Give the browser another video than Python.")
@rows_option
def main(
    engine: str,
    codecs: tuple[str, ...],
    seconds: float,
    height_px: int,
    sabotage: bool,  # noqa: FBT001 click passes it by name
    json_path: Path | None,
) -> None:
    """Measure the codecs and print the table."""
    size = height_px * 16 // 9, height_px
    rows = [
        _measured(engine, codec, seconds, size, sabotage=sabotage) for codec in codecs or _CODECS
    ]
    settings = {"seconds": seconds, "height_px": height_px, "fps": _FPS, "sabotage": sabotage}
    sys.exit(publish(rows, json_path, settings))


def _measured(
    engine: str, codec: str, seconds: float, size: tuple[int, int], *, sabotage: bool
) -> Row:
    data = _video(codec, seconds, size)
    other = _video(codec, seconds, size, seed=2) if sabotage else data
    began_s = time.monotonic()
    expected = fingerprint_video(io.BytesIO(data))
    python_ms = round(1000 * (time.monotonic() - began_s))
    if not isinstance(expected, VideoFingerprints):
        raise click.ClickException("The video is too featureless at this size.")
    with tempfile.TemporaryDirectory() as name, device(engine, Path(name)) as phone:
        idle_mb = most_memory_mb(phone.process)
        cold = phone.hash(other)
        began_cpu_ms = cpu_ms(phone.process)
        warm = phone.hash(other)
        took_cpu_ms = cpu_ms(phone.process) - began_cpu_ms
        most_mb = most_memory_mb(phone.process)
    if warm.refused:
        raise click.ClickException(f"{engine} has refused {codec}: {warm.refused}")
    rows = expected.fingerprints
    is_alike = np.isin(rows, warm.fingerprints)
    return Row(
        engine,
        codec,
        seconds,
        round(cold.took_ms),
        round(warm.took_ms),
        round(took_cpu_ms),
        python_ms,
        idle_mb,
        most_mb,
        len(rows),
        int(np.count_nonzero(~is_alike)) + abs(len(rows) - len(warm.fingerprints)),
        round(os.getloadavg()[0], 1),
    )


def _video(codec: str, seconds: float, size: tuple[int, int], seed: int = 1) -> bytes:
    frames = footage(seed, seconds=seconds, size=size, fps=_FPS)
    return encode(frames, fps=_FPS, codec=_CODECS[codec])


if __name__ == "__main__":
    main()
