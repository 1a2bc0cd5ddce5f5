"""Measure speed and correctness of an index after changes, compared with before them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np

from benchmarks.harness.hash_sets import PLANTED_EVERY, flipped
from disrupt.core.changes import Addition, Change, Cursor, Removal
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, Profile, StoredItem
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import same_limits
from disrupt.index.snapshot import Snapshot
from rig.model.brute_force import Answer, Codes, brute_force

MARKS = (0, 1000, 10_000, 100_000)
"""Changes since the snapshot."""

KINDS = ("additions", "removals", "both")

_PAGE = 64
"""Changes that a follower reads at once in a steady flow of some hundred a second."""
_AT_ONCE = 50
_JOINED_POLL_S = 0.01
_MOST_ITEMS = 1000
_LIMITS_BITS = same_limits(MAX_DISTANCE_BITS)
_BANK = 1


@dataclass(frozen=True, slots=True)
class Row:
    """Lookups one by one on one thread, and in batches, after so many changes of a kind.

    Rates are by processor time, the median of rounds in which all took turns; ``times_slower`` than
    without changes is the median of the rounds' ratios. The delta had ``segments`` at lookups and
    ``most_segments`` while it applied changes, ``apply_per_s`` of them; a page of changes took at
    most ``longest_apply_ms``.
    """

    changes: str
    count: int
    hashes_per_item: int
    lookups_per_s: float
    lookups_per_s_in_batches: float
    times_slower: float
    segments: int
    most_segments: int
    apply_per_s: float
    longest_apply_ms: float
    queries: int
    wrong: int


@dataclass(slots=True)
class _Aged:
    """A live index, with the changes made to it and its times."""

    kind: str
    live: LiveIndex
    count: int = 0
    added: list[Codes] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)
    apply_s: float = 0.0
    longest_s: float = 0.0
    most_segments: int = 0
    singly_s: list[float] = field(default_factory=list)
    batched_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A snapshot of ``codes`` in items of ``hashes_per_item``, the k-th item being number k + 1."""

    snapshot: Snapshot
    codes: Codes
    hashes_per_item: int
    seed: int


def measure(setting: Setting, asked: Codes, marks: Sequence[int], rounds: int) -> list[Row]:
    """Age an index by additions, by removals and by both, and ask each at each mark.

    Answers to ``asked`` are compared with brute force. Times are of fresh queries, no two the same:
    a repeated query finds its data in the processor's cache.
    """
    chance = np.random.default_rng(setting.seed)
    aged = [_age(setting, kind, mark, chance) for kind in KINDS for mark in marks]
    asked = _with_changed(asked, aged, setting, chance)
    for _ in range(rounds):
        for index in aged:
            _ask(index, chance.integers(0, 256, (2, _AT_ONCE, 32), np.uint8))
    base = brute_force(setting.codes, asked, MAX_DISTANCE_BITS)
    first = {index.kind: index for index in reversed(aged)}
    return [_row(index, first[index.kind], setting, asked, base) for index in aged]


