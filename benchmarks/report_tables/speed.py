"""Tables of the times and sizes of search and service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report_tables.cells import Cells, missing, number, ratio


def search(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield every engine over every set of hashes."""
    yield (
        *("hashes", "engine", "lookups/s", "slower by", "p50 µs", "p99 µs", "recall"),
        *("build s", "build CPU s", "PSS MB"),
    )
    for row in report["rows"]:
        yield (
            f"{number(row['size'])} {row['distribution']}",
            row["engine"],
            number(row["lookups_per_s"]),
            f"{_slower(row, report['rows']):.1f}",
            number(row["p50_us"], 1),
            number(row["p99_us"], 1),
            "1" if row["recall"] == 1 else f"{row['recall']:.4f}",
            f"{row['build_s']:.1f}",
            f"{row['build_cpu_s']:.1f}",
            number(row["pss_mb"]),
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
                f"{number(row['size'])} uniform" if row["engine"] == "disrupt" else "",
                _ENGINES[row["engine"]],
                number(row["lookups_per_s"]),
                f"{_slower(row, uniform):.1f}",
                number(row["p99_us"], 1),
                f"{row['build_cpu_s']:.1f}",
                number(row["pss_mb"]),
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
        return missing(ratio(value), misses=value < bound)

    yield "promised", "measured", "bound", "hoped for"
    yield (
        "lookups/s at 1 M, one by one, against PDQIndex of threatexchange",
        at_least(faster(million, "threatexchange_pdqindex"), 25),
        *map(ratio, (25, 50)),
    )
    yield (
        "lookups/s at 10 M, against FAISS flat / FAISS multi-hash at its best",
        f"{at_least(faster(ten, 'faiss_flat'), 50)} / {at_least(faster(ten, best), 12)}",
        *(f"{ratio(flat)} / {ratio(multihash)}" for flat, multihash in ((50, 12), (100, 30))),
    )
    times = [of_real(size) for size in (million, ten)]
    yield (
        "a lookup among real hashes, in times of uniform ones, 1 M / 10 M",
        " / ".join(missing(f"{value:.2f}", misses=value > 1.5) for value in times),
        *("1.5", ""),
    )
    recall = min(row["recall"] for row in report["rows"] if row["engine"] == "disrupt")
    yield "recall", missing(f"{recall:g}", misses=recall < 1), 1, 1
    processor, clock = (
        rows[best, ten, "uniform"][key] / ours[key] for key in ("build_cpu_s", "build_s")
    )
    yield (
        "tables of 10 M from codes in memory, faster than FAISS multi-hash at its best",
        f"{at_least(processor, 10)} in processor time, {at_least(clock, 10)} on the clock",
        *map(ratio, (10, 30)),
    )
    memory_gb = ours["pss_mb"] / 1000
    yield (
        "memory of a process that holds 10 M",
        missing(f"{memory_gb:.2f} GB", misses=memory_gb > 1.6),
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
        yield (row["calls"], *(number(row[rate]) for rate in rates), *shares)


_PROMISED_OF_ENGINE = {"batches of 64": 0.60}


def service_in_short(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield rates of each kind of calls."""
    yield "calls", "calls/s", "items/s", "of a handler that does nothing", "of the bare engine"
    for row in report["rows"]:
        promised = _PROMISED_OF_ENGINE.get(row["calls"], 0)
        yield (
            row["calls"],
            number(row["calls_per_s"]),
            number(row["items_per_s"]),
            f"{row['of_nothing']:.0%}",
            missing(f"{row['of_engine']:.0%}", misses=row["of_engine"] < promised),
        )


def promises_of_service(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what is promised of calls through gRPC, and what was measured; misses are bold."""
    rows = {row["calls"]: row for row in report["rows"]}
    batches, flows = (rows[f"{calls} of 64"]["of_engine"] for calls in ("batches", "flows"))
    unary, bound = rows["unary"]["of_nothing"], _PROMISED_OF_ENGINE["batches of 64"]
    yield "promised", "measured", "bound", "hoped for"
    yield (
        "batches of 64 at 1 M, items/s of the bare engine's",
        f"{missing(f'{batches:.0%}', misses=batches < bound)} (flows: {flows:.0%})",
        *(f"{bound:.0%}", "85%"),
    )
    yield (
        "unary at 1 M, calls/s of those of a handler that does nothing",
        missing(f"{unary:.0%}", misses=unary < 0.70),
        *("70%", "80%"),
    )


def latency(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield latencies of single lookups at shares of the capacity."""
    yield "load", "calls/s", "p50 ms", "p99 ms", "p99.9 ms"
    for row in report["latencies"]:
        times = (f"{row[key] / 1000:.1f}" for key in ("p50_us", "p99_us", "p999_us"))
        yield f"{row['load']:.0%}", number(row["rate_per_s"]), *times


def life_of_an_index(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what is promised of an index of ten million hashes, hoped for, and measured."""
    yield "10 M hashes", "promised", "hoped for", "measured"
    build, memory = report["build"], report["memory"]
    clock = f"{build['rebuild_s']:.0f} s / {build['rebuild_cpu_s']:.0f} s"
    yield "whole rebuild from the registry, on the clock / processor time", "60 s", "20 s", clock
    yield "its memory beside files, at its peak", "bounded", "", f"{build['own_peak_mb']:.0f} MB"
    opened = sorted(row["answered_s"] for row in report["open"])
    span = f"{opened[0]:.2f} to {opened[-1]:.2f} s"
    yield "open a verified snapshot to first answer, caches warm", "2 s", "0.2 s", span
    slowest = max(report["changes"], key=lambda row: row["times_slower"])
    added = f"{number(slowest['count'])} added items of {slowest['hashes_per_item']} hashes"
    times = f"{slowest['times_slower']:.2f} \N{MULTIPLICATION SIGN}"
    yield (
        f"a lookup after {added}",
        "2 \N{MULTIPLICATION SIGN}",
        "",
        missing(times, misses=slowest["times_slower"] > 2),
    )
    rows = report["freshness"]["rows"]
    reached = " / ".join(f"{max(row[key] for row in rows):.0f} ms" for key in ("p99_ms", "max_ms"))
    yield "a change reaches every worker's lookups, p99 / longest", "1 s", "", reached
    adds_ms = report["swaps"]["swap_adds_ms"]
    yield (
        "a swap adds to the longest lookup",
        "5 ms",
        "",
        missing(f"{adds_ms:.1f} ms", misses=adds_ms > 5),
    )
    for name, key, promised_mb, hoped in (
        ("", "steady_mb", 1600, "1.2 GB"),
        (" during a swap", "during_a_swap_mb", 3000, "2 GB"),
    ):
        yield (
            f"memory of all processes of the server{name}",
            f"{promised_mb / 1000:.1f} GB",
            hoped,
            missing(f"{memory[key] / 1000:.2f} GB", misses=memory[key] > promised_mb),
        )


def after_changes(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield lookups after changes, in times of those without."""
    counts = sorted({row["count"] for row in report["changes"]} - {0})
    yield "changes since the snapshot", 0, *map(number, counts)
    kinds = dict.fromkeys((row["changes"], row["hashes_per_item"]) for row in report["changes"])
    for changes, hashes in kinds:
        times = {
            row["count"]: f"{row['times_slower']:.2f}"
            for row in report["changes"]
            if (row["changes"], row["hashes_per_item"]) == (changes, hashes)
        }
        of = f"of {hashes} hash{'es' if hashes > 1 else ''}"
        yield f"{changes} {of}", 1, *(times.get(count, "") for count in counts)


def quotas(report: dict[str, Any]) -> Iterator[Cells]:
    """Yield what a greedy organisation leaves two others, with a quota and without."""
    yield (
        *("quota", "others alone, hashes a second", "beside the greedy", "others' share"),
        *("quartiles", "the greedy"),
    )
    for row in report["rows"]:
        quota, (low, high) = row["quota_hashes_per_s"], row["others_share_quartiles"]
        yield (
            "none" if quota is None else f"{number(quota)} a second",
            number(row["others_alone"]),
            number(row["others_beside_greedy"]),
            missing(
                f"{row['others_share']:.2f}",
                misses=quota is not None and row["others_share"] < report["least_share"],
            ),
            f"{low:.2f}-{high:.2f}",
            number(row["greedy"]),
        )
