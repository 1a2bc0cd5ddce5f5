"""What many videos show is marked, comes last, and hides no video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from disrupt.core.lookups import LookupOptions, VideoOptions
from disrupt.core.media import MediaKind, StoredItem
from disrupt.core.policy import ADULTS, MINORS, Bank, Scope
from disrupt.core.videos import fingerprints_of
from disrupt.services import video_matching
from disrupt.services.common_moments import COMMON_VIDEOS
from tests.services.videos import (
    Codes,
    Find,
    edges,
    frames,
    indexed,
    item,
    looking,
    noisy,
    numbers_of,
    own_numbers_of,
    picture,
    sampled,
    shown,
    video,
)


def test_an_intro_that_many_videos_share_is_marked_and_comes_last(find: Find) -> None:
    intro = shown(1, 5)
    stored = [
        video(number, np.concatenate([intro, shown(100 + number, 30)]))
        for number in range(1, COMMON_VIDEOS + 3)
    ]
    query = sampled(np.concatenate([intro, shown(99, 30)]))
    # Below COMMON_VIDEOS it may be the video itself.
    few = stored[: COMMON_VIDEOS - 1]
    assert own_numbers_of(find(query, *few)) == numbers_of(find(query, *few)) != []
    assert not own_numbers_of(find(query, *stored))
    assert len(find(query, *stored).matches) == len(stored)
    own = sampled(np.concatenate([intro, shown(103, 30)]))
    match, *others = find(own, *stored).matches
    assert match.item_id == (3).to_bytes(16)  # matches by what only this video shows
    assert not match.common_only
    assert all(other.common_only for other in others)
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


FIRST_UNIQUE_SEED = 1000
"""From this seed on, each seed is shown by one item only."""


def among(codes: Codes, count: int, seconds: float, first: int = 2) -> list[StoredItem]:
    """Return ``count`` videos that show nearly this, and then something of their own."""
    return [
        video(
            number,
            np.concatenate([noisy(codes, 3, number), shown(FIRST_UNIQUE_SEED + number, seconds)]),
        )
        for number in range(first, first + count)
    ]


ALL = VideoOptions(LookupOptions(max_matches=50))


@pytest.mark.parametrize("bank", [ADULTS, MINORS], ids=["in its bank", "in the other bank"])
@pytest.mark.parametrize("least_share_permille", [0, 500])
def test_decoys_that_show_a_clip_of_a_video_do_not_hide_it(
    bank: Bank, least_share_permille: int, find: Find
) -> None:
    codes = shown(1, 30)
    clip = codes[: 4 * 10]
    own = video(1, codes, MINORS.number)
    decoys = [
        video(
            number,
            np.concatenate([clip, shown(FIRST_UNIQUE_SEED + number, 60)]),
            bank.number,
        )
        for number in range(2, 2 + COMMON_VIDEOS - 1)
    ]
    options = replace(ALL, min_query_share_permille=least_share_permille)
    both = Scope({ADULTS.number: 31, MINORS.number: 31})
    answer = find(sampled(clip), own, *decoys, options=options, scope=both)
    assert numbers_of(answer) == [1, *range(2, 2 + len(decoys))]
    marked = {match.item_id[-1] for match in answer.matches if match.common_only}
    assert marked == (set(numbers_of(answer)) if bank == MINORS else set())
    assert not answer.truncated


def test_own_videos_with_a_scene_in_common_are_all_found_by_it(find: Find) -> None:
    scene = shown(1, 8)
    stored = [
        video(number, np.concatenate([shown(FIRST_UNIQUE_SEED + number, 30), scene]))
        for number in range(1, 1 + COMMON_VIDEOS)
    ]
    answer = find(sampled(scene), *stored)
    assert numbers_of(answer) == list(range(1, 1 + COMMON_VIDEOS))
    assert all(match.common_only for match in answer.matches)


def test_what_is_common_only_is_not_certain_before_the_end(tmp_path: Path) -> None:
    intro = shown(1, 10)
    stored = [
        video(number, np.concatenate([intro, shown(FIRST_UNIQUE_SEED + number, 30)]))
        for number in range(1, 1 + COMMON_VIDEOS)
    ]
    lookup = looking(indexed(tmp_path, *stored))
    rows = frames(sampled(np.concatenate([intro, shown(FIRST_UNIQUE_SEED + 1, 30)])), 1000)
    lookup.add(rows[:10, None])
    assert not any(lookup.certain())
    lookup.add(rows[10:, None])
    assert any(lookup.certain())


@pytest.mark.parametrize("first", [1, 90], ids=["original first", "original last"])
@pytest.mark.parametrize("seconds", [60, 90])
def test_videos_that_show_a_video_and_more_do_not_hide_it(
    first: int, seconds: int, find: Find
) -> None:
    codes = shown(1, 30)
    stored = [video(first, codes), *among(codes, COMMON_VIDEOS, seconds)]
    for query in (codes, codes[:40], codes[40:60], codes[-20:]):
        assert own_numbers_of(find(noisy(sampled(query), 5), *stored, options=ALL)) == [first]


@pytest.mark.parametrize("parts", [2, 3, 10])
def test_videos_that_show_parts_of_a_video_do_not_hide_it(parts: int, find: Find) -> None:
    codes = shown(1, 30)
    stored = [video(1, codes)]
    for part in np.split(codes, parts):
        stored += among(part, COMMON_VIDEOS, 60, first=1 + len(stored))
    for query in (codes, *np.split(codes, parts)):
        assert own_numbers_of(find(noisy(sampled(query), 5), *stored, options=ALL)) == [1]


@pytest.mark.parametrize("bits", [18, 25])
def test_videos_that_are_near_to_an_edited_copy_only_do_not_hide_the_original(
    bits: int, find: Find
) -> None:
    codes = shown(1, 30)
    copy = noisy(codes, 20, 1)
    around = [noisy(copy, bits, 100 + number) for number in range(COMMON_VIDEOS)]
    stored = [
        video(number, np.concatenate([neighbour, shown(FIRST_UNIQUE_SEED + number, 60)]))
        for number, neighbour in enumerate(around, 2)
    ]
    assert 1 in own_numbers_of(find(sampled(copy), video(1, codes), *stored, options=ALL))


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
    videos = [m for m in answer.matches if m.kind == MediaKind.VIDEO and not m.common_only]
    assert [match.item_id[-1] for match in videos] == [1]


@pytest.mark.parametrize("shown_s", [6, 12])
def test_of_a_video_less_than_half_can_be_made_common(shown_s: int, find: Find) -> None:
    codes = shown(1, 30)
    part, rest = codes[: 4 * shown_s], codes[4 * shown_s :]
    stored = [video(1, codes), *among(part, COMMON_VIDEOS, 60)]
    assert not own_numbers_of(find(sampled(part), *stored))  # these frames could be an intro
    assert 1 in numbers_of(find(sampled(part), *stored))
    assert own_numbers_of(find(sampled(rest), *stored)) == [1]
    assert own_numbers_of(find(sampled(codes), *stored)) == [1]


def test_of_a_long_video_less_than_half_can_be_made_common_by_what_is_not_looked_up(
    monkeypatch: pytest.MonkeyPatch, find: Find
) -> None:
    monkeypatch.setattr(video_matching, "_MOST_JUDGED", 9 * 10)  # ten of each
    codes = shown(1, 60)
    for hidden in (np.arange(len(codes)) % 24 != 0, np.arange(len(codes)) % 24 < 6):
        partly_replaced = np.where(hidden[:, None], codes, shown(2, 60))
        stored = [video(1, codes), *among(partly_replaced, COMMON_VIDEOS, 200)]
        clips = [sampled(clip) for clip in np.split(codes, 6)]
        assert sum(1 in own_numbers_of(find(clip, *stored)) for clip in clips) >= 3


def test_a_video_that_is_an_intro_is_found_by_it(find: Find) -> None:
    intro = shown(1, 5)
    stored = [video(1, intro), *among(intro, COMMON_VIDEOS + 2, 30)]
    query = np.concatenate([intro, shown(99, 30)])
    assert own_numbers_of(find(sampled(query), *stored, options=ALL)) == [1]


@pytest.mark.parametrize("copies", [1, 4, COMMON_VIDEOS, 16])
def test_an_outro_that_many_share_marks_what_many_registered_by_nothing_else(
    copies: int, find: Find
) -> None:
    outro = shown(1, 3)
    stored = [
        video(
            number, np.concatenate([shown(FIRST_UNIQUE_SEED + number, 30), noisy(outro, 3, number)])
        )
        for number in range(100, 140)
    ]
    codes = np.concatenate([shown(2, 30), outro])
    stored += [video(number, noisy(codes, 3, number)) for number in range(1, 1 + copies)]
    unrelated = np.concatenate([shown(99, 30), outro])
    assert not own_numbers_of(find(sampled(unrelated), *stored))
    answer = find(sampled(codes), *stored, options=ALL)
    assert own_numbers_of(answer) == list(range(1, 1 + copies))


@pytest.mark.parametrize("judged", [1, 4096])
def test_intros_and_outros_of_very_many_videos_are_marked(
    judged: int, monkeypatch: pytest.MonkeyPatch, find: Find
) -> None:
    monkeypatch.setattr(video_matching, "_MOST_JUDGED", judged)
    intro, outro = shown(1, 5), shown(2, 3)
    stored = [
        video(number, np.concatenate([intro, shown(FIRST_UNIQUE_SEED + number, 60), outro]))
        for number in range(1, 13)
    ]
    query = np.concatenate([intro, shown(99, 30), outro])
    assert not own_numbers_of(find(noisy(sampled(query), 4), *stored))
    own = np.concatenate([intro, shown(FIRST_UNIQUE_SEED + 3, 60), outro])
    assert own_numbers_of(find(sampled(own), *stored)) == [3]


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
        assert own_numbers_of(find(sampled(clip), *stored, options=ALL)) == [*own, 100]
