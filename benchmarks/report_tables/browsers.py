"""Tables of what the submission page hashes in browsers, beside Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report_tables.cells import Cells, missing, number

_KINDS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WebP",
    "avif": "AVIF of 8 bits",
    "profile": "with a profile",
    "alpha": "with alpha",
    "avif_10_bits": "AVIF of 10 bits",
    "heic": "HEIC",
}
_ENGINES = {"chromium": "Chromium", "firefox": "Firefox", "webkit": "WebKitGTK"}


def browser_agreement(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield each kind of file in each engine; figures that miss their bound are bold."""
    yield (
        *("engine", "files", "pictures", "of these same pixels", "hashes", "differ"),
        *("most bits, picture", "most bits, variants", "on one side only"),
        *("port: most bits", "on one side only", "decided by rounding"),
    )
    for row in report["rows"]:
        yield (
            _ENGINES[row["engine"]],
            _KINDS[row["kind"]],
            *(number(row[name]) for name in ("pictures", "same_pixels", "hashes", "differing")),
            *_bits(row),
            missing(number(row["ordinals"]), misses="ordinals" in row["excess"]),
            *(
                missing(number(row[name]), misses="port" in row["excess"] and row[name] > 0)
                for name in ("port_bits", "port_ordinals")
            ),
            row["rounded"],
        )


def _bits(row: dict[str, Any]) -> list[str]:
    return [
        missing(str(row[name]), misses=name in row["excess"])
        for name in ("picture_bits", "plan_bits")
    ]


def browser_input(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield how soon the page answers, at rest and while it hashes."""
    yield "page", "inputs", "median ms", "99th percentile ms", "slowest ms", "load"
    for row in report["rows"]:
        middle, high, most = (f"{row[name]:.0f}" for name in ("median_ms", "p99_ms", "slowest_ms"))
        shown = missing(high, misses="time" in row["excess"])
        yield row["state"], row["inputs"], middle, shown, most, row["load"]


def browser(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what a photograph takes, by its size."""
    yield "megapixels", "cold ms", "warm ms", "idle MB", "most MB", "hashes", "differ"
    for row in report["rows"]:
        yield _taken(row, "megapixels", "cold_ms", "warm_ms")


def browser_video(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what a video takes, by its codec."""
    yield (
        *("codec", "cold ms", "warm ms", "processor ms", "Python, ms"),
        *("idle MB", "most MB", "hashes", "differ"),
    )
    for row in report["rows"]:
        yield _taken(row, "codec", "cold_ms", "warm_ms", "cpu_ms", "python_ms")


def _taken(row: dict[str, Any], *names: str) -> Cells:
    memory = (f"{row[name]:.0f}" for name in ("idle_mb", "peak_mb"))
    return *(row[name] for name in names), *memory, row["fingerprints"], row["differing"]
