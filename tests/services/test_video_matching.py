"""A video is matched by what it shows of another, with the place, whatever else it shows."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from disrupt.core.changes import Addition, Cursor
from disrupt.core.lookups import LookupOptions, VideoMatch, VideoMatches, VideoOptions
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, StoredItem
from disrupt.core.policy import ADULTS, MINORS, Bank, Scope
from disrupt.core.transforms import Dihedral
from disrupt.core.videos import FRAME, fingerprints_of, frames_of
from disrupt.errors import DeadlineExceededError, LimitExceededError
from disrupt.index.columns import columns_of
from disrupt.index.flat import FlatIndex
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import Neighbours
from disrupt.services import video_evidence, video_matching
from disrupt.services.alignment import Timeline, align
from disrupt.services.matching import UNBOUNDED, Allowance
from disrupt.services.video_evidence import Query, Work, weigh
from disrupt.services.video_matching import (
    CERTAIN_FRAMES,
    COMMON_VIDEOS,
    HELD_BYTES_MAX,
    VideoLookup,
)

STEP_MS = 250
SCOPE = Scope({ADULTS.number: 31})
Codes: TypeAlias = "np.ndarray"
Find: TypeAlias = "Callable[..., VideoMatches]"


def shown(seed: int, seconds: float) -> Codes:
    """Return hashes of a video every 250 ms: 6 bits from the one before, a cut every 4 s."""
    chance = np.random.default_rng(seed)
    count = round(1000 * seconds / STEP_MS)
    changes = np.zeros((count, 256), np.uint8)
    for at, row in enumerate(changes):
        row[chance.permutation(256)[: 128 if at % 16 == 0 else 6]] = 1
    changes[0] ^= chance.integers(0, 2, 256, np.uint8)
    return np.packbits(np.bitwise_xor.accumulate(changes), axis=1)


def noisy(codes: Codes, bits: int, seed: int = 0) -> Codes:
    """Return codes ``bits`` bits away from these."""
    chance = np.random.default_rng(seed)
    masks = np.zeros((len(codes), 256), np.uint8)
    for row in masks:
        row[chance.permutation(256)[:bits]] = 1
    return codes ^ np.packbits(masks, axis=1)


def frames(codes: Codes, step_ms: float = STEP_MS) -> np.ndarray:
    rows = np.zeros(len(codes), FRAME)
    rows["hash"] = codes
    rows["usable"], rows["quality"] = 1, 100
    rows["start_ms"] = np.arange(len(codes)) * step_ms
    rows["end_ms"] = rows["start_ms"] + round(step_ms)
    return rows


def video(number: int, codes: Codes, bank: int = ADULTS.number) -> StoredItem:
    stored = fingerprints_of(frames(codes), small=False)
    return item(number, stored, MediaKind.VIDEO, bank)


def picture(number: int, code: Codes) -> StoredItem:
    stored = np.zeros(1, FINGERPRINT)
    stored["hash"] = code
    return item(number, stored, MediaKind.IMAGE)


def item(number: int, stored: np.ndarray, kind: MediaKind, bank: int = ADULTS.number) -> StoredItem:
    return StoredItem(number, number.to_bytes(16), bank, kind, Assurance.SELF_REPORTED, stored)


def sampled(codes: Codes, first: int = 0) -> Codes:
    """Return every fourth code, as a lookup takes one a second."""
    return codes[first::4]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Return a function that looks frames up, a second apart, among items."""

    def look(
        query: Codes,
        *items: StoredItem,
        step_ms: float = 1000,
        scope: Scope = SCOPE,
        options: VideoOptions | None = None,
    ) -> VideoMatches:
        lookup = looking(indexed(tmp_path, *items), scope, options or VideoOptions())
        rows = query if query.dtype == FRAME else frames(query, step_ms)
        lookup.add(rows[at : at + 1] for at in range(len(rows)))
        return lookup.matches()

    return look


def looking(
    live: LiveIndex, scope: Scope = SCOPE, options: VideoOptions | None = None
) -> VideoLookup:
    return VideoLookup(live, scope, options or VideoOptions(), Allowance(math.inf))


def indexed(directory: Path, *items: StoredItem) -> LiveIndex:
    live = LiveIndex(publish(directory, [], Cursor(bytes(16), 0)))
    live.apply(
        [Addition(stored.number, stored) for stored in items],
        Cursor(bytes(16), max(len(items), 1) * 1000),
    )
    return live


def only(answer: VideoMatches) -> VideoMatch:
    (match,) = answer.matches
    return match


def edges(match: VideoMatch) -> list[tuple[float, float, float, float]]:
    """Return the segments, in seconds."""
    return [
        (
            segment.query_start_ms / 1000,
            segment.query_end_ms / 1000,
            segment.stored_start_ms / 1000,
            segment.stored_end_ms / 1000,
        )
        for segment in match.segments
    ]


