"""What is registered has the shape of a picture or video; counted in pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.media import FINGERPRINT, LowQuality, MediaKind, columns, folded
from disrupt.core.plausibility import (
    PICTURE_HASHES,
    is_unlike_a_picture,
    misfit,
    pictures,
)
from disrupt.core.transforms import PLANS, REGISTERED_MOST, crops_of
from disrupt.core.videos import FRAME, fingerprints_of
from disrupt.hashing import fingerprint_image
from disrupt.hashing.registration import fingerprint_frames
from disrupt.hashing.videos.frames import REGISTRATION_INTERVAL_MS
from rig.media.pictures import PHOTOS, encode
from tests.hashing.test_animations import animation

IMAGE, VIDEO = MediaKind.IMAGE, MediaKind.VIDEO
Row = tuple[int, int, int, int, int]
"""Plan, ordinal, profile, start and end in ms."""


def prints(*rows: Row) -> NDArray[np.void]:
    array = np.zeros(len(rows), FINGERPRINT)
    array["hash"] = np.random.default_rng(1).integers(0, 256, (len(rows), 32), np.uint8)
    array["quality"] = 90
    for name, values in zip(
        ("plan", "ordinal", "profile", "start_ms", "end_ms"), zip(*rows, strict=True), strict=True
    ):
        array[name] = values
    return array


def whole(tall: bool) -> list[Row]:
    """Return all that a picture has."""
    own = [(0, 0, 1, 0, 0), (0, 0, 2, 0, 0), (0, 1, 1, 0, 0)]
    crops = [ordinal for ordinal, _ in crops_of(0.5 if tall else 2)]
    parts = [*range(48), *crops][: REGISTERED_MOST - len(own)]
    return own + [(1, ordinal, 1, 0, 0) for ordinal in parts]


@pytest.mark.parametrize("tall", [False, True])
def test_a_picture_has_what_the_plans_have_of_it_and_is_worth_one(tall: bool) -> None:
    rows = whole(tall)
    assert not misfit(IMAGE, prints(*rows))
    assert len(rows) == REGISTERED_MOST
    assert pictures(len(rows)) == pictures(1) == 1
    assert pictures(5 * PICTURE_HASHES) == 5


@pytest.mark.parametrize(
    "more",
    [
        (0, 0, 1, 0, 0),  # twice
        (0, 1, 2, 0, 0),  # an enlarged picture is as the canonical one by definition
        (0, 2, 1, 0, 0),  # of videos
        (0, 4, 1, 0, 0),  # in no plan
        (1, 7, 1, 0, 0),  # twice
        (1, 8, 2, 0, 0),  # in a profile that no crop has
        (1, 306, 1, 0, 0),
        (1, 177, 1, 0, 0),  # of tall pictures
    ],
)
def test_what_no_picture_has_is_a_misfit(more: Row) -> None:
    assert misfit(IMAGE, prints(*whole(tall=False)[:-1], more))


def test_more_than_a_picture_has_are_a_misfit() -> None:
    rows = whole(tall=False)
    further = (1, rows[-1][1] + 1, 1, 0, 0)
    assert not misfit(IMAGE, prints(*rows[:-1], further))
    assert misfit(IMAGE, prints(*rows, further))


@given(st.permutations(whole(tall=True)), st.integers(1, REGISTERED_MOST))
def test_any_part_of_a_picture_fits_in_any_order(rows: list[Row], kept: int) -> None:
    assert not misfit(IMAGE, prints(*rows[:kept]))


@given(st.data())
def test_no_picture_has_more_hashes_than_the_plans(data: st.DataObject) -> None:
    row = st.tuples(
        st.integers(0, 1), st.integers(0, 310), st.integers(0, 2), st.just(0), st.just(0)
    )
    rows = data.draw(st.lists(row, min_size=1, max_size=40))
    if not misfit(IMAGE, prints(*rows)):
        assert len(set(rows)) == len(rows)
        assert all(ordinal < len(PLANS[plan]) for plan, ordinal, *_ in rows)
        halves = {row[1] >= crops_of(0.5)[0][0] for row in rows if row[0] == 1 and row[1] >= 48}
        assert len(halves) <= 1


def frames(count: int, each_ms: int, *versions: tuple[int, int]) -> list[Row]:
    return [
        (0, ordinal, profile, at * each_ms, (at + 1) * each_ms)
        for at in range(count)
        for ordinal, profile in versions or [(0, 1)]
    ]


FITTING = {
    "a frame without a time": frames(1, 0),
    "an hour at four frames a second": frames(14_400, 250),
    "plain edges, and players that differ in how they turn it": frames(
        9, 250, (1, 1), (1, 1), (3, 1), (3, 1)
    ),
    "a quick animation": frames(256, 11, (0, 1), (0, 2), (1, 1)),
    "a slow one": frames(3, 60_000),
    "late frames alone": [(0, 0, 1, 90_000, 90_250), (0, 0, 1, 90_250, 90_250)],
}
MISFITS = {
    "more frames than time": frames(300, 11),
    "without any time": frames(3, 0),
    "many at one moment": frames(4, 250, (0, 1), (1, 1), (2, 1), (3, 1), (0, 2)),
    "three alike at one moment": frames(4, 250, (0, 1), (0, 1), (0, 1)),
    "of another plan": [(1, 0, 1, 0, 250)],
    "in no plan": [(0, 4, 1, 0, 250)],
    "frames that overlap": [(0, 0, 1, at, 60_000) for at in (0, 250, 500)],
}


@pytest.mark.parametrize("rows", FITTING.values(), ids=FITTING)
def test_what_hashing_makes_of_videos_and_animations_fits(rows: list[Row]) -> None:
    assert not misfit(VIDEO, prints(*rows))


@pytest.mark.parametrize("rows", MISFITS.values(), ids=MISFITS)
def test_what_no_video_has_is_a_misfit(rows: list[Row]) -> None:
    assert misfit(VIDEO, prints(*rows))


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8))
def test_a_moment_has_as_many_hashes_as_a_naive_count_has(times: list[tuple[int, int]]) -> None:
    """An interval ends before the next one begins, and has a moment even if it is empty."""
    spans = [(250 * min(pair), 250 * max(pair)) for pair in times]
    most = max(
        sum(start_ms <= at_ms < max(end_ms, start_ms + 1) for start_ms, end_ms in spans)
        for at_ms, _ in spans
    )
    assert bool(misfit(VIDEO, prints(*((0, 0, 1, *span) for span in spans)))) == (most > 2)


@given(st.integers(0, 2**32), st.integers(1, 60), st.booleans(), st.booleans())
def test_whatever_is_stored_of_sampled_frames_fits(
    seed: int, count: int, is_disputed: bool, is_small: bool
) -> None:
    chance = np.random.default_rng(seed)
    intervals = np.cumsum(chance.integers(1, 4, count))
    starts_ms = REGISTRATION_INTERVAL_MS * intervals + chance.integers(
        0, REGISTRATION_INTERVAL_MS, count
    )
    ends_ms = np.append(starts_ms[1:], starts_ms[-1] + chance.integers(0, 300))
    rows = list[NDArray[np.void]]()
    for start_ms, end_ms in zip(starts_ms, ends_ms, strict=True):
        turns = [0, 3] if is_disputed else [0]
        crops = [(0, 0, 0, 0), (0, 100, 0, 100)][: chance.integers(1, 3)]
        near = chance.random() < 0.5 and bool(rows)
        for crop in crops:
            for turn in turns:
                row = np.zeros((), FRAME)
                row["start_ms"], row["end_ms"] = start_ms, end_ms
                drawn = chance.integers(0, 256, 32, np.uint8)
                row["hash"] = rows[-1]["hash"] if near else drawn
                row["quality"], row["usable"] = 90, chance.random() < 0.9
                row["dihedral"], row["crop_permille"] = turn, crop
                rows.append(row)
    stored = fingerprints_of(np.array(rows), small=is_small)
    if len(stored):
        assert not misfit(VIDEO, folded(stored))


@pytest.mark.parametrize("said_ms", [0, 11, 40, 5000])
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_animations_and_pictures_of_any_size_fit(kind: str, said_ms: int) -> None:
    frames = [Image.fromarray(PHOTOS[name]).resize((300, 200)) for name in ("coffee", "cat")]
    data = animation([*frames, *frames[::-1], frames[1]], kind, duration=said_ms)
    hashed = fingerprint_frames(data)
    assert not isinstance(hashed, LowQuality)
    assert hashed.kind == VIDEO
    assert not misfit(VIDEO, columns(hashed.fingerprints))
    first = fingerprint_image(data)
    assert not isinstance(first, LowQuality)
    assert not misfit(IMAGE, columns(first.fingerprints))


def test_hashes_of_unrelated_pictures_are_unlike_one_and_those_of_a_photograph_are_not() -> None:
    hashed = fingerprint_image(encode(PHOTOS["cat"], "JPEG"))
    assert not isinstance(hashed, LowQuality)
    real = columns(hashed.fingerprints)
    assert not misfit(IMAGE, real)
    assert not is_unlike_a_picture(IMAGE, real)
    unrelated = prints(*whole(tall=False))
    assert is_unlike_a_picture(IMAGE, unrelated)
    crops = unrelated[unrelated["plan"] == 1]
    assert is_unlike_a_picture(IMAGE, np.concatenate([unrelated[:1], crops]))
    assert is_unlike_a_picture(IMAGE, crops), "nothing of the whole"
    assert not is_unlike_a_picture(IMAGE, unrelated[:1])
    assert not is_unlike_a_picture(VIDEO, unrelated[:2])
