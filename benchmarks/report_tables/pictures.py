"""Tables of pictures: what is found, what hashing costs, and what is near by chance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report_tables.cells import Cells, missing, number, percent

_GROUPS = {
    "photometric": "JPEG, resize, blur, noise, grey, contrast",
    "turned": "mirror, turns of 90°, 180°, 270°",
    "crop_sides": "up to 15 % off any sides",
    "crop_shape": "the centre, and centred 1:1, 4:5, 9:16",
    "border": "letterbox, pillarbox, frame, story",
    "screen": "captions, screenshots, collages",
    "rotation": "up to 5° either way",
    "sticker": "1 to 8 % of the area covered or blurred",
    "crop_anywhere": "to 1:1, 4:5 or 9:16 at any place",
    "two_edits": "two of the above",
}
"""Groups of edits, with examples."""


_HARDER_GROUPS = {
    "cut_side": "one side cut by 16 to 50 %",
    "ratio": "to one of six ratios, at any place",
    "large_crop": "8 to 35 % off each side alike, halves, thirds",
    "turn_on_page": "turned by 3 to 30°, all corners on a plain page",
    "turn_and_crop": "turned by 5 to 20°, corners cropped off",
    "tilted": "tilted by 3 to 8 % on a plain page, photographed screens",
    "tilt_within": "a letterbox or a screenshot, tilted on a plain page",
    "covered": "bands of text, stickers, mosaic",
    "even_collage": "cells of even grids, up to four in a row",
    "gutters": "the same with gutters",
    "cropped_cells": "the same, each cell a cropped square or 4:5",
    "short_video": "mirrored, cropped by 8 % a side, in a tall frame",
    "negative": "all levels inverted",
    "cropped_negative": "the same, up to 15 % off any sides",
    "patterned_surround": "tilted on another picture, sharp or blurred",
    "cut_screen": "photographed screens, up to 15 % off any sides",
}
"""Groups of harder edits, with examples."""


def _by_effort(report: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the rows of each edit by effort."""
    edits: dict[str, dict[str, dict[str, Any]]] = {}
    for row in report["rows"]:
        edits.setdefault(row["edit"], {})[row["effort"]] = row
    return edits


