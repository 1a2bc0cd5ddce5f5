"""Tables of what a server stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report_tables.cells import Cells, missing


def chaos(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield the faults that did harm, whether the metrics showed them, and the longest waits."""
    yield (
        *("fault", "times", "shown by the metrics"),
        *("no lookup for", "no lookup of one caller for", "no registration of one caller for"),
    )
    for row in report["faults"]:
        shown = row["times"] - row["unseen"]
        yield (
            row["kind"].replace("-", " "),
            str(row["times"]),
            missing(str(shown), misses=shown < row["times"]),
            f"{row['least_lookups_s']:.1f} s",
            f"{row['lookups_s']:.1f} s",
            f"{row['registrations_s']:.1f} s",
        )
