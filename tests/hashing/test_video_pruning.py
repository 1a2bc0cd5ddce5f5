"""Of the frames of a video those are registered that differ, within a bound for each hour."""

import numpy as np
import pytest

from disrupt.core.videos import FRAME, fingerprints_of

QUARTERS = 4 * 3600
"""Frames of an hour, as registrations sample them."""


def sampled(count: int, every_ms: float = 250, versions: int = 1) -> np.ndarray:
    """Return usable frames at even times; of two versions the second is cut at its sides."""
    frames = np.zeros(count, FRAME)
    frames["start_ms"] = np.arange(count) * every_ms
    frames["end_ms"] = np.arange(1, count + 1) * every_ms
    frames["usable"], frames["quality"] = 1, 100
    frames = np.repeat(frames, versions)
    if versions > 1:
        frames["crop_permille"][1::2] = 100, 0, 100, 0
    return frames


def test_moments_are_told_apart_by_each_of_their_versions() -> None:
    frames = sampled(8, versions=2)
    frames["hash"][5] = 255  # the third moment differs only in its cut version
    frames["usable"][6] = 0  # the fourth moment's whole version is unusable
    frames["usable"][11] = 0  # the sixth moment's cut version is unusable
    frames["usable"][12:14] = 0  # the seventh moment has no usable version
    frames["usable"][15] = 0
    stored = fingerprints_of(frames, small=False)
    assert stored["start_ms"].tolist() == [0, 0, 500, 500, 750, 1000, 1000, 1250, 1750]
    assert stored["end_ms"].tolist() == [500, 500, 750, 750, 1000, 1250, 1250, 1500, 2000]
    assert stored["ordinal"].tolist() == [0, 2, 0, 2, 2, 0, 2, 0, 0]


@pytest.mark.parametrize("distinct", [2000, 2001, 2200, 3000, 14_000])
@pytest.mark.parametrize("versions", [1, 2])
def test_no_more_is_left_out_of_an_hour_than_has_to_be(distinct: int, versions: int) -> None:
    frames = sampled(distinct, 3_600_000 / distinct, versions)
    frames["hash"] = np.random.default_rng(1).integers(0, 256, (len(frames), 32), np.uint8)
    stored = fingerprints_of(frames, small=False)
    assert len(stored) == 2000
    assert stored["start_ms"][0] == 0
    assert np.diff(stored["start_ms"]).max() <= 6000 * versions
    assert (np.unique(stored["start_ms"], return_counts=True)[1] == versions).all()


def test_versions_of_too_many_frames_are_told_apart_less_before_frames_are_left_out() -> None:
    frames = sampled(1500, 2400, versions=2)
    frames["hash"] = (
        np.random.default_rng(1).integers(0, 256, (750, 32), np.uint8).repeat(4, axis=0)
    )
    frames["hash"][2::4, 0] ^= 255
    frames["hash"][2::4, 1] ^= 15  # every second frame is 12 bits from the one before
    stored = fingerprints_of(frames, small=False)
    assert (stored["start_ms"][::2] == np.arange(750) * 4800).all()
    assert (stored["end_ms"] - stored["start_ms"] == 4800).all()
    assert len(stored) == 1500


@pytest.mark.parametrize("alike", [0, 12, 256])
def test_an_hour_has_at_most_2000_fingerprints(alike: int) -> None:
    """Hash frames that are all, half or not at all like the frame before."""
    chance = np.random.default_rng(alike)
    frames = sampled(QUARTERS)
    bits = np.zeros((len(frames), 256), np.uint8)
    for row in bits:
        row[chance.permutation(256)[:alike]] = 1
    frames["hash"] = np.packbits(np.bitwise_xor.accumulate(bits), axis=1)
    stored = fingerprints_of(frames, small=False)
    assert 1 <= len(stored) <= 2000
    assert stored["start_ms"][0] == 0
    assert (np.diff(stored["start_ms"]) > 0).all()
    assert (stored["end_ms"][:-1] <= stored["start_ms"][1:]).all()
    assert stored["end_ms"][-1] > 3_590_000


@pytest.mark.parametrize("pictures", [2, 3, 4, 7, 8])
def test_of_pictures_in_turn_each_is_kept_about_as_often(pictures: int) -> None:
    frames = sampled(QUARTERS)
    codes = np.random.default_rng(1).integers(0, 256, (pictures, 32), np.uint8)
    frames["hash"] = codes[np.arange(len(frames)) % pictures]
    stored = fingerprints_of(frames, small=False)
    kept = [int((stored["hash"] == code).all(axis=1).sum()) for code in codes]
    assert sum(kept) == len(stored) <= 2000
    assert min(kept) * pictures > 0.9 * sum(kept)