def recall(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield every edit and group of edits at STANDARD, and what the other efforts find."""
    yield "edit", "STANDARD", "95 %", "at least", "FAST", "THOROUGH", "threatexchange", "trials"
    for edit, efforts in _by_effort(report).items():
        row = efforts["STANDARD"]
        yield (
            f"**{edit}**" if edit in _GROUPS else edit,
            percent(row["recall"]),
            f"{percent(row['low'])}-{percent(row['high'])}",
            percent(row["target"], 0) if row["target"] else "",
            *(percent(efforts[effort]["recall"]) for effort in ("FAST", "THOROUGH")),
            percent(row["threatexchange"]),
            row["trials"],
        )


def recall_of_groups(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield groups of edits with examples; recall that misses its promise is bold."""
    yield (
        *("group", "examples", "STANDARD", "95 % interval", "promised"),
        *("FAST", "threatexchange"),
    )
    edits = _by_effort(report)
    for group, examples in _GROUPS.items():
        row, target = edits[group]["STANDARD"], edits[group]["STANDARD"]["target"]
        yield (
            group,
            examples,
            missing(percent(row["recall"]), misses=row["recall"] < (target or 0)),
            f"{percent(row['low'])}-{percent(row['high'])}",
            percent(target, 0) if target else "none",
            percent(edits[group]["FAST"]["recall"]),
            percent(row["threatexchange"]),
        )


def recall_of_harder(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield groups of harder edits at both efforts; recall that misses its promise is bold."""
    yield (
        *("group", "examples", "STANDARD", "95 % interval", "promised"),
        *("THOROUGH", "promised", "threatexchange"),
    )
    edits = _by_effort(report)
    for group, examples in _HARDER_GROUPS.items():
        cells = []
        for effort in ("STANDARD", "THOROUGH"):
            row = edits[group][effort]
            target = row["target"]
            cells.append(
                (
                    missing(percent(row["recall"]), misses=row["recall"] < (target or 0)),
                    f"{percent(row['low'])}-{percent(row['high'])}",
                    percent(target, 0) if target else "",
                )
            )
        standard, (thorough, _, target) = cells
        peer = percent(edits[group]["STANDARD"]["threatexchange"])
        yield group, examples, *standard, thorough, target, peer


def lookup_cost(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what a lookup of each kind of picture takes after decoding, and took before."""
    yield "picture", "find regions", "hash", "hashes", "search", "in all", "before"
    before_ms = {row["picture"]: row["in_all_ms"] for row in report["before"]}
    for row in report["rows"]:
        yield (
            row["picture"],
            f"{row['find_regions_ms']:.1f}",
            f"{row['hash_ms']:.1f}",
            f"{row['hashes']:.0f}",
            f"{row['search_ms']:.1f}",
            f"{row['in_all_ms']:.0f}",
            f"{before_ms[row['picture']]:.0f}",
        )


def hashing(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what hashing each kind of file takes, beside threatexchange."""
    yield (
        *("file", "lookup: decode + reduce + PDQ, ms", "registration: the same, ms"),
        *("lookup / registration / threatexchange, ms", "lookup faster by"),
        *("lookup / registration / threatexchange, MB", "bits"),
    )
    pipelines = ("disrupt_lookup", "disrupt_registration", "threatexchange")
    rows = {(row["input"], row["pipeline"], row["stage"]): row for row in report["rows"]}
    bits = {row["input"]: row for row in report["bits"] if row["pipeline"] == "disrupt_lookup"}
    for file in dict.fromkeys(row["input"] for row in report["rows"]):
        totals = [rows[file, pipeline, "total"] for pipeline in pipelines]
        yield (
            file,
            *(_stages(rows, file, pipeline) for pipeline in pipelines[:2]),
            " / ".join(f"{total['ms']:.1f}" for total in totals),
            f"{totals[2]['ms'] / totals[0]['ms']:.1f}",
            " / ".join(f"{total['peak_mb']:.0f}" for total in totals),
            f"{bits[file]['mean']:.2f} / {totals[0]['bits_from_registration']}",
        )


def _stages(rows: dict[tuple[str, str, str], dict[str, Any]], file: str, pipeline: str) -> str:
    digits = {"decode": 1, "reduce": 1, "pdq": 2}
    return " + ".join(f"{rows[file, pipeline, at]['ms']:.{n}f}" for at, n in digits.items())


def variant_plan(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield the points of the curve of stored hashes and lookups; those in use are bold."""
    yield (
        *("crops looked up, \N{MULTIPLICATION SIGN} 8", "stored", "sides up to 15 %"),
        *("other shape", "turn", "sticker"),
        *("sides, then shape", "all, weighed"),
    )
    for point in report["points"]:
        is_used = point["stored"] == 195 and point["lookups"] in {17, 36}
        edits = ("crop_sides", "shape", "rotation", "opaque_sticker", "two_crops")
        yield (
            *(missing(str(point[key]), misses=is_used) for key in ("lookups", "stored")),
            *(f"{point['recall'][edit]:.2f}" for edit in edits),
            f"{point['weighed']:.2f}",
        )


def variant_plan_2(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield the points of the curve of plan 2; that in use is bold."""
    yield (
        *("crops looked up, \N{MULTIPLICATION SIGN} 8", "stored beside plan 1", "one side cut"),
        *(
            "six ratios",
            "zoom",
            "third",
            "turned 5-20°",
            "cell",
            "band",
            "stickers",
            "all, weighed",
        ),
    )
    for point in report["points"]:
        is_used = (point["stored"], point["lookups"]) == (101, 36)
        edits = ("cut_side", "ratio", "zoom", "third", "turn_and_crop", "cell", "band", "stickers")
        yield (
            *(missing(str(point[key]), misses=is_used) for key in ("lookups", "stored")),
            *(f"{point['recall'][edit]:.2f}" for edit in edits),
            f"{point['weighed']:.2f}",
        )


def false_matches(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield false matches of each kind of pictures, and upper ends of the shares' intervals."""
    bounds = {"by source": "_sources", "by picture": "", "by hash": "_hashes"}
    yield "looked up", "sources", "pictures", "hashes", "false matches", *bounds
    counted = report["false_matches"]
    for name, row in {**counted["kinds"], "**all**": counted}.items():
        shares = (min(100 * row[f"upper_95{of}"], 100) for of in bounds.values())
        counts = (row[of] for of in ("sources", "lookups", "hashes", "found"))
        yield (name, *map(number, counts), *(f"{float(f'{share:.2g}'):g} %" for share in shares))


def near_pairs(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield pairs of hashes within distances, by what was looked up."""
    pairs = report["false_matches"]["pairs"]
    within = [bits for bits in pairs["crop"] if bits != "all" and int(bits) % 8 == 2]
    yield "within bits", *within, "all"
    for name, row in pairs.items():
        yield name, *(number(row[bits]) for bits in (*within, "all"))


_KINDS = {"unrelated": "unrelated pictures", "copy": "edited copies"}


def match_limits(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield unrelated pictures and edited copies found, without a rule, by four, by one."""
    yield "looked up", "pictures", "within 31 bits", "four rules", "one rule"
    for kind, name in _KINDS.items():
        groups = report["one_rule"][kind]
        rows = {
            group: (
                row["lookups"],
                row["without_rule"],
                report["four_rules"][kind][group]["by_rule"],
                row["by_rule"],
            )
            for group, row in groups.items()
        }
        for group, counts in rows.items():
            if len(set(counts[1:])) > 1:
                yield group, *counts
        yield (
            f"**{name}**",
            *(number(sum(counts)) for counts in zip(*rows.values(), strict=True)),
        )