def test_a_copy_matches_from_beginning_to_end(find: Find) -> None:
    codes = shown(1, 60)
    match = only(find(noisy(sampled(codes, 2), 12), video(1, codes), video(2, shown(2, 60))))
    assert match.item_id == (1).to_bytes(16)
    assert match.distance_bits <= 24
    assert min(match.query_share_permille, match.stored_share_permille) >= 990
    assert edges(match) == [pytest.approx((0, 60, 0, 60), abs=1)]


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_clip_of_5_s_is_found_in_a_compilation_of_10_min(first: int, find: Find) -> None:
    clip = shown(1, 5)
    compilation = np.concatenate([shown(2, 297), clip, shown(3, 298)])
    match = only(find(noisy(sampled(compilation, first), 10), video(1, clip)))
    apart_s = first * STEP_MS / 1000  # by which the query begins later
    assert edges(match) == [pytest.approx((297 - apart_s, 302 - apart_s, 0, 5), abs=1)]
    assert match.stored_share_permille == 1000
    assert match.query_share_permille <= 15


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_compilation_of_10_min_is_found_by_a_clip_of_5_s(first: int, find: Find) -> None:
    clip = shown(1, 5)
    compilation = np.concatenate([shown(2, 297), clip, shown(3, 298)])
    match = only(find(noisy(sampled(clip, first), 10), video(1, compilation)))
    apart_s = first * STEP_MS / 1000
    # Of ten minutes, the kept frames are over half a second apart.
    assert edges(match) == [pytest.approx((0, 5 - apart_s, 297 + apart_s, 302), abs=1.5)]


def test_two_compilations_that_share_a_clip_match_there(find: Find) -> None:
    clip = shown(1, 6)
    stored = np.concatenate([shown(2, 90), clip, shown(3, 90)])
    query = np.concatenate([shown(4, 30), clip, shown(5, 200)])
    match = only(find(sampled(query, 1), video(1, stored)))
    assert edges(match) == [pytest.approx((29.75, 35.75, 90, 96), abs=1)]


def test_what_shows_something_else_does_not_match(find: Find) -> None:
    stored = [video(number, shown(number, 120)) for number in range(1, 9)]
    assert find(sampled(shown(99, 600)), *stored) == VideoMatches((), truncated=False)


def test_one_frame_in_common_is_no_match_of_long_videos_and_one_of_short_ones(find: Find) -> None:
    query, stored = shown(1, 20), shown(2, 20)
    query[40] = stored[8]
    assert not find(sampled(query), video(1, stored)).matches
    assert find(query[40:41], video(1, stored)).matches
    assert find(sampled(query), video(1, stored[8:12])).matches


@pytest.mark.parametrize("speed", [0.95, 1, 1.05])
def test_a_copy_that_runs_faster_or_slower_is_one_segment(speed: float, find: Find) -> None:
    codes = shown(1, 120)
    places = (np.arange(0, 120 / speed - 1, 1) * speed * 1000 / STEP_MS).astype(int)
    match = only(find(noisy(codes[places], 8), video(1, codes)))
    (edge,) = edges(match)
    assert edge == pytest.approx((0, 120 / speed, 0, 120), abs=1.6)


def test_lost_frames_do_not_break_a_segment(find: Find) -> None:
    codes = shown(1, 60)
    rows = frames(sampled(codes), 1000)
    kept = np.delete(rows, [5, 6, 7, 20, 21, 40])
    assert edges(only(find(kept, video(1, codes)))) == [pytest.approx((0, 60, 0, 60), abs=1)]
    rows["hash"][[5, 6, 7, 20, 21, 40]] = shown(9, 2)[:6]
    assert edges(only(find(rows, video(1, codes)))) == [pytest.approx((0, 60, 0, 60), abs=1)]


def test_a_segment_ends_where_frames_begin_that_cannot_be_told(find: Find) -> None:
    codes = shown(1, 60)
    rows = frames(sampled(np.concatenate([shown(2, 20), codes[80:160], shown(3, 20)])), 1000)
    identified = np.delete(rows, [*range(10, 20), *range(40, 50)])  # plain frames are left out
    assert edges(only(find(identified, video(1, codes)))) == [
        pytest.approx((20, 40, 20, 40), abs=1)
    ]


def test_a_picture_that_stands_for_minutes_is_found_as_long_as_it_stands(find: Find) -> None:
    still = np.repeat(shown(1, 1)[:1], 4 * 120, axis=0)
    query = np.concatenate([shown(2, 30), still, shown(3, 30)])
    match = only(find(noisy(sampled(query), 2), video(1, np.concatenate([shown(4, 10), still]))))
    assert [edge[:2] for edge in edges(match)] == [pytest.approx((30, 150), abs=1)]


def test_parts_in_another_order_are_segments(find: Find) -> None:
    codes = shown(1, 60)
    first, middle, last = codes[:80], codes[80:160], codes[160:]
    query = np.concatenate([last, shown(5, 20), first, middle])
    assert edges(only(find(sampled(query), video(1, codes)))) == [
        pytest.approx((0, 20, 40, 60), abs=1),
        pytest.approx((40, 80, 0, 40), abs=1),
    ]


def test_a_repeated_part_is_found_each_time(find: Find) -> None:
    clip = shown(1, 8)
    query = np.concatenate([clip, shown(2, 12), clip])
    assert edges(only(find(sampled(query, 1), video(1, clip)))) == [
        pytest.approx((0, 7.75, 0, 8), abs=1),
        pytest.approx((19.75, 27.75, 0, 8), abs=1),
    ]


