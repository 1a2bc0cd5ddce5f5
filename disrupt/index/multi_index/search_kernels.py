"""The kernels that search the tables of multi-index hashing."""

# ruff: noqa: C901, PLR0912, PLR0915  (one loop in stages: splitting it would cost time)
# mypy: disable-error-code="call-arg, var-annotated, no-any-return, return-value, assignment"
# (numba's own types describe neither its intrinsics nor its integers)
from __future__ import annotations

import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numpy.typing import NDArray

from disrupt.index.multi_index.intrinsics import (
    LANES,
    load_16,
    load_32,
    load_64,
    lowest,
    near,
    ones,
    pointer,
    prefetch,
)
from disrupt.index.multi_index.kernels import (
    CODE_BYTES,
    bound_of,
    chunk_of,
    compiled,
    high_rows,
    high_words,
    is_answered,
    tag_of,
)
from disrupt.index.multi_index.layout import (
    PADDING,
    TAG_BITS,
    AnswersAt,
    BudgetAt,
    ItemsAt,
    PlanAt,
    TablesAt,
)
from disrupt.index.multi_index.search_arrays import Answers, Items, TableArrays

_TABLES, _ENDS, _ANSWERS, _BUDGET, _ITEMS = map(
    len, (TablesAt, PlanAt, AnswersAt, BudgetAt, ItemsAt)
)
_DISTANCES = 8 * CODE_BYTES + 1
_PREFETCHED_TAGS = 8 * LANES
_PENDING = 4096
"""Postings that are collected before their codes are compared.

A query that has more is in a crowd of near-duplicates, whose codes occur in most chunks: it marks
each code that it has compared in ``seen``, so as to compare none twice.
"""
_SEEN_SHARE = 32
"""Number of codes compared before that take as long to skip as one takes to fetch."""
_TAG_SHARE = 256
"""Tags that take as long to compare as one code takes to fetch; those of short lists are free."""


