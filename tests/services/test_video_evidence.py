"""The evidence for an item is what comparing every pair of hashes yields."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from disrupt.core.media import FINGERPRINT, NOT_NARROWED, MediaKind
from disrupt.core.videos import FRAME, frames_of
from disrupt.index.columns import columns_of
from disrupt.services import video_evidence
from disrupt.services.alignment import Timeline, align
from disrupt.services.matching import UNBOUNDED
from disrupt.services.video_evidence import Query, Work, weigh
from tests.services.videos import frames, indexed, item, looking, noisy, only, sampled, shown, video


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
    below_bits = chance.integers(0, 40, len(fingerprints), np.uint8)
    below_bits[chance.random(len(below_bits)) < 0.7] = NOT_NARROWED
    stored = columns_of([replace(item(1, fingerprints, kind), below_bits=below_bits)])
    monkeypatch.setattr(video_evidence, "_PAIRS_AT_ONCE", pairs_at_once)
    query = Query.of(rows, np.array([len(versions) for versions in frames_of(rows)]))
    every = np.ones(len(query.firsts), np.bool_)
    evidence = weigh(query, kind, stored, every, ~every, 31, Work(UNBOUNDED))

    times = np.zeros((len(fingerprints), 2), int)
    if kind == MediaKind.VIDEO:
        times = np.stack([fingerprints["start_ms"], fingerprints["end_ms"]], axis=1).astype(int)
    moments = sorted(set(map(tuple, times.tolist())))
    near, best = [], []
    for frame, versions in enumerate(frames_of(rows)):
        bits_of: dict[int, int] = {}
        hashes = zip(fingerprints["hash"], below_bits.tolist(), times.tolist(), strict=True)
        for code, below, time_ms in hashes:
            moment = moments.index(tuple(time_ms))
            bits = int(np.bitwise_count(versions["hash"] ^ code).sum(axis=1).min())
            if bits >= below != NOT_NARROWED:
                bits = 257
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