def test_a_video_finds_a_picture_when_it_shows_it(find: Find) -> None:
    codes = shown(1, 30)
    match = only(find(sampled(codes), picture(7, noisy(codes[40:41], 9)[0])))
    assert (match.kind, match.item_id) == (MediaKind.IMAGE, (7).to_bytes(16))
    ((start_s, end_s, *stored),) = edges(match)
    assert start_s <= 10 <= end_s
    assert end_s - start_s <= 4
    assert stored == [0, 0]


def test_an_intro_that_many_videos_share_is_evidence_of_none(find: Find) -> None:
    intro = shown(1, 5)
    stored = [
        video(number, np.concatenate([intro, shown(100 + number, 30)]))
        for number in range(1, COMMON_VIDEOS + 3)
    ]
    query = sampled(np.concatenate([intro, shown(99, 30)]))
    # Below COMMON_VIDEOS it may be the video itself.
    assert find(query, *stored[: COMMON_VIDEOS - 1]).matches
    assert not find(query, *stored).matches
    own = sampled(np.concatenate([intro, shown(103, 30)]))
    match = only(find(own, *stored))  # matches by what only this video shows
    assert match.item_id == (3).to_bytes(16)
    assert edges(match) == [pytest.approx((5, 35, 5, 35), abs=1)]


def test_a_video_that_many_people_registered_is_found_as_all_of_them(find: Find) -> None:
    codes = shown(1, 30)
    stored = [video(number, noisy(codes, 3, number)) for number in range(1, COMMON_VIDEOS + 3)]
    options = VideoOptions(LookupOptions(max_matches=50))
    assert len(find(sampled(codes), *stored, options=options).matches) == len(stored)
    assert len(find(sampled(codes)[4:9], *stored, options=options).matches) == len(stored)


@pytest.mark.parametrize("seconds", [20, 30, 60])
@pytest.mark.parametrize("barred", [4, COMMON_VIDEOS])
def test_a_video_that_many_people_registered_with_other_bars_is_found(
    seconds: int, barred: int, find: Find
) -> None:
    codes = shown(1, seconds)
    stored = [video(number, noisy(codes, 3, number)) for number in range(1, COMMON_VIDEOS + 1)]
    for number in range(1, barred + 1):
        both = np.repeat(frames(noisy(codes, 3, number)), 2)
        both["hash"][::2] = noisy(codes, 90, 100 + number)  # bars that no other video has
        both["crop_permille"][1::2] = 0, 100, 0, 100
        stored[number - 1] = item(number, fingerprints_of(both, small=False), MediaKind.VIDEO)
    assert len(find(sampled(codes), *stored).matches) == len(stored)


OTHERS = 1000
"""From this seed on, each seed is shown by one item only."""


def among(codes: Codes, count: int, seconds: float, first: int = 2) -> list[StoredItem]:
    """Return ``count`` videos that show nearly this, and then something of their own."""
    return [
        video(number, np.concatenate([noisy(codes, 3, number), shown(OTHERS + number, seconds)]))
        for number in range(first, first + count)
    ]


def numbers_of(answer: VideoMatches) -> list[int]:
    return sorted(match.item_id[-1] for match in answer.matches)


ALL = VideoOptions(LookupOptions(max_matches=50))


@pytest.mark.parametrize("first", [1, 90], ids=["original first", "original last"])
@pytest.mark.parametrize("seconds", [60, 90])
def test_videos_that_show_a_video_and_more_do_not_hide_it(
    first: int, seconds: int, find: Find
) -> None:
    codes = shown(1, 30)
    stored = [video(first, codes), *among(codes, COMMON_VIDEOS, seconds)]
    for query in (codes, codes[:40], codes[40:60], codes[-20:]):
        assert numbers_of(find(noisy(sampled(query), 5), *stored, options=ALL)) == [first]


@pytest.mark.parametrize("parts", [2, 3, 10])
def test_videos_that_show_parts_of_a_video_do_not_hide_it(parts: int, find: Find) -> None:
    codes = shown(1, 30)
    stored = [video(1, codes)]
    for part in np.split(codes, parts):
        stored += among(part, COMMON_VIDEOS, 60, first=1 + len(stored))
    for query in (codes, *np.split(codes, parts)):
        assert numbers_of(find(noisy(sampled(query), 5), *stored, options=ALL)) == [1]


@pytest.mark.parametrize("bits", [18, 25])
def test_videos_that_are_near_to_an_edited_copy_only_do_not_hide_the_original(
    bits: int, find: Find
) -> None:
    codes = shown(1, 30)
    copy = noisy(codes, 20, 1)
    around = [noisy(copy, bits, 100 + number) for number in range(COMMON_VIDEOS)]
    stored = [
        video(number, np.concatenate([neighbour, shown(OTHERS + number, 60)]))
        for number, neighbour in enumerate(around, 2)
    ]
    assert 1 in numbers_of(find(sampled(copy), video(1, codes), *stored, options=ALL))