@compiled
def search(
    tables_at: int,
    plan_at: int,
    items_at: int,
    answers_at: int,
    n_queries: int,
) -> int:
    """Write the hits of all queries to the answers; return their number, also beyond room.

    A hit is the nearest code of an item: at most ``most_items`` for each query, nearest first, and
    ``truncated`` says of which queries there were more. The addresses are those of int64 arrays
    that ``engine`` lays out. For each query:

    1. Prefetch the posting lists of the keys near its own, chunk after chunk.
    2. Compare the tags of each list with the query's; collect the postings that pass.
    3. When 4096 are collected, and at the end, compare their codes in full, and keep the nearest
       of each item.
    4. If that would fetch more codes than the plan's ``most_compared``, compare all codes one
       after the other instead, which counts as the plan's ``scanned`` codes.
    5. Write the nearest items to the answers.

    Once the queries have fetched more codes than the budget has, the rest are not searched, and the
    budget's last number says how many these are. A strict budget leaves out the query that exceeds
    it, too.
    """
    header = carray(pointer(tables_at), _TABLES, np.int64)
    length = header[TablesAt.LENGTH]
    cut = carray(pointer(header[TablesAt.CUT]), 3, np.int64)
    chunks, bits, low_bits = cut[0], cut[1], cut[2]
    n_keys = 1 << bits
    words = high_words(length, bits, low_bits)
    tables = TableArrays(
        carray(pointer(header[TablesAt.STARTS]), chunks * (n_keys + 1), np.uint32),
        carray(pointer(header[TablesAt.TAGS]), chunks * (length + PADDING), np.uint16),
        carray(pointer(header[TablesAt.LOW]), chunks * length, np.uint16),
        carray(pointer(header[TablesAt.LOW]), chunks * length, np.uint32),
        carray(pointer(header[TablesAt.HIGH]), chunks * words, np.int64),
        carray(pointer(header[TablesAt.CODES]), length * CODE_BYTES, np.uint8),
        carray(pointer(header[TablesAt.SEEN]), (length >> 6) + 1, np.int64),
        length,
        chunks,
        bits,
        n_keys,
        high_rows(length, low_bits),
        words,
    )
    plan = carray(pointer(plan_at), 2 * chunks + _ENDS, np.int64)
    ends = plan[2 * chunks :]
    most_compared = ends[PlanAt.MOST_COMPARED]
    scanned = ends[PlanAt.SCANNED]
    most_probes = ends[PlanAt.MOST_PROBES]
    flips = carray(pointer(ends[PlanAt.FLIPS]), most_probes, np.uint32)
    room = carray(pointer(answers_at), _ANSWERS, np.int64)
    budget = carray(pointer(room[AnswersAt.BUDGET]), _BUDGET, np.int64)
    most_fetched, strict = budget[BudgetAt.CODES], budget[BudgetAt.STRICT]
    queries = carray(pointer(room[AnswersAt.QUERIES]), n_queries * CODE_BYTES, np.uint8)
    truncated = carray(pointer(room[AnswersAt.TRUNCATED]), n_queries, np.uint8)
    answers = Answers(
        carray(pointer(room[AnswersAt.QUERY]), room[AnswersAt.ROOM], np.uint32),
        carray(pointer(room[AnswersAt.ENTRY]), room[AnswersAt.ROOM], np.int64),
        carray(pointer(room[AnswersAt.DISTANCE]), room[AnswersAt.ROOM], np.uint16),
    )
    layout = carray(pointer(items_at), _ITEMS, np.int64)
    n_items = layout[ItemsAt.LENGTH]
    most_items = layout[ItemsAt.MOST_ITEMS]
    items = Items(
        carray(pointer(layout[ItemsAt.ROW]), length * layout[ItemsAt.ROW_STRIDE], np.uint8),
        layout[ItemsAt.ROW_STRIDE],
        carray(
            pointer(layout[ItemsAt.BELOW_BITS]), length * layout[ItemsAt.BELOW_STRIDE], np.uint8
        ),
        layout[ItemsAt.BELOW_STRIDE],
        carray(pointer(layout[ItemsAt.BANK]), n_items * layout[ItemsAt.BANK_STRIDE], np.uint8),
        layout[ItemsAt.BANK_STRIDE],
        carray(pointer(layout[ItemsAt.DEAD]), n_items, np.uint8),
        carray(pointer(layout[ItemsAt.LIMITS]), 1 << 16, np.int16),
        carray(pointer(layout[ItemsAt.BEST]), n_items, np.uint16),
        carray(pointer(layout[ItemsAt.BEST_ENTRY]), n_items, np.uint32),
        carray(pointer(layout[ItemsAt.TOUCHED]), n_items, np.uint32),
        np.zeros(_DISTANCES, np.int64),
    )

    starts, tags = tables.starts, tables.tags
    ranges = np.empty((2, most_probes, 2), np.int64)
    keys = np.empty(chunks, np.int64)
    radii = np.empty(chunks, np.int64)
    candidates = np.empty((_PENDING, 3), np.int64)
    count = 0
    fetched = 0
    budget[BudgetAt.LEFT] = 0
    for query in range(n_queries):
        if fetched > most_fetched:
            budget[BudgetAt.LEFT] = n_queries - query
            break
        code = queries[query * CODE_BYTES : (query + 1) * CODE_BYTES]
        for chunk in range(chunks):
            keys[chunk] = chunk_of(code, 0, chunk, bits)
        for probe in range(plan[chunks]):
            prefetch(starts, keys[0] ^ flips[probe])
        radii[:] = plan[:chunks]
        limit = ends[PlanAt.LIMIT_BITS]
        pending = 0
        crowded = False
        touched = 0
        compared = 0
        tags_read = 0
        full = most_compared == 0
        # While the tags of one chunk are compared, those of the next and the starts of the one
        # after it are on their way from memory.
        for stage in range(chunks + 1):
            if stage < chunks:
                first = stage * (n_keys + 1)
                first_tag = stage * (length + PADDING)
                for probe in range(plan[chunks + stage]):
                    key = keys[stage] ^ flips[probe]
                    begin = first_tag + starts[first + key]
                    end = first_tag + starts[first + key + 1]
                    ranges[stage & 1, probe, 0] = begin
                    ranges[stage & 1, probe, 1] = end
                    if end - begin > _PENDING:
                        tags_read += end - begin
                    for place in range(begin, min(end, begin + _PREFETCHED_TAGS), LANES):
                        prefetch(tags, place)
            if stage < chunks - 1:
                first = (stage + 1) * (n_keys + 1)
                for probe in range(plan[chunks + stage + 1]):
                    prefetch(starts, first + (keys[stage + 1] ^ flips[probe]))
            if stage == 0:
                continue
            chunk = stage - 1
            if crowded and touched > most_items:
                limit = _tighten(items.histogram, most_items, radii, chunk)
            if full or radii[chunk] < 0:
                continue
            first_tag = chunk * (length + PADDING)
            tag = tag_of(code, 0, chunk, chunks, bits)
            bound = bound_of(radii, chunk, bits)
            for probe in range(plan[chunks + chunk]):
                flipped = ones(np.int64(flips[probe]))
                if full or flipped > radii[chunk]:
                    break
                key = keys[chunk] ^ flips[probe]
                end = ranges[chunk & 1, probe, 1]
                allowed = bound - flipped
                for begin in range(ranges[chunk & 1, probe, 0], end, LANES):
                    if full:
                        break
                    passed = near(tags, begin, tag, allowed)
                    if end - begin < LANES:
                        passed &= (1 << (end - begin)) - 1
                    while passed and not full:
                        place = begin - first_tag + lowest(passed)
                        passed &= passed - 1
                        candidates[pending, 0] = chunk
                        candidates[pending, 1] = key
                        candidates[pending, 2] = place
                        pending += 1
                        if pending == _PENDING:
                            crowded = True
                            hits, fresh = _compare(
                                tables, radii, limit, code, keys, candidates, pending, crowded
                            )
                            pending = 0
                            touched = _nearest(items, candidates, hits, touched)
                            compared += fresh + (_PENDING - fresh) // _SEEN_SHARE
                            full = compared > most_compared or (
                                strict != 0 and fetched + compared > most_fetched
                            )
        fetched += compared + tags_read // _TAG_SHARE + (scanned if full else 0)
        if full and strict and fetched > most_fetched:
            budget[BudgetAt.LEFT] = n_queries - query
            _answer(answers, query, items, touched, most_items, count)  # clears the items
            tables.seen[:] = 0
            break
        if full:
            touched = _scan(
                tables, items, ends[PlanAt.LIMIT_BITS], code, candidates, touched, most_items
            )
            hits = 0
        else:
            hits, _ = _compare(tables, radii, limit, code, keys, candidates, pending, crowded)
        touched = _nearest(items, candidates, hits, touched)
        truncated[query] = touched > most_items
        count = _answer(answers, query, items, touched, most_items, count)
        if crowded:
            tables.seen[:] = 0
    return count


