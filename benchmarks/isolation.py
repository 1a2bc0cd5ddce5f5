"""What isolation costs, and how MatchImage scales.

In one run and in turns, the same pictures are hashed by threads of one process and by isolated
processes, as many as cores: the ratio is the median over the rounds, so that a busy machine touches
both alike. Then a real server answers MatchImage with one worker and with one per core, each with
one decoding process. Answers are compared with hashes taken here.

    python -m benchmarks.isolation --json -
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import uvloop
from PIL import Image
from skimage.data import data_dir

from benchmarks.deployment import Deployment
from disrupt.client import MatchClient
from disrupt.hashing import hash_image
from disrupt.hashing.isolation import IsolatedHashing
from disrupt.server.pool import Pool

INPUTS = {
    "JPEG 720 px": (720, 540, "JPEG"),
    "JPEG 1920 px": (1920, 1440, "JPEG"),
    "JPEG 12 MP": (4000, 3000, "JPEG"),
    "PNG 1280 px": (1280, 960, "PNG"),
    "WebP 1280 px": (1280, 960, "WEBP"),
}
_SERVED = "JPEG 1920 px"
_CORES = len(os.sched_getaffinity(0))
_IN_FLIGHT = 4
"""Calls at once for each that is worked on."""


@click.command(help=__doc__)
@click.option("--json", "json_path", required=True, help="File for the report, - for stdout.")
@click.option("--rounds", default=15, show_default=True, help="Turns of each way.")
@click.option("--round-s", default=0.5, show_default=True, help="About how long a turn takes.")
def main(json_path: str, rounds: int, round_s: float) -> None:
    """Measure and write the report."""
    files = {name: _file(*size) for name, size in INPUTS.items()}
    rows = uvloop.run(_compare(files, rounds, round_s))
    scaling = [
        _served(files[_SERVED], workers, rounds * round_s) for workers in sorted({1, _CORES})
    ]
    report = {
        "rows": rows,
        "match_image": {
            "input": _SERVED,
            "rows": scaling,
            "speedup": round(scaling[-1]["per_s"] / scaling[0]["per_s"], 2),
        },
        "machine": {"cores": _CORES, "processor": platform.machine()},
    }
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(report, indent=2) + "\n")


def _file(width_px: int, height_px: int, format_: str) -> bytes:
    picture = Image.open(f"{data_dir}/coffee.png").convert("RGB")
    file = io.BytesIO()
    picture.resize((width_px, height_px), Image.Resampling.LANCZOS).save(file, format_, quality=88)
    return file.getvalue()


async def _compare(files: dict[str, bytes], rounds: int, round_s: float) -> list[dict[str, Any]]:
    threads = Pool("hash", threads=_CORES, queued=_IN_FLIGHT * _CORES)
    rows = []
    async with IsolatedHashing(workers=_CORES, queued=_IN_FLIGHT * _CORES) as isolated:
        for name, data in files.items():
            expected = hash_image(data)

            async def in_threads(data: bytes = data) -> object:
                return await threads.run(hash_image, data)

            async def in_isolation(data: bytes = data) -> object:
                return await isolated.hash_image(data)

            plain, apart = [], []
            for _ in range(rounds):
                plain.append(await _per_s(in_threads, expected, round_s))
                apart.append(await _per_s(in_isolation, expected, round_s))
            ratios = [two / one for one, two in zip(plain, apart, strict=True)]
            rows.append(
                {
                    "input": name,
                    "size_bytes": len(data),
                    "in_threads_per_s": round(statistics.median(plain), 1),
                    "isolated_per_s": round(statistics.median(apart), 1),
                    "isolated_of_in_threads": round(statistics.median(ratios), 3),
                }
            )
    return rows


async def _per_s(
    hashed: Callable[[], Awaitable[object]], expected: object, round_s: float
) -> float:
    """Pictures per second."""
    done = 0
    began_s = time.perf_counter()

    async def keep_asking() -> None:
        nonlocal done
        while time.perf_counter() - began_s < round_s:
            if await hashed() != expected:
                raise RuntimeError("a picture was hashed wrongly")
            done += 1

    await asyncio.gather(*(keep_asking() for _ in range(_IN_FLIGHT * _CORES)))
    return done / (time.perf_counter() - began_s)


def _served(data: bytes, workers: int, seconds: float) -> dict[str, Any]:
    """Throughput of a server with so many workers."""
    with tempfile.TemporaryDirectory(prefix="disrupt-isolation-") as made:
        directory = Path(made)
        config = directory / "config.toml"
        config.write_text("hashing_workers = 1\n")
        server = Deployment.start(directory / "data", "--config", str(config), workers=workers)
        try:
            key = server.make_key("platform", "match")
            with ThreadPoolExecutor(_IN_FLIGHT * workers) as pool:
                began_s = time.perf_counter()
                asked = [
                    pool.submit(_ask, server.address, key, data, began_s + seconds)
                    for _ in range(_IN_FLIGHT * workers)
                ]
                answered = sum(one.result() for one in asked)
                took_s = time.perf_counter() - began_s
        finally:
            server.stop()
    return {"workers": workers, "per_s": round(answered / took_s, 1)}


def _ask(address: str, key: str, data: bytes, until_s: float) -> int:
    """Answers until then; each connection is new, so that all workers are reached."""
    answered = 0
    with MatchClient(address, key=key, connections=4) as client:
        while time.perf_counter() < until_s:
            if client.match_image(data, hash_locally=False).low_quality:
                raise RuntimeError("a picture was hashed wrongly")
            answered += 1
    return answered


if __name__ == "__main__":
    main()