def test_pictures_do_not_make_a_video_that_others_show_look_rare(find: Find) -> None:
    codes = shown(1, 20)
    pictures = [
        picture(100 + at, noisy(codes[place : place + 1], 1, at)[0])
        for place in range(0, len(codes), 2)
        for at in range(2 * place, 2 * place + 4)
    ]
    stored = [video(1, codes), *among(codes, COMMON_VIDEOS, 60), *pictures]
    options = VideoOptions(LookupOptions(max_matches=500))
    answer = find(sampled(codes)[5:15], *stored, options=options)
    assert [m.item_id[-1] for m in answer.matches if m.kind == MediaKind.VIDEO] == [1]


@pytest.mark.parametrize("shown_s", [6, 12])
def test_of_a_video_less_than_half_can_be_hidden(shown_s: int, find: Find) -> None:
    codes = shown(1, 30)
    part, rest = codes[: 4 * shown_s], codes[4 * shown_s :]
    stored = [video(1, codes), *among(part, COMMON_VIDEOS, 60)]
    assert not find(sampled(part), *stored).matches  # these frames could be an intro
    assert numbers_of(find(sampled(rest), *stored)) == [1]
    assert numbers_of(find(sampled(codes), *stored)) == [1]


def test_of_a_long_video_less_than_half_can_be_hidden_by_what_is_not_looked_up(
    monkeypatch: pytest.MonkeyPatch, find: Find
) -> None:
    monkeypatch.setattr(video_matching, "_MOST_JUDGED", 9 * 10)  # ten of each
    codes = shown(1, 60)
    for hidden in (np.arange(len(codes)) % 24 != 0, np.arange(len(codes)) % 24 < 6):
        partly_replaced = np.where(hidden[:, None], codes, shown(2, 60))
        stored = [video(1, codes), *among(partly_replaced, COMMON_VIDEOS, 200)]
        clips = [sampled(clip) for clip in np.split(codes, 6)]
        assert sum(1 in numbers_of(find(clip, *stored)) for clip in clips) >= 3


def test_copies_that_one_key_registers_hide_no_video(find: Find) -> None:
    codes = shown(1, 30)
    stored = [video(number, codes) for number in range(1, 40)]
    for query in (codes, codes[40:60]):
        assert len(find(sampled(query), *stored, options=ALL).matches) == len(stored)


def test_a_video_that_is_an_intro_is_found_by_it(find: Find) -> None:
    intro = shown(1, 5)
    stored = [video(1, intro), *among(intro, COMMON_VIDEOS + 2, 30)]
    query = np.concatenate([intro, shown(99, 30)])
    assert numbers_of(find(sampled(query), *stored, options=ALL)) == [1]


@pytest.mark.parametrize("copies", [1, 4, COMMON_VIDEOS, 16])
def test_an_outro_that_many_share_is_no_evidence_for_what_many_registered(
    copies: int, find: Find
) -> None:
    outro = shown(1, 3)
    stored = [
        video(number, np.concatenate([shown(OTHERS + number, 30), noisy(outro, 3, number)]))
        for number in range(100, 140)
    ]
    codes = np.concatenate([shown(2, 30), outro])
    stored += [video(number, noisy(codes, 3, number)) for number in range(1, 1 + copies)]
    unrelated = np.concatenate([shown(99, 30), outro])
    assert not find(sampled(unrelated), *stored).matches
    answer = find(sampled(codes), *stored, options=ALL)
    assert numbers_of(answer) == list(range(1, 1 + copies))


@pytest.mark.parametrize("judged", [1, 4096])
def test_intros_and_outros_of_very_many_videos_are_evidence_of_none(
    judged: int, monkeypatch: pytest.MonkeyPatch, find: Find
) -> None:
    monkeypatch.setattr(video_matching, "_MOST_JUDGED", judged)
    intro, outro = shown(1, 5), shown(2, 3)
    stored = [
        video(number, np.concatenate([intro, shown(OTHERS + number, 60), outro]))
        for number in range(1, 13)
    ]
    query = np.concatenate([intro, shown(99, 30), outro])
    assert not find(noisy(sampled(query), 4), *stored).matches
    own = np.concatenate([intro, shown(OTHERS + 3, 60), outro])
    assert numbers_of(find(sampled(own), *stored)) == [3]


def test_a_compilation_of_what_others_registered_is_found_by_each_part(find: Find) -> None:
    clips = [shown(number, 10) for number in range(1, 6)]
    stored = [video(100, np.concatenate(clips))]
    for clip in clips:
        stored += [
            video(number, noisy(clip, 3, number))
            for number in range(len(stored), len(stored) + COMMON_VIDEOS)
        ]
    for at, clip in enumerate(clips):
        own = list(range(1 + at * COMMON_VIDEOS, 1 + (at + 1) * COMMON_VIDEOS))
        assert numbers_of(find(sampled(clip), *stored, options=ALL)) == [*own, 100]


def test_shares_narrow_what_matches(find: Find) -> None:
    clip = shown(1, 10)
    query = sampled(np.concatenate([clip, shown(2, 30)]))
    for shares, expected in (((240, 900), 1), ((300, 0), 0), ((0, 1000), 1), ((0, 0), 1)):
        options = VideoOptions(LookupOptions(), 1000, *shares)
        assert len(find(query, video(1, clip), options=options).matches) == expected