@compiled
def _compare(
    tables: TableArrays,
    radii: NDArray[np.int64],
    limit: int,
    code: NDArray[np.uint8],
    keys: NDArray[np.int64],
    candidates: NDArray[np.int64],
    pending: int,
    crowded: bool,  # noqa: FBT001
) -> tuple[int, int]:
    """Compare candidates with a query; write (entry, distance) of the hits over them.

    Returns the number of hits, and of codes fetched. ``candidates`` has (chunk, key, place) of
    postings whose tags have passed.
    """
    chunk = -1
    key = -1
    begin = 0
    first_bit = 0
    word = 0
    left = np.int64(0)
    passed = 0
    for i in range(pending):
        place = candidates[i, 2]
        if not tables.words:
            entry = np.int64(tables.low_wide[candidates[i, 0] * tables.length + place])
            candidates[i, 1] = entry
            prefetch(tables.codes, entry * CODE_BYTES)
            prefetch(tables.codes, entry * CODE_BYTES + CODE_BYTES - 1)
            continue
        if candidates[i, 0] != chunk or candidates[i, 1] != key:
            chunk = candidates[i, 0]
            key = candidates[i, 1]
            begin = np.int64(tables.starts[chunk * (tables.keys + 1) + key])
            first_bit = begin + key * tables.rows
            word = first_bit >> 6
            left = tables.high[chunk * tables.words + word] & (np.int64(-1) << (first_bit & 63))
            passed = 0
        # the bit of the k-th posting is k places further than its upper part
        nth = place - begin
        there = ones(left)
        while passed + there <= nth:
            passed += there
            word += 1
            left = tables.high[chunk * tables.words + word]
            there = ones(left)
        while passed < nth:
            left &= left - 1
            passed += 1
        upper = (word << 6) + lowest(left) - first_bit - nth
        entry = (upper << TAG_BITS) | np.int64(tables.low[chunk * tables.length + place])
        candidates[i, 1] = entry
        prefetch(tables.codes, entry * CODE_BYTES)
        prefetch(tables.codes, entry * CODE_BYTES + CODE_BYTES - 1)
    word_0, word_1, word_2, word_3 = (
        load_64(code, 0),
        load_64(code, 8),
        load_64(code, 16),
        load_64(code, 24),
    )
    hits = 0
    fresh = 0
    for i in range(pending):
        entry = candidates[i, 1]
        if crowded:
            bit = np.int64(1) << (entry & 63)
            if tables.seen[entry >> 6] & bit:
                continue
            tables.seen[entry >> 6] |= bit
        fresh += 1
        at = entry * CODE_BYTES
        distance = (
            ones(word_0 ^ load_64(tables.codes, at))
            + ones(word_1 ^ load_64(tables.codes, at + 8))
            + ones(word_2 ^ load_64(tables.codes, at + 16))
            + ones(word_3 ^ load_64(tables.codes, at + 24))
        )
        if distance > limit:
            continue
        if not crowded and _answered(tables, at, code, keys, radii, candidates[i, 0]):
            continue
        candidates[hits, 1] = entry
        candidates[hits, 2] = distance
        hits += 1
    return hits, fresh


