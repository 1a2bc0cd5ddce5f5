"""A video is matched by what it shows of another, with the place, whatever else it shows."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disrupt.core.changes import Addition, Change, Cursor, Removal
from disrupt.core.lookups import LookupOptions, VideoMatches, VideoOptions
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.policy import ADULTS, MINORS, Bank, Scope
from disrupt.core.transforms import PLANS
from disrupt.core.videos import fingerprints_of
from disrupt.index.live import LiveIndex
from disrupt.services import video_matching
from disrupt.services.matching import search_near
from disrupt.services.video_matching import (
    CERTAIN_FRAMES,
)
from tests.distinctiveness.hashes import hash_of_limit
from tests.services.videos import (
    STEP_MS,
    Codes,
    Find,
    edges,
    flipped,
    frames,
    indexed,
    item,
    looking,
    noisy,
    only,
    picture,
    sampled,
    shown,
    video,
)


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_clip_of_5_s_is_found_in_a_compilation_of_10_min(first: int, find: Find) -> None:
    clip = shown(1, 5)
    compilation = np.concatenate([shown(2, 297), clip, shown(3, 298)])
    match = only(find(noisy(sampled(compilation, first), 10), video(1, clip)))
    apart_s = first * STEP_MS / 1000  # by which the query begins later
    assert edges(match) == [pytest.approx((297 - apart_s, 302 - apart_s, 0, 5), abs=1)]
    assert match.stored_share_permille == 1000
    assert match.query_share_permille <= 15


def test_of_a_video_of_two_persons_that_of_the_minor_comes_first(find: Find) -> None:
    codes = shown(1, 20)
    stored = (video(1, codes), video(2, codes, MINORS.number))
    answer = find(sampled(codes), *stored, scope=Scope({1: 31, 2: 31}))
    assert [match.bank for match in answer.matches] == [MINORS.number, ADULTS.number]


def test_a_disputed_video_is_marked_and_last_until_a_version_is_nearer(find: Find) -> None:
    codes = shown(1, 20)
    stored = [video(1, noisy(codes, 10, 1)), video(2, noisy(codes, 20, 2))]

    def marks(bits: int) -> list[tuple[bytes, bool]]:
        own = {(1).to_bytes(16): {(0, 0): bits}}
        answer = find(sampled(codes), *stored, own=own)
        assert all(match.versions for match in answer.matches)
        return [(match.item_id, match.is_disputed) for match in answer.matches]

    first, second = ((number).to_bytes(16) for number in (1, 2))
    assert marks(10) == [(second, False), (first, True)]
    assert marks(11) == [(first, False), (second, False)]


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_compilation_of_10_min_is_found_by_a_clip_of_5_s(first: int, find: Find) -> None:
    clip = shown(1, 5)
    compilation = np.concatenate([shown(2, 297), clip, shown(3, 298)])
    match = only(find(noisy(sampled(clip, first), 10), video(1, compilation)))
    apart_s = first * STEP_MS / 1000
    # Of ten minutes, the kept frames are over half a second apart.
    assert edges(match) == [pytest.approx((0, 5 - apart_s, 297 + apart_s, 302), abs=1.5)]


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


def test_a_picture_in_a_video_is_a_whole_if_any_pair_of_versions_shows_one(find: Find) -> None:
    whole, quadrant = sampled(shown(1, 10)), sampled(shown(2, 10))
    rows = np.repeat(frames(whole, 1000), 2)
    rows["hash"][1::2], rows["crop_permille"][1::2] = quadrant, (0, 0, 500, 500)
    smallest = min(range(len(PLANS[1])), key=lambda ordinal: PLANS[1][ordinal].area_permille)
    stored = np.zeros(2, FINGERPRINT)
    stored["hash"] = noisy(whole[5:6], 20)[0], quadrant[5]
    stored["plan"], stored["ordinal"] = (0, 1), (0, smallest)
    query = rows.reshape(-1, 2)
    match = only(find(query, item(7, stored, MediaKind.IMAGE)))
    assert match.distance_bits == 0
    assert (match.query_area_permille, match.stored_area_permille) == (1000, 1000)
    part = item(8, stored[1:], MediaKind.IMAGE)
    match = only(find(query, part))
    areas = match.query_area_permille, match.stored_area_permille
    assert areas == (250, PLANS[1][smallest].area_permille)
    whole_only = VideoOptions(LookupOptions(whole_only=True))
    assert not find(query, part, options=whole_only).matches


def test_a_video_finds_a_picture_when_it_shows_it(find: Find) -> None:
    codes = shown(1, 30)
    match = only(find(sampled(codes), picture(7, noisy(codes[40:41], 9)[0])))
    assert (match.kind, match.item_id) == (MediaKind.IMAGE, (7).to_bytes(16))
    ((start_s, end_s, *stored),) = edges(match)
    assert start_s <= 10 <= end_s
    assert end_s - start_s <= 4
    assert stored == [0, 0]


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
    matched: bool,
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


@pytest.mark.parametrize("most", [3, 2])
def test_candidates_that_are_not_compared_are_told_of(
    most: int, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_matching, "_MOST_CANDIDATES", most)
    clips = [shown(seed, 10) for seed in (1, 2, 3)]
    stored = [video(number, clip) for number, clip in enumerate(clips, 1)]
    answer = find(np.concatenate([sampled(clip) for clip in clips]), *stored)
    assert (len(answer.matches), answer.truncated) == (most, most < len(stored))


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
    point = np.stack([hash_of_limit(12), ~hash_of_limit(12)])
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
    assert [version[:2] for version in with_both.versions] == [(0, 0), (0, 2)]
    alike = replace(with_both, ordinal=0, versions=()), replace(alone, ordinal=0, versions=())
    assert alike[0] == alike[1]
    one_frame = np.concatenate([shown(2, 10)[::4], codes[40:41], shown(3, 10)[::4]])
    assert not find(one_frame, stored).matches


@pytest.mark.parametrize("bits", [0, 3])
@pytest.mark.parametrize("blocks", [1, 40])
def test_what_plays_within_a_scene_that_stands_still_is_found(
    blocks: int, bits: int, tmp_path: Path
) -> None:
    scene, codes = shown(1, 1)[:1], shown(2, 20)
    live = indexed(tmp_path, video(1, np.repeat(scene, 80, axis=0)), video(2, codes))
    lookup = looking(live)
    rows = np.repeat(frames(sampled(np.concatenate([shown(3, 20), codes])), 1000), 2)
    rows["hash"][::2] = noisy(np.repeat(scene, 40, axis=0), bits)
    rows["crop_permille"][1::2] = 400, 400, 400, 400
    for some in np.split(rows, blocks):
        lookup.add(some[at : at + 2] for at in range(0, len(some), 2))
    inner = {match.item_id[-1]: match for match in lookup.matches().matches}[2]
    assert edges(inner) == [pytest.approx((20, 40, 0, 20), abs=1)]
    assert inner.query_transform.crop == (400, 400, 400, 400)


def test_a_version_that_was_searched_is_not_searched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []

    def counting(index: LiveIndex, queries: Codes, *rest: Any) -> Any:
        searched.append(len(queries))
        return search_near(index, queries, *rest)

    monkeypatch.setattr(video_matching, "search_near", counting)
    still = video(1, shown(1, 1)[:1])
    lookup = looking(indexed(tmp_path, still))
    rows = np.repeat(frames(np.repeat(shown(1, 1)[:1], 30, axis=0), 1000), 2)
    rows["hash"][1::2] = noisy(np.repeat(shown(2, 1)[:1], 30, axis=0), 3)
    lookup.add(rows[at : at + 2] for at in range(0, len(rows), 2))
    assert sum(searched) == 1 + 30  # nothing is near to the second version
    assert only(lookup.matches()).query_share_permille == 1000


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


def test_a_frame_whose_hash_says_little_has_to_be_nearer_to_a_picture(find: Find) -> None:
    point = hash_of_limit(12)[None]
    near, far = (noisy(point, bits) for bits in (12, 13))
    assert len(find(point, picture(1, near[0])).matches) == 1
    assert len(find(point, picture(1, far[0])).matches) == 0
    assert len(find(point, video(1, far)).matches) == 1  # videos keep the usual distance


@pytest.mark.parametrize("steps", [0, 1])
def test_a_video_renewed_during_its_lookup_is_found_before_or_after_that(
    tmp_path: Path, steps: int
) -> None:
    codes = shown(1, 20)
    live = indexed(tmp_path, video(1, codes), video(2, shown(2, 20)))
    lookup = looking(live)
    lookup.add(frames(code[None]) for code in sampled(codes))
    weighing = lookup.weigh()
    for _ in range(steps):
        next(weighing)
    changes: list[Change] = [
        Addition(2001, video(3, codes)),
        Removal(2002, 1, bytes(16), ADULTS.number),
    ]
    live.apply(changes, Cursor(bytes(16), 2002))
    deque(weighing, maxlen=0)
    assert only(lookup.matches()).item_id[-1] == (1 if steps else 3)