def _age(setting: Setting, kind: str, count: int, chance: np.random.Generator) -> _Aged:
    snapshot = setting.snapshot
    if kind != "additions":  # some items must stay
        count = min(count, len(snapshot.items) // 2)
    index = _Aged(kind, LiveIndex(snapshot), count)
    idle = threading.active_count()
    page: list[Change] = []
    for change in _changes(setting, index, snapshot.cursor.sequence, chance):
        page.append(change)
        if len(page) == _PAGE:
            _apply(setting, index, page)
            page = []
    _apply(setting, index, page)
    while threading.active_count() > idle:  # another thread joins long segments
        time.sleep(_JOINED_POLL_S)
        index.live.apply([], index.live.cursor)
    return index


def _apply(setting: Setting, index: _Aged, page: list[Change]) -> None:
    if not page:
        return
    cursor = Cursor(setting.snapshot.cursor.epoch, page[-1].sequence, page[-1].mark)
    began_s = time.perf_counter()
    index.live.apply(page, cursor)
    took_s = time.perf_counter() - began_s
    index.apply_s += took_s
    index.longest_s = max(index.longest_s, took_s)
    index.most_segments = max(index.most_segments, index.live.status().segments)


def _changes(
    setting: Setting, index: _Aged, sequence: int, chance: np.random.Generator
) -> Iterator[Change]:
    """Yield additions, removals of the snapshot's items, or both in turn, as the kind says."""
    items = len(setting.snapshot.items)
    number = items
    victims = iter(chance.permutation(items)[: index.count].tolist())
    for at in range(index.count):
        sequence += 1
        if index.kind == "removals" or (index.kind == "both" and at % 2):
            victim = next(victims)
            index.removed.add(victim)
            yield Removal(sequence, victim + 1, bytes(16), _BANK)
            continue
        number += 1
        codes = chance.integers(0, 256, (setting.hashes_per_item, 32), np.uint8)
        index.added.append(codes)
        yield Addition(sequence, _item(number, codes))


def _item(number: int, codes: Codes) -> StoredItem:
    fingerprints = np.zeros(len(codes), FINGERPRINT)
    fingerprints["hash"] = codes
    fingerprints["quality"] = 100
    fingerprints["profile"] = Profile.PDQ_512
    return StoredItem.of(
        number,
        number.to_bytes(16),
        _BANK,
        MediaKind.IMAGE,
        Assurance.SELF_REPORTED,
        fingerprints,
    )


def _with_changed(
    asked: Codes, aged: list[_Aged], setting: Setting, chance: np.random.Generator
) -> Codes:
    """Return queries of which some are near what was added, some near what was removed."""
    asked = asked.copy()
    changed = [index for index in aged if index.count]
    for turn, at in enumerate(range(1, len(asked), PLANTED_EVERY)):
        index = changed[turn % len(changed)]
        if index.added and (turn // len(changed) % 2 or not index.removed):
            code = index.added[chance.integers(len(index.added))][0]
        else:
            gone = sorted(index.removed)[chance.integers(len(index.removed))]
            code = setting.codes[gone * setting.hashes_per_item]
        asked[at] = flipped(code, turn % (MAX_DISTANCE_BITS + 1), chance)
    return asked


def _ask(index: _Aged, parts: Codes) -> None:
    live, (singly, batch) = index.live, parts
    began_s = time.thread_time()
    for at in range(len(singly)):
        live.search(singly[at : at + 1], MAX_DISTANCE_BITS, _LIMITS_BITS, _MOST_ITEMS)
    ended_s = time.thread_time()
    live.search(batch, MAX_DISTANCE_BITS, _LIMITS_BITS, _MOST_ITEMS)
    index.batched_s.append(time.thread_time() - ended_s)
    index.singly_s.append(ended_s - began_s)


def _row(index: _Aged, first: _Aged, setting: Setting, asked: Codes, base: list[Answer]) -> Row:
    slower = np.median(np.array(index.singly_s) / np.array(first.singly_s))
    return Row(
        index.kind,
        index.count,
        setting.hashes_per_item,
        _AT_ONCE / float(np.median(index.singly_s)),
        _AT_ONCE / float(np.median(index.batched_s)),
        round(float(slower), 2),
        index.live.status().segments,
        index.most_segments,
        round(index.count / index.apply_s) if index.apply_s else 0,
        round(index.longest_s * 1000, 1),
        len(asked),
        _wrong(index, setting, asked, base),
    )


def _wrong(index: _Aged, setting: Setting, asked: Codes, base: list[Answer]) -> int:
    """Count queries whose answer differs from comparing every living hash."""
    hashes = setting.hashes_per_item
    expected = [
        [
            (entry // hashes + 1, distance)
            for entry, distance in answer
            if entry // hashes not in index.removed
        ]
        for answer in base
    ]
    if index.added:
        number = len(setting.snapshot.items) + 1
        fresh = brute_force(np.concatenate(index.added), asked, MAX_DISTANCE_BITS)
        for answer, more in zip(expected, fresh, strict=True):
            answer += [(number + entry // hashes, distance) for entry, distance in more]
    most_items = index.live.status().items
    hits = index.live.search(asked, MAX_DISTANCE_BITS, _LIMITS_BITS, most_items).hits
    compared = [dict[int, int]() for _ in asked]
    for query, number, distance in zip(
        hits.query.tolist(), hits.number.tolist(), hits.distance.tolist(), strict=True
    ):
        compared[query][number] = distance
    # Sorted by falling distance, so that the nearest hash of an item is the last to count.
    nearest = (dict(sorted(truth, key=itemgetter(1), reverse=True)) for truth in expected)
    return sum(answer != truth for answer, truth in zip(compared, nearest, strict=True))