def test_only_the_banks_of_the_scope_are_found(find: Find) -> None:
    codes = shown(1, 10)
    stored = (video(1, codes), video(2, codes, MINORS.number))
    for limits, expected in (({2: 31}, [2]), ({1: 31, 2: 31}, [1, 2]), ({}, [])):
        answer = find(sampled(codes), *stored, scope=Scope(limits))
        assert sorted(match.item_id[-1] for match in answer.matches) == expected


@pytest.mark.parametrize(("bits", "matched"), [(31, True), (32, False)])
def test_the_threshold_is_inclusive(
    bits: int,
    matched: bool,  # noqa: FBT001 pytest's
    find: Find,
) -> None:
    codes = sampled(shown(1, 40))[::4]  # no two are near each other
    assert bool(find(noisy(codes, bits), video(1, np.repeat(codes, 4, axis=0))).matches) == matched


def test_the_nearest_items_are_answered_and_more_are_told_of(find: Find) -> None:
    codes = shown(1, 10)
    stored = [video(number, noisy(codes, number, number)) for number in range(1, 6)]
    answer = find(sampled(codes), *stored, options=VideoOptions(LookupOptions(max_matches=2)))
    assert [match.item_id[-1] for match in answer.matches] == [1, 2]
    assert answer.truncated


def test_copies_in_one_bank_do_not_hide_the_best_item_of_another(
    find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_matching, "_MOST_CANDIDATES", 6)
    codes = shown(1, 10)
    adults = [video(number, noisy(codes, 1, number)) for number in range(1, 16)]
    minors = [video(90 + bits, noisy(codes, bits, bits), MINORS.number) for bits in (8, 4)]
    scope = Scope({ADULTS.number: 31, MINORS.number: 31})
    options = VideoOptions(LookupOptions(max_matches=3))
    answer = find(sampled(codes), *adults, *minors, scope=scope, options=options)
    banks = [match.bank for match in answer.matches]
    assert banks == [ADULTS.number] * 3 + [MINORS.number]
    assert answer.matches[3].item_id[-1] == 94
    assert answer.truncated


@pytest.mark.parametrize("seed", range(20))
def test_what_is_found_is_what_comparing_all_frames_finds(seed: int, tmp_path: Path) -> None:
    chance = np.random.default_rng(seed)
    codes = shown(seed, 24)
    around = shown(100 + seed, 24)[::16]  # then most frames are not searched
    rows = np.repeat(frames(around[chance.integers(len(around), size=24)], 1000), 2)
    for second, code in enumerate(sampled(codes)):
        rows["hash"][2 * second + 1] = noisy(code[None], int(chance.integers(44)), second)
    live = indexed(tmp_path, video(1, codes))
    lookup = looking(live)
    lookup.add(frames_of(rows))
    match, stored, every = only(lookup.matches()), live.find(1), np.ones(24, np.bool_)
    assert stored is not None
    query = Query.of(rows, np.full(24, 2))
    evidence = weigh(query, MediaKind.VIDEO, stored, every, ~every, 31, Work(UNBOUNDED))
    assert evidence is not None
    assert (match.distance_bits, match.segments) == (evidence.distance_bits, evidence.segments)


def test_a_video_that_was_cut_off_some_frames_answers_is_found_whole(
    find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_matching, "_MOST_CANDIDATES", 2)
    codes = sampled(shown(1, 20))
    late = np.concatenate([shown(2, 12)[::4], codes[12:]])
    stored = [
        item(number, fingerprints_of(frames(shown_codes, 1000), small=False), MediaKind.VIDEO)
        for number, shown_codes in enumerate((noisy(codes, 9), codes, late), 1)
    ]  # two other videos are nearer in the last 8 s
    edges_of = {match.item_id[-1]: edges(match) for match in [*find(codes, *stored).matches][:2]}
    assert edges_of[1] == [pytest.approx((0, 20, 0, 20), abs=1)]


@pytest.mark.parametrize("bank", [ADULTS, MINORS])
def test_a_thousand_pictures_near_frames_that_say_little_do_not_hide_a_video(
    find: Find, bank: Bank
) -> None:
    point = np.zeros((2, 32), np.uint8)  # single points: pictures match within 12 bits only
    point[1] = 255
    spread = [
        picture(number, noisy(point[number % 2][None], 13, number)[0]) for number in range(2, 2100)
    ]
    registered = video(1, noisy(np.repeat(point, 4, axis=0), 25), bank.number)
    scope = Scope({ADULTS.number: 31, MINORS.number: 31})
    answer = find(point, registered, *spread, scope=scope)
    assert only(answer).item_id == registered.item_id
    assert not answer.truncated


