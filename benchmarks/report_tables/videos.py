"""Tables of videos: hashing, lookups, recall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report_tables.cells import Cells


def video_hashing(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield processor times of decoding and hashing a video, in s."""
    yield (
        *("", "decode all", "decode what is needed", "lookup", "registration, 4 frames/s"),
        *("vpdq 0.2.5", "lookup / needed", "lookup / vpdq"),
    )
    for row in report["cost"]:
        times = ("decode_s", "sampled_decode_s", "lookup_s", "registration_s", "vpdq_s")
        ratios = ("lookup_to_sampled_decode", "lookup_to_vpdq")
        yield (
            f"{row['size']} {row['codec']}",
            *(f"{row[key]:.3f}" for key in times),
            *(f"{row[key]:.2f}" for key in ratios),
        )


def video_lookups(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield processor times of looking a video up, in ms, and those of the code before."""
    versions = sorted({row["versions"] for row in report["lookup"]})
    yield "", f"{versions[0]} versions of each frame", *versions[1:]
    times: dict[tuple[int, bool], list[str]] = {}
    for row in report["lookup"]:
        digits = 1 if row["minutes"] == 1 else 0
        shown = f"{row['ms']:.{digits}f} ({row['before_ms']:.{digits}f})"
        times.setdefault((row["minutes"], row["found"]), []).append(shown)
    for (minutes, is_found), cells in sorted(times.items()):
        of = f"{minutes} minute{'s' if minutes > 1 else ''}"
        yield f"{of}, {'found' if is_found else 'nothing found'}", *cells


def video_recall(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield how many edited videos are found, with the 95 % interval."""
    yield "edit", "found", "of these filmed or rendered", "95 % interval"
    for row in report["recall"]:
        yield (
            row["edit"],
            f"{row['found']} of {row['trials']}",
            f"{row['filmed_found']} of {row['filmed']}",
            f"{row['low']:.0%}-{row['high']:.0%}".replace("%-", "-").replace("%", " %"),
        )