@compiled
def _answered(
    tables: TableArrays,
    at: int,
    code: NDArray[np.uint8],
    keys: NDArray[np.int64],
    radii: NDArray[np.int64],
    chunk: int,
) -> bool:
    """Tell whether an earlier chunk has led to the same code."""
    bits = tables.bits
    for earlier in range(chunk):
        here = ones(chunk_of(tables.codes, at, earlier, bits) ^ keys[earlier])
        if here <= radii[earlier]:
            # Of what follows, only the bits in its tag count.
            differ = tag_of(tables.codes, at, earlier, tables.chunks, bits) ^ tag_of(
                code, 0, earlier, tables.chunks, bits
            )
            if here + ones(differ) <= bound_of(radii, earlier, bits):
                return True
    return False


@compiled
def _nearest(items: Items, candidates: NDArray[np.int64], hits: int, touched: int) -> int:
    """Keep the nearest of each item among the hits; return the number of items so far."""
    for i in range(hits):
        entry = candidates[i, 1]
        distance = candidates[i, 2]
        row = load_32(items.row, entry * items.row_stride)
        bank = load_16(items.bank, row * items.bank_stride)
        if items.dead[row] or distance > items.limits[bank]:
            continue
        if not is_answered(distance, items.below_bits[entry * items.below_stride]):
            continue
        best = items.best[row]
        if best == 0:
            items.touched[touched] = row
            touched += 1
            items.histogram[distance] += 1
        elif distance + 1 < best:
            items.histogram[best - 1] -= 1
            items.histogram[distance] += 1
        if best == 0 or distance + 1 < best:
            items.best[row] = distance + 1
            items.best_entry[row] = entry
        elif distance + 1 == best and entry < items.best_entry[row]:
            items.best_entry[row] = entry
    return touched


