"""Write the tables of docs/ that are made of reports under benchmarks/results/.

A table follows its marker, `<!-- table: NAME REPORT -->`. NAME is a function of TABLES, REPORT the
stem of a file: what a benchmark wrote with --json, as "report", with the facts of its record of the
same name in docs/measurements/.

./scripts/tables writes them, ./scripts/tables --check fails if one is not as its report says.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_TABLE = re.compile(r"^(<!-- table: (\w+) (\S+) -->\n)((?:\|.*\n)*)", re.MULTILINE)

Cells = Iterable[object]
"""A line of a table; the first one has the headings."""


def tables_of(text: str) -> list[tuple[str, str]]:
    """Return the name and the report of each marker in a page."""
    return [(name, report) for _, name, report, _ in _TABLE.findall(text)]


def written(text: str, results: Path = RESULTS) -> str:
    """Return a page with each marked table made anew."""

    def made(match: re.Match[str]) -> str:
        marker, name, report, _ = match.groups()
        read = json.loads((results / f"{report}.json").read_text("utf-8"))["report"]
        return marker + markdown(TABLES[name](read))

    return _TABLE.sub(made, text)


def markdown(lines: Iterable[Cells]) -> str:
    """Return a table, of its headings and its rows."""
    headings, *rows = [[str(cell) for cell in line] for line in lines]
    every = [headings, ["---"] * len(headings), *rows]
    # an empty cell is a single space wide
    return "".join(f"|{''.join(f' {cell} |' if cell else ' |' for cell in row)}\n" for row in every)


def _number(value: float, digits: int = 0) -> str:
    return f"{value:,.{digits}f}".replace(",", " ")


def _percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}".replace("%", " %")


def _times(value: float) -> str:
    return f"{value:.0f} \N{MULTIPLICATION SIGN}"


def _missing(text: str, *, misses: bool) -> str:
    """Set a figure that misses its promise in bold."""
    return f"**{text}**" if misses else text


def search(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield every engine over every set of hashes."""
    yield (
        *("hashes", "engine", "lookups/s", "slower by", "p50 µs", "p99 µs", "recall"),
        *("build s", "build CPU s", "PSS MB"),
    )
    for row in report["rows"]:
        yield (
            f"{_number(row['size'])} {row['distribution']}",
            row["engine"],
            _number(row["lookups_per_s"]),
            f"{_slower(row, report['rows']):.1f}",
            _number(row["p50_us"], 1),
            _number(row["p99_us"], 1),
            "1" if row["recall"] == 1 else f"{row['recall']:.4f}",
            f"{row['build_s']:.1f}",
            f"{row['build_cpu_s']:.1f}",
            _number(row["pss_mb"]),
        )


def _slower(row: dict[str, Any], rows: list[dict[str, Any]]) -> float:
    """Return how many times as long as Disrupt an engine takes over the same hashes."""
    ours = next(
        other["lookups_per_s"]
        for other in rows
        if other["engine"] == "disrupt"
        and (other["size"], other["distribution"]) == (row["size"], row["distribution"])
    )
    return float(ours / row["lookups_per_s"])


_ENGINES = {
    "disrupt": "disrupt",
    "faiss_flat": "FAISS flat",
    "faiss_multihash_best": "FAISS multi-hash, best setting",
    "threatexchange_pdqindex": "threatexchange PDQIndex",
}