@pytest.mark.parametrize("stored_step_ms", [0, 1, 10])
@pytest.mark.parametrize("count", [2, 5, 12, 60])
def test_an_animation_without_times_is_found_as_earlier_clients_registered_it(
    find: Find, count: int, stored_step_ms: int
) -> None:
    codes = np.random.default_rng(count).integers(0, 256, (count, 32), np.uint8)
    stored = np.zeros(count, FINGERPRINT)
    stored["hash"] = codes
    stored["start_ms"] = stored_step_ms * np.arange(count)
    stored["end_ms"] = stored["start_ms"] + stored_step_ms
    # Of frames of 100 ms, a lookup searches one a second; of short videos, four a second.
    step = 10 if count > 20 else 2.5
    searched = np.ceil(np.arange(0, count, step)).astype(int)
    searched = searched[searched < count]
    rows = frames(codes[searched])
    rows["start_ms"] = 100 * searched
    rows["end_ms"] = np.append(rows["start_ms"][1:], 100 * count)
    match = only(find(rows, item(1, stored, MediaKind.VIDEO)))
    assert (match.query_share_permille, match.stored_share_permille) == (1000, 1000)


def test_the_version_that_matches_is_told(tmp_path: Path) -> None:
    codes, other_codes = shown(1, 10), shown(2, 10)
    rows = np.repeat(frames(sampled(other_codes), 1000), 2)
    rows["hash"][1::2], rows["dihedral"][1::2] = sampled(codes), Dihedral.MIRROR
    lookup = looking(indexed(tmp_path, video(1, codes)))
    lookup.add(rows[at : at + 2] for at in range(0, len(rows), 2))
    assert only(lookup.matches()).query_transform.dihedral == Dihedral.MIRROR
    assert (lookup.hashed, lookup.low_quality) == (10, 0)


def test_a_match_is_certain_once_some_frames_agree(tmp_path: Path) -> None:
    codes = shown(1, 30)
    lookup = looking(indexed(tmp_path, video(1, codes)))
    rows = frames(np.concatenate([sampled(shown(2, 10)), sampled(codes)]), 1000)
    certain = []
    for at in range(len(rows)):
        lookup.add([rows[at : at + 1]])
        certain.append(any(lookup.certain()))
    assert certain.index(True) == 10 + CERTAIN_FRAMES - 1


def test_frames_of_low_quality_are_counted_and_find_nothing(tmp_path: Path) -> None:
    codes = shown(1, 10)
    lookup = looking(indexed(tmp_path, video(1, codes)))
    rows = frames(sampled(codes), 1000)
    rows["usable"] = 0
    lookup.add(rows[at : at + 1] for at in range(len(rows)))
    assert (lookup.hashed, lookup.low_quality) == (10, 10)
    assert lookup.matches() == VideoMatches((), truncated=False)


