"""Look up only what is new since yesterday, beside whole lookups of the same hashes.

Both go by the rule of lookups by hash, from one index, in turns. The answers to what is new must be
those of the whole lookups that name a new item, and it exits with 1 if any differ, or if it takes
more than a fifth of their time.

    ./scripts/bench new --size 1000000 --json out.json
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.harness import report
from benchmarks.harness.hash_sets import Distribution, queries, stored
from disrupt.core.changes import Cursor
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.lookups import Matches
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, StoredItems
from disrupt.core.policy import ADULTS, Scope
from disrupt.distinctiveness.limits import check_limits
from disrupt.index.columns import Columns, columns
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.services.matching import UNBOUNDED, complete, hash_steps
from rig.model.brute_force import Codes

_TODAY = 20_000
_BATCH = 1000
"""Hashes of a call, as the SDK sends them."""
_BLOCK = 1 << 16
_MOST_SHARE = 0.2

Answers = set[tuple[int, int, int]]
"""Place of the hash, number of the item, distance."""


@dataclass(frozen=True, slots=True)
class Row:
    """Time of one hash, and its share of that of a whole lookup in the same run."""

    way: str
    us_per_hash: float
    of_whole: float
    first_call_ms: float
    matches: int
    wrong: int


def blocks(codes: Codes, new: int) -> Iterator[Columns]:
    """Yield the columns of items of one hash each; the last ``new`` of them are of today."""
    for first in range(0, len(codes), _BLOCK):
        part = np.array(codes[first : first + _BLOCK])
        number = np.arange(first + 1, first + len(part) + 1, dtype=np.uint64)
        fingerprints = np.zeros(len(part), FINGERPRINT)
        fingerprints["hash"] = part
        item_ids = np.zeros((len(part), 16), np.uint8)
        item_ids[:, :8] = number[:, None].view(np.uint8)
        same = [np.full(len(part), value) for value in (ADULTS.number, MediaKind.IMAGE)]
        yield columns(
            StoredItems(
                *(number, item_ids, same[0].astype(np.uint16), same[1].astype(np.uint8)),
                np.full(len(part), Assurance.SELF_REPORTED, np.uint8),
                np.where(number > len(codes) - new, _TODAY, _TODAY - 400).astype(np.uint16),
                *(np.ones(len(part), np.int64), fingerprints),
                np.full(len(part), 255, np.uint8),
            )
        )


def look_up(index: LiveIndex, asked: Codes) -> Matches:
    """Look hashes up in one call."""
    scope = Scope({ADULTS.number: MAX_DISTANCE_BITS})
    return complete(hash_steps(index, asked, scope, 10, most_matches=10**6, allowance=UNBOUNDED))


def answers(matches: Matches, first: int) -> Answers:
    """Return the matches of a call whose first hash has the place ``first``."""
    places = (matches.query + np.uint32(first)).tolist()
    return {*zip(places, matches.number.tolist(), matches.distance_bits.tolist(), strict=True)}


def measure(live: LiveIndex, asked: Codes, newer_than: int) -> list[Row]:
    """Ask in calls, whole and new ones in turns; compare the answers."""
    ways: dict[str, Callable[[], LiveIndex]] = {
        "whole": lambda: live,
        "new": lambda: live.since(_TODAY - 1),
    }
    first_ms = dict.fromkeys(ways, 0.0)
    took_s = dict.fromkeys(ways, 0.0)
    found: dict[str, Answers] = {way: set() for way in ways}
    for way, index in ways.items():
        began_s = time.perf_counter()
        look_up(index(), asked[:1])
        first_ms[way] = 1000 * (time.perf_counter() - began_s)
    for first in range(0, len(asked), _BATCH):
        for way, index in ways.items():
            began_s = time.perf_counter()
            matches = look_up(index(), asked[first : first + _BATCH])
            took_s[way] += time.perf_counter() - began_s
            found[way] |= answers(matches, first)
    expected = {row for row in found["whole"] if row[1] > newer_than}
    wrong = {"whole": 0, "new": len(expected ^ found["new"])}
    return [
        Row(
            *(way, 1e6 * took_s[way] / len(asked), took_s[way] / took_s["whole"]),
            *(first_ms[way], len(found[way]), wrong[way]),
        )
        for way in ways
    ]


@click.command(help=__doc__)
@click.option("--size", default=1_000_000, show_default=True, help="Hashes of the list.")
@click.option("--new-permille", default=10, show_default=True, help="How much of it is of today.")
@click.option("--asked", default=200_000, show_default=True, help="Hashes to look up.")
@click.option("--distribution", default="uniform", show_default=True)
@report.outputs(cannot_show="What calls cost: their messages, and hashes that need many of them.")
def main(*, size: int, new_permille: int, asked: int, distribution: Distribution) -> None:
    """Measure, print, write; exit with 1 if answers are wrong or new ones are slow."""
    codes = np.load(stored(distribution, size), mmap_mode="r")
    new = size * new_permille // 1000
    with tempfile.TemporaryDirectory() as folder:
        snapshot = publish(Path(folder), blocks(codes, new), Cursor(bytes(16), 1))
        snapshot.warm()
        check_limits()
        hashes = queries(distribution, codes, asked)
        # a tenth of those that match anything match something new
        hashes[::100] = codes[size - new :][np.arange(len(hashes[::100])) % new]
        rows = measure(LiveIndex(snapshot), hashes, size - new)
    table = [asdict(row) for row in rows]
    report.show(table)
    failures = [f"{row.way}: {row.wrong} answers are wrong" for row in rows if row.wrong]
    if rows[1].of_whole > _MOST_SHARE:
        failures.append(f"what is new takes {rows[1].of_whole:.0%} of a whole lookup")
    report.publish({"ways": table}, failures=failures)


if __name__ == "__main__":
    main()
