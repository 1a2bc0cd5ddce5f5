"""How fast an index answers after changes, beside itself before them, and whether it is right."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.harness.brute_force import Answer, Codes, brute_force
from benchmarks.harness.hash_sets import PLANTED_EVERY, flipped
from disrupt.core.changes import Addition, Change, Cursor, Removal
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, Profile, StoredItem
from disrupt.index.live import LiveIndex
from disrupt.index.snapshot import Snapshot

MARKS = (0, 1000, 10_000, 100_000)
"""Changes since the snapshot."""

KINDS = ("additions", "removals", "both")

_PAGE = 64
"""Changes that a follower finds at once in a steady flow of some hundred a second."""
_AT_ONCE = 50
_JOINED_POLL_S = 0.01
_MOST_ITEMS = 1000
_LIMITS_BITS = np.full(2**16, MAX_DISTANCE_BITS, np.int16)
_BANK = 1


@dataclass(frozen=True, slots=True)
class Row:
    """Lookups one by one on one thread, and in batches, after so many changes of a kind.

    By processor time, the median of rounds in which all took turns; ``times_slower`` than without
    changes: the median of the rounds' ratios. ``segments`` of the delta when
    asked, ``most_segments`` while it took the changes in, ``apply_per_s`` of them; a page of them
    took at most ``longest_apply_ms``.
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
    """A live index, and what was done to it."""

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
    sabotage: bool = False
    """Tombstones get lost, every tenth addition too."""


def measure(setting: Setting, asked: Codes, marks: Sequence[int], rounds: int) -> list[Row]:
    """Ages an index by additions, by removals and by both, and asks each at each mark.

    Answers to ``asked`` are compared with brute force. Timed are fresh queries, no two the same:
    what was looked up a moment ago is in the processor's cache.
    """
    chance = np.random.default_rng(setting.seed)
    aged = [_age(setting, kind, mark, chance) for kind in KINDS for mark in marks]
    asked = _with_changed(asked, aged, setting, chance)
    for _ in range(rounds):
        for one in aged:
            _ask(one, chance.integers(0, 256, (2, _AT_ONCE, 32), np.uint8))
    base = brute_force(setting.codes, asked, MAX_DISTANCE_BITS)
    first = {one.kind: one for one in reversed(aged)}
    return [_row(one, first[one.kind], setting, asked, base) for one in aged]


def _age(setting: Setting, kind: str, count: int, chance: np.random.Generator) -> _Aged:
    snapshot = setting.snapshot
    if kind != "additions":  # some must stay
        count = min(count, len(snapshot.items) // 2)
    one = _Aged(kind, LiveIndex(snapshot), count)
    idle = threading.active_count()
    page: list[Change] = []
    for change in _changes(setting, one, snapshot.cursor.sequence, chance):
        page.append(change)
        if len(page) == _PAGE:
            _apply(setting, one, page)
            page = []
    _apply(setting, one, page)
    while threading.active_count() > idle:  # long segments are joined beside
        time.sleep(_JOINED_POLL_S)
        one.live.apply([], one.live.cursor)
    return one


def _apply(setting: Setting, one: _Aged, page: list[Change]) -> None:
    if not page:
        return
    cursor = Cursor(setting.snapshot.cursor.epoch, page[-1].sequence, page[-1].mark)
    if setting.sabotage:
        page = [change for change in page if isinstance(change, Addition) and change.sequence % 10]
    began_s = time.perf_counter()
    one.live.apply(page, cursor)
    took_s = time.perf_counter() - began_s
    one.apply_s += took_s
    one.longest_s = max(one.longest_s, took_s)
    one.most_segments = max(one.most_segments, one.live.status().segments)


def _changes(
    setting: Setting, one: _Aged, sequence: int, chance: np.random.Generator
) -> Iterator[Change]:
    """Adds new items, removes some of the snapshot's, or does one after the other."""
    items = len(setting.snapshot.items)
    number = items
    victims = iter(chance.permutation(items)[: one.count].tolist())
    for at in range(one.count):
        sequence += 1
        if one.kind == "removals" or (one.kind == "both" and at % 2):
            victim = next(victims)
            one.removed.add(victim)
            yield Removal(sequence, victim + 1, bytes(16), _BANK)
            continue
        number += 1
        codes = chance.integers(0, 256, (setting.hashes_per_item, 32), np.uint8)
        one.added.append(codes)
        yield Addition(sequence, _item(number, codes))


def _item(number: int, codes: Codes) -> StoredItem:
    fingerprints = np.zeros(len(codes), FINGERPRINT)
    fingerprints["hash"] = codes
    fingerprints["quality"] = 100
    fingerprints["profile"] = Profile.PDQ_512
    return StoredItem(
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
    """Queries of which some are near what came, some near what went."""
    asked = asked.copy()
    changed = [one for one in aged if one.count]
    for turn, at in enumerate(range(1, len(asked), PLANTED_EVERY)):
        one = changed[turn % len(changed)]
        if one.added and (turn // len(changed) % 2 or not one.removed):
            code = one.added[chance.integers(len(one.added))][0]
        else:
            gone = sorted(one.removed)[chance.integers(len(one.removed))]
            code = setting.codes[gone * setting.hashes_per_item]
        asked[at] = flipped(code, turn % (MAX_DISTANCE_BITS + 1), chance)
    return asked


def _ask(one: _Aged, parts: Codes) -> None:
    live, (singly, batch) = one.live, parts
    began_s = time.thread_time()
    for at in range(len(singly)):
        live.search_items(singly[at : at + 1], MAX_DISTANCE_BITS, _LIMITS_BITS, _MOST_ITEMS)
    ended_s = time.thread_time()
    live.search_items(batch, MAX_DISTANCE_BITS, _LIMITS_BITS, _MOST_ITEMS)
    one.batched_s.append(time.thread_time() - ended_s)
    one.singly_s.append(ended_s - began_s)


def _row(one: _Aged, first: _Aged, setting: Setting, asked: Codes, base: list[Answer]) -> Row:
    slower = np.median(np.array(one.singly_s) / np.array(first.singly_s))
    return Row(
        one.kind,
        one.count,
        setting.hashes_per_item,
        round(_AT_ONCE / float(np.median(one.singly_s)), 1),
        round(_AT_ONCE / float(np.median(one.batched_s)), 1),
        round(float(slower), 2),
        one.live.status().segments,
        one.most_segments,
        round(one.count / one.apply_s) if one.apply_s else 0,
        round(one.longest_s * 1000, 1),
        len(asked),
        _wrong(one, setting, asked, base),
    )


def _wrong(one: _Aged, setting: Setting, asked: Codes, base: list[Answer]) -> int:
    """Queries that are answered otherwise than by comparing every living hash."""
    hashes = setting.hashes_per_item
    expected = [
        [
            (entry // hashes + 1, distance)
            for entry, distance in answer
            if entry // hashes not in one.removed
        ]
        for answer in base
    ]
    if one.added:
        number = len(setting.snapshot.items) + 1
        fresh = brute_force(np.concatenate(one.added), asked, MAX_DISTANCE_BITS)
        for answer, more in zip(expected, fresh, strict=True):
            answer += [(number + entry // hashes, distance) for entry, distance in more]
    hits = one.live.search(asked, MAX_DISTANCE_BITS)
    found: list[list[tuple[int, int]]] = [[] for _ in asked]
    for query, number, distance in zip(
        hits.query.tolist(), hits.number.tolist(), hits.distance.tolist(), strict=True
    ):
        found[query].append((number, distance))
    return sum(
        sorted(answer) != sorted(other) for answer, other in zip(found, expected, strict=True)
    )