def peak_bytes(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def flicker(seconds: int, step_ms: int) -> np.ndarray:
    """Return two pictures in turn, of which no frame is quite like another."""
    pictures = np.stack([shown(1, 1)[0], shown(2, 1)[0]])
    count = 1000 * seconds // step_ms
    rows = frames(noisy(pictures[np.arange(count) % 2], 7, step_ms), step_ms)
    rows["start_ms"] = np.arange(count) * step_ms
    rows["end_ms"] = rows["start_ms"] + step_ms
    return rows


def test_two_versions_of_a_stored_moment_are_one_moment(find: Find) -> None:
    codes = shown(1, 30)
    cut = codes ^ noisy(np.zeros((1, 32), np.uint8), 20)
    both = np.repeat(frames(codes), 2)
    both["hash"][1::2] = cut
    both["crop_permille"][1::2] = 0, 100, 0, 100
    stored = item(1, fingerprints_of(both, small=False), MediaKind.VIDEO)
    assert len(stored.fingerprints) == 2 * len(video(1, codes).fingerprints)
    query = sampled(codes)[10:20]
    with_both, alone = (only(find(query, candidate)) for candidate in (stored, video(1, codes)))
    assert replace(with_both, ordinal=0) == replace(alone, ordinal=0)
    one_frame = np.concatenate([shown(2, 10)[::4], codes[40:41], shown(3, 10)[::4]])
    assert not find(one_frame, stored).matches


def test_an_hour_of_flicker_takes_no_more_memory_than_other_videos(tmp_path: Path) -> None:
    stored = item(1, fingerprints_of(flicker(3600, 2000), small=False), MediaKind.VIDEO)
    live, rows = indexed(tmp_path, stored), flicker(3600, 1000)
    lookup = looking(live)
    lookup.add(rows[at : at + 1] for at in range(len(rows)))
    assert peak_bytes(lookup.matches) < 32 << 20
    match = only(lookup.matches())
    assert match.query_share_permille >= 990


def crowded(number: int, kind: MediaKind, hashes: int, times: str, bits: int) -> StoredItem:
    """Return an item of hashes ``bits`` from one code, as an old server stored them."""
    stored = np.zeros(hashes, FINGERPRINT)
    stored["hash"] = noisy(np.repeat(shown(1, 1)[:1], hashes, axis=0), bits, number)
    at = np.arange(hashes)
    if times == "unordered":
        at = np.random.default_rng(number).permutation(hashes)
    if times != "equal":
        stored["start_ms"] = at * (1 if times == "overlapping" else 2000)
    stored["end_ms"] = stored["start_ms"] + (5000 if times == "overlapping" else 1000)
    return item(number, stored, kind)


@pytest.mark.parametrize("bits", [0, 6])
@pytest.mark.parametrize("times", ["equal", "overlapping", "apart", "unordered"])
def test_crowded_videos_that_are_stored_are_found_in_little_memory(
    times: str, bits: int, tmp_path: Path
) -> None:
    stored = [crowded(at, MediaKind.VIDEO, 3000, times, bits) for at in range(1, COMMON_VIDEOS + 1)]
    lookup = looking(indexed(tmp_path, *stored))
    rows = frames(noisy(np.repeat(shown(1, 1)[:1], 2, axis=0), 4), 1000)
    assert peak_bytes(lambda: lookup.add([rows[:1], rows[1:]])) < 64 << 20
    assert peak_bytes(lookup.matches) < 32 << 20
    assert len(lookup.matches().matches) == COMMON_VIDEOS


def test_candidates_are_not_all_held_at_once(tmp_path: Path) -> None:
    stored = [crowded(at, MediaKind.VIDEO, 2000, "apart", 20) for at in range(1, 201)]
    lookup = looking(indexed(tmp_path, *stored))  # of 20 MB
    lookup.add([frames(shown(1, 1)[:1], 1000)])
    assert peak_bytes(lookup.matches) < 12 << 20
    assert len(lookup.matches().matches) == LookupOptions().max_matches


@pytest.mark.parametrize("kind", MediaKind)
def test_comparing_looks_at_its_allowance_every_so_many_pairs(
    kind: MediaKind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored = indexed(tmp_path, crowded(1, kind, 3000, "apart", 6)).find(1)
    assert stored is not None
    rows = frames(noisy(np.repeat(shown(1, 1)[:1], 640, axis=0), 4), 1000)
    query = Query.of(rows, np.full(10, 64))
    every, looks = np.ones(10, np.bool_), [0]
    pairs: dict[int, int] = {}
    search = FlatIndex.search

    def counting(index: FlatIndex, queries: Codes, most_bits: int) -> Neighbours:
        pairs[looks[0]] = pairs.get(looks[0], 0) + len(queries) * len(index)
        return search(index, queries, most_bits)

    class Looked(Allowance):
        def check(self) -> None:
            looks[0] += 1

    monkeypatch.setattr(FlatIndex, "search", counting)
    assert weigh(query, kind, stored, every, ~every, 31, Work(Looked(math.inf))) is not None
    assert sum(pairs.values()) == 640 * 3000
    assert max(pairs.values()) <= 1 << 17


@given(st.integers(0, 2**32 - 1), st.sampled_from(MediaKind), st.sampled_from([1, 64, 1 << 17]))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_what_speaks_for_an_item_is_what_comparing_each_pair_tells(
    monkeypatch: pytest.MonkeyPatch, seed: int, kind: MediaKind, pairs_at_once: int
) -> None:
    chance = np.random.default_rng(seed)
    pictures = shown(seed, 60)[:: chance.integers(1, 20)]
    rows = np.zeros(chance.integers(1, 90), FRAME)
    rows["hash"] = pictures[np.sort(chance.integers(len(pictures), size=len(rows)))]
    rows["hash"] = noisy(rows["hash"], int(chance.integers(20)), seed)
    rows["start_ms"] = np.sort(chance.integers(0, 40, len(rows))) * 500
    rows["end_ms"] = rows["start_ms"] + 500
    fingerprints = np.zeros(chance.integers(1, 60), FINGERPRINT)
    fingerprints["hash"] = pictures[chance.integers(len(pictures), size=len(fingerprints))]
    if kind == MediaKind.VIDEO:
        fingerprints["start_ms"] = chance.integers(0, 40, len(fingerprints)) * 500
        fingerprints["end_ms"] = fingerprints["start_ms"] + chance.integers(1, 4) * 500
    stored = columns_of([item(1, fingerprints, kind)])
    monkeypatch.setattr(video_evidence, "_PAIRS_AT_ONCE", pairs_at_once)
    query = Query.of(rows, np.array([len(one) for one in frames_of(rows)]))
    every = np.ones(len(query.firsts), np.bool_)
    evidence = weigh(query, kind, stored, every, ~every, 31, Work(UNBOUNDED))

    times = np.zeros((len(fingerprints), 2), int)
    if kind == MediaKind.VIDEO:
        times = np.stack([fingerprints["start_ms"], fingerprints["end_ms"]], axis=1).astype(int)
    moments = sorted(set(map(tuple, times.tolist())))
    near, best = [], []
    for frame, versions in enumerate(frames_of(rows)):
        bits_of: dict[int, int] = {}
        for code, time_ms in zip(fingerprints["hash"], times.tolist(), strict=True):
            moment = moments.index(tuple(time_ms))
            bits = int(np.bitwise_count(versions["hash"] ^ code).sum(axis=1).min())
            bits_of[moment] = min(bits, bits_of.get(moment, 257))
        least = min(bits_of.values())
        may_be = [(b, m) for m, b in bits_of.items() if b <= min(least + 6, 31)]
        if may_be:
            near.append((frame, np.array([m for _, m in sorted(may_be)])))
            best.append(least)
    ends = [2**32 if kind == MediaKind.IMAGE else end for _, end in moments]
    timeline = Timeline(np.array([start for start, _ in moments]), np.array(ends))
    if evidence is None:
        assert not align(near, query.timeline, timeline, least_frames=2)
        return
    expected = [
        aligned
        for least_frames in (1, 2)
        if (aligned := align(near, query.timeline, timeline, least_frames=least_frames))
    ]
    assert evidence.distance_bits == min(best)
    assert evidence.frames in [
        sum(alignment.frames for alignment in aligned) for aligned in expected
    ]
    if kind == MediaKind.VIDEO:
        segments = [tuple(alignment.segment for alignment in aligned) for aligned in expected]
        assert evidence.segments in segments


def flipped(code: Codes, first: int, bits: int) -> Codes:
    """So many bits away, from this one on."""
    mask = np.zeros(256, np.uint8)
    mask[first : first + bits] = 1
    return code ^ np.packbits(mask)


@pytest.mark.parametrize("blocks", [1, 30])
def test_a_frame_that_is_too_far_hides_none_that_are_like_it(blocks: int, tmp_path: Path) -> None:
    scenes = [shown(seed, 1)[0] for seed in (1, 2, 3)]
    stored = [flipped(scene, 200 + at, 1) for scene in scenes for at in range(10)]
    # the first of each scene is 33 bits from it, the others 29, and 6 from the first
    query = [
        flipped(scene, 0, 33) if at == 0 else flipped(flipped(scene, 0, 28), 100 + at, 1)
        for scene in scenes
        for at in range(10)
    ]
    lookup = looking(indexed(tmp_path, video(1, np.array(stored))))
    rows = frames(np.array(query), 500)
    for some in np.split(rows, blocks):
        lookup.add(some[at : at + 1] for at in range(len(some)))
    assert only(lookup.matches()).distance_bits <= 30


def test_what_a_lookup_holds_has_a_bound_and_is_told(tmp_path: Path) -> None:
    lookup = looking(indexed(tmp_path))
    rows = frames(np.random.default_rng(1).integers(0, 256, (64_000, 32), np.uint8), 1000)
    rows = np.repeat(rows, 4)  # 13 MB, in 64 000 frames 17 MB

    def add() -> None:
        for at in range(0, len(rows), 1024):
            lookup.add(np.split(rows[at : at + 1024], 256))
            assert lookup.held_bytes <= HELD_BYTES_MAX

    tracemalloc.start()
    try:
        with pytest.raises(LimitExceededError, match="larger intervals") as refused:
            add()
        assert tracemalloc.get_traced_memory()[0] < HELD_BYTES_MAX + (4 << 20)
    finally:
        tracemalloc.stop()
    assert refused.value.metadata["limit"] == str(HELD_BYTES_MAX)


def test_frames_that_very_many_items_show_count_as_held(tmp_path: Path) -> None:
    stored = [picture(number, shown(1, 1)[0]) for number in range(1, 101)]
    lookup = looking(indexed(tmp_path, *stored))
    row = frames(shown(1, 1)[:1])
    lookup.add([row])
    assert lookup.held_bytes >= 100 * 400


@pytest.mark.parametrize("videos", [1, 3])
def test_comparing_ends_with_its_work_and_says_so(
    videos: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored = [crowded(at, MediaKind.VIDEO, 1000, "apart", 2) for at in range(1, videos + 1)]
    rows = frames(noisy(np.repeat(shown(1, 1)[:1], 1200, axis=0), 2), 1000)
    aligned: list[int] = []
    near = video_evidence._Comparison._near

    def counting(self: Any, some: Any) -> Any:
        for frame, moments in near(self, some):
            aligned.append(len(moments))
            yield frame, moments

    monkeypatch.setattr(video_evidence._Comparison, "_near", counting)
    monkeypatch.setattr(video_matching, "_MOST_WORK", 150_000 * videos)
    lookup = looking(indexed(tmp_path, *stored))
    lookup.add(rows[at : at + 1] for at in range(len(rows)))
    found = lookup.matches()
    assert found.truncated
    assert len(found.matches) == videos  # none takes what another needs
    # what was begun is finished, of each: 1.2 million pairs of each otherwise
    assert sum(aligned) <= videos * (150_000 + 2 * (1 << 17))


@pytest.mark.parametrize("step", ["add", "certain", "matches"])
def test_a_lookup_ends_when_its_call_is_given_up(step: str, tmp_path: Path) -> None:
    codes = shown(1, 60)
    allowance = Allowance(time.monotonic() + 3600)
    lookup = VideoLookup(indexed(tmp_path, video(1, codes)), SCOPE, VideoOptions(), allowance)
    rows = frames(sampled(codes), 1000)
    lookup.add(rows[at : at + 1] for at in range(30))
    allowance.end()
    calls = {"add": lambda: lookup.add([rows[30:31]]), "certain": lambda: any(lookup.certain())}
    with pytest.raises(DeadlineExceededError):
        calls.get(step, lookup.matches)()


def test_a_frame_whose_hash_says_little_has_to_be_nearer_to_a_picture(find: Find) -> None:
    point = np.zeros((1, 32), np.uint8)  # a hash that draws a single point
    near, far = (noisy(point, bits) for bits in (12, 13))
    assert len(find(point, picture(1, near[0])).matches) == 1
    assert len(find(point, picture(1, far[0])).matches) == 0
    assert len(find(point, video(1, far)).matches) == 1  # videos keep the usual distance