def search_in_short(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield the engines over uniform hashes, of sizes at which all of them were run."""
    yield "hashes", "engine", "lookups/s", "slower by", "p99 µs", "build CPU s", "PSS MB"
    uniform = [row for row in report["rows"] if row["distribution"] == "uniform"]
    sizes = {row["size"] for row in uniform if row["engine"] == "threatexchange_pdqindex"}
    for row in uniform:
        if row["size"] in sizes and row["engine"] in _ENGINES:
            yield (
                f"{_number(row['size'])} uniform" if row["engine"] == "disrupt" else "",
                _ENGINES[row["engine"]],
                _number(row["lookups_per_s"]),
                f"{_slower(row, uniform):.1f}",
                _number(row["p99_us"], 1),
                f"{row['build_cpu_s']:.1f}",
                _number(row["pss_mb"]),
            )


def promises_of_search(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what is promised of the engine, and what was measured; figures that miss are bold."""
    rows = {(row["engine"], row["size"], row["distribution"]): row for row in report["rows"]}
    million, ten = 1_000_000, 10_000_000
    ours = rows["disrupt", ten, "uniform"]
    best = "faiss_multihash_best"

    def faster(size: int, peer: str) -> float:
        return _slower(rows[peer, size, "uniform"], report["rows"])

    def of_real(size: int) -> float:
        uniform, real = (rows["disrupt", size, kind] for kind in ("uniform", "real"))
        return float(uniform["lookups_per_s"] / real["lookups_per_s"])

    def at_least(value: float, bound: float) -> str:
        return _missing(_times(value), misses=value < bound)

    yield "promised", "measured", "bound", "hoped for"
    yield (
        "lookups/s at 1 M, one by one, against PDQIndex of threatexchange",
        at_least(faster(million, "threatexchange_pdqindex"), 25),
        *map(_times, (25, 50)),
    )
    yield (
        "lookups/s at 10 M, against FAISS flat / FAISS multi-hash at its best",
        f"{at_least(faster(ten, 'faiss_flat'), 50)} / {at_least(faster(ten, best), 12)}",
        *(f"{_times(flat)} / {_times(multihash)}" for flat, multihash in ((50, 12), (100, 30))),
    )
    times = [of_real(size) for size in (million, ten)]
    yield (
        "a lookup among real hashes, in times of uniform ones, 1 M / 10 M",
        " / ".join(_missing(f"{value:.2f}", misses=value > 1.5) for value in times),
        *("1.5", ""),
    )
    recall = min(row["recall"] for row in report["rows"] if row["engine"] == "disrupt")
    yield "recall", _missing(f"{recall:g}", misses=recall < 1), 1, 1
    processor, clock = (
        rows[best, ten, "uniform"][key] / ours[key] for key in ("build_cpu_s", "build_s")
    )
    yield (
        "tables of 10 M from codes in memory, faster than FAISS multi-hash at its best",
        f"{at_least(processor, 10)} in processor time, {at_least(clock, 10)} on the clock",
        *map(_times, (10, 30)),
    )
    memory_gb = ours["pss_mb"] / 1000
    yield (
        "memory of a process that holds 10 M",
        _missing(f"{memory_gb:.2f} GB", misses=memory_gb > 1.6),
        *("1.6 GB", "1.2 GB"),
    )


def service(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield rates of each kind of calls, beside those of its bounds."""
    yield (
        *("calls", "calls/s", "items/s", "items per CPU s", "answering nothing", "bare engine"),
        *("of nothing", "of engine"),
    )
    for row in report["rows"]:
        rates = (
            *("calls_per_s", "items_per_s", "items_per_cpu_s"),
            *("nothing_items_per_cpu_s", "engine_items_per_cpu_s"),
        )
        shares = (f"{row['of_nothing']:.0%}", f"{row['of_engine']:.0%}")
        yield (row["calls"], *(_number(row[rate]) for rate in rates), *shares)


_PROMISED_OF_ENGINE = {"batches of 64": 0.60}


def service_in_short(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield rates of each kind of calls."""
    yield "calls", "calls/s", "items/s", "of a handler that does nothing", "of the bare engine"
    for row in report["rows"]:
        promised = _PROMISED_OF_ENGINE.get(row["calls"], 0)
        yield (
            row["calls"],
            _number(row["calls_per_s"]),
            _number(row["items_per_s"]),
            f"{row['of_nothing']:.0%}",
            _missing(f"{row['of_engine']:.0%}", misses=row["of_engine"] < promised),
        )


def promises_of_service(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what is promised of calls through gRPC, and what was measured; misses are bold."""
    rows = {row["calls"]: row for row in report["rows"]}
    batches, flows = (rows[f"{calls} of 64"]["of_engine"] for calls in ("batches", "flows"))
    unary, bound = rows["unary"]["of_nothing"], _PROMISED_OF_ENGINE["batches of 64"]
    yield "promised", "measured", "bound", "hoped for"
    yield (
        "batches of 64 at 1 M, items/s of the bare engine's",
        f"{_missing(f'{batches:.0%}', misses=batches < bound)} (flows: {flows:.0%})",
        *(f"{bound:.0%}", "85%"),
    )
    yield (
        "unary at 1 M, calls/s of those of a handler that does nothing",
        _missing(f"{unary:.0%}", misses=unary < 0.70),
        *("70%", "80%"),
    )


def latency(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield latencies of single lookups at shares of the capacity."""
    yield "load", "calls/s", "p50 ms", "p99 ms", "p99.9 ms"
    for row in report["latencies"]:
        times = (f"{row[key] / 1000:.1f}" for key in ("p50_us", "p99_us", "p999_us"))
        yield f"{row['load']:.0%}", _number(row["rate_per_s"]), *times


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
            _percent(row["recall"]),
            f"{_percent(row['low'])}-{_percent(row['high'])}",
            _percent(row["target"], 0) if row["target"] else "",
            *(_percent(efforts[effort]["recall"]) for effort in ("FAST", "THOROUGH")),
            _percent(row["threatexchange"]),
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
            _missing(_percent(row["recall"]), misses=row["recall"] < (target or 0)),
            f"{_percent(row['low'])}-{_percent(row['high'])}",
            _percent(target, 0) if target else "none",
            _percent(edits[group]["FAST"]["recall"]),
            _percent(row["threatexchange"]),
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
                    _missing(_percent(row["recall"]), misses=row["recall"] < (target or 0)),
                    f"{_percent(row['low'])}-{_percent(row['high'])}",
                    _percent(target, 0) if target else "",
                )
            )
        standard, (thorough, _, target) = cells
        peer = _percent(edits[group]["STANDARD"]["threatexchange"])
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


def after_changes(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield lookups after changes, in times of those without."""
    counts = sorted({row["count"] for row in report["changes"]})
    yield "changes since the snapshot", 0, *map(_number, counts)
    kinds = dict.fromkeys((row["changes"], row["hashes_per_item"]) for row in report["changes"])
    for changes, hashes in kinds:
        times = {
            row["count"]: f"{row['times_slower']:.2f}"
            for row in report["changes"]
            if (row["changes"], row["hashes_per_item"]) == (changes, hashes)
        }
        of = f"of {hashes} hash{'es' if hashes > 1 else ''}"
        yield f"{changes} {of}", 1, *(times.get(count, "") for count in counts)


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
            *(_missing(str(point[key]), misses=is_used) for key in ("lookups", "stored")),
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
            *(_missing(str(point[key]), misses=is_used) for key in ("lookups", "stored")),
            *(f"{point['recall'][edit]:.2f}" for edit in edits),
            f"{point['weighed']:.2f}",
        )


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


def false_matches(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield false matches of each kind of pictures, and upper ends of the shares' intervals."""
    bounds = {"by source": "_sources", "by picture": "", "by hash": "_hashes"}
    yield "looked up", "sources", "pictures", "hashes", "false matches", *bounds
    counted = report["false_matches"]
    for name, row in {**counted["kinds"], "**all**": counted}.items():
        shares = (min(100 * row[f"upper_95{of}"], 100) for of in bounds.values())
        counts = (row[of] for of in ("sources", "lookups", "hashes", "found"))
        yield (name, *map(_number, counts), *(f"{float(f'{share:.2g}'):g} %" for share in shares))


def near_pairs(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield pairs of hashes within distances, by what was looked up."""
    pairs = report["false_matches"]["pairs"]
    within = [bits for bits in pairs["crop"] if bits != "all" and int(bits) % 8 == 2]
    yield "within bits", *within, "all"
    for name, row in pairs.items():
        yield name, *(_number(row[bits]) for bits in (*within, "all"))


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
            *(_number(sum(counts)) for counts in zip(*rows.values(), strict=True)),
        )


TABLES: dict[str, Callable[[dict[str, Any]], Iterator[Cells]]] = {
    function.__name__: function
    for function in (
        *(search, search_in_short, promises_of_search),
        *(service, service_in_short, promises_of_service, latency),
        *(
            recall,
            recall_of_groups,
            recall_of_harder,
            lookup_cost,
            hashing,
            after_changes,
            variant_plan,
            variant_plan_2,
        ),
        *(video_hashing, video_lookups, video_recall, false_matches, near_pairs, match_limits),
    )
}


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Write nothing; fail if a table is not fresh.")
def main(*, check: bool) -> None:
    """Write the tables, or compare them."""
    stale = []
    for page in sorted((ROOT / "docs").rglob("*.md")):
        text = page.read_text("utf-8")
        fresh = written(text)
        if fresh != text:
            stale.append(str(page.relative_to(ROOT)))
            if not check:
                page.write_text(fresh, "utf-8")
    for name in stale:
        click.echo(f"{name}: {'not fresh; run scripts/tables' if check else 'written'}", err=True)
    sys.exit(check and bool(stale))


if __name__ == "__main__":
    main()