@compiled
def _scan(
    tables: TableArrays,
    items: Items,
    limit: int,
    code: NDArray[np.uint8],
    candidates: NDArray[np.int64],
    touched: int,
    most_items: int,
) -> int:
    """Compare every code, instead of the candidates so far; return the number of items.

    Rows ascend, so that once there are enough items, only a nearer one displaces any.
    """
    for i in range(touched):
        items.best[items.touched[i]] = 0
    items.histogram[:] = 0
    touched = 0
    word_0, word_1 = load_64(code, 0), load_64(code, 8)
    word_2, word_3 = load_64(code, 16), load_64(code, 24)
    for entry in range(tables.length):
        at = entry * CODE_BYTES
        distance = (
            ones(word_0 ^ load_64(tables.codes, at))
            + ones(word_1 ^ load_64(tables.codes, at + 8))
            + ones(word_2 ^ load_64(tables.codes, at + 16))
            + ones(word_3 ^ load_64(tables.codes, at + 24))
        )
        if distance > limit:
            continue
        row = load_32(items.row, entry * items.row_stride)
        if 0 < items.best[row] <= distance + 1:
            continue
        # _nearest checks this, too, but the call takes as long as comparing 20 codes
        if items.dead[row] or distance > items.limits[load_16(items.bank, row * items.bank_stride)]:
            continue
        if not is_answered(distance, items.below_bits[entry * items.below_stride]):
            continue
        candidates[0, 1] = entry
        candidates[0, 2] = distance
        touched = _nearest(items, candidates, 1, touched)
        if touched > most_items:
            limit = min(limit, _cut(items.histogram, most_items) - 1)
            if limit < 0:
                break
    return touched


@compiled
def _cut(histogram: NDArray[np.int64], most_items: int) -> int:
    """Return the least distance within which ``most_items`` items are, or the largest of all."""
    within = 0
    for distance in range(len(histogram)):
        within += histogram[distance]
        if within >= most_items:
            return distance
    return len(histogram) - 1


@compiled
def _tighten(
    histogram: NDArray[np.int64], most_items: int, radii: NDArray[np.int64], chunk: int
) -> int:
    """Lower the radii from ``chunk`` on to what can still displace the items so far.

    Returns the distance, inclusive as items of one distance are ordered by row.
    """
    limit = _cut(histogram, most_items)
    needed = limit + 1
    for done in range(chunk):
        needed -= radii[done] + 1
    for coming in range(chunk, len(radii)):
        radii[coming] = min(radii[coming], max(needed, 0) - 1)
        needed -= radii[coming] + 1
    return limit


@compiled
def _answer(
    answers: Answers, query: int, items: Items, touched: int, most_items: int, count: int
) -> int:
    """Append the nearest items of a query to the answers, and clear the items for the next.

    Returns the number of all hits so far.
    """
    if touched == 0:
        return count
    limit = _cut(items.histogram, most_items)
    # the smallest by distance, then row: a heap with the largest of them on top
    order = np.empty(min(touched, most_items), np.int64)
    size = 0
    for i in range(touched):
        row = np.int64(items.touched[i])
        distance = np.int64(items.best[row]) - 1
        items.best[row] = 0
        item_key = (distance << 32) | row
        if distance > limit:
            continue
        if size < len(order):
            at = size
            size += 1
            while at and order[(at - 1) >> 1] < item_key:
                order[at] = order[(at - 1) >> 1]
                at = (at - 1) >> 1
            order[at] = item_key
        elif size and item_key < order[0]:
            _sink(order, size, item_key)
    items.histogram[:] = 0
    for last in range(size - 1, 0, -1):
        item_key = order[last]
        order[last] = order[0]
        _sink(order, last, item_key)
    for item_key in order:
        if count < len(answers.query):
            answers.query[count] = query
            answers.entry[count] = items.best_entry[item_key & 0xFFFFFFFF]
            answers.distance[count] = item_key >> 32
        count += 1
    return count


@compiled
def _sink(heap: NDArray[np.int64], size: int, key: int) -> None:
    """Replace the top of a heap of ``size`` by ``key``."""
    at = 0
    child = 1
    while child < size:
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= key:
            break
        heap[at] = heap[child]
        at = child
        child = 2 * at + 1
    heap[at] = key
