"""A lookup of a video keeps to its memory, its work and the time of its call."""

from __future__ import annotations

import math
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disrupt.core.lookups import LookupOptions, VideoOptions
from disrupt.core.media import MediaKind
from disrupt.core.videos import HELD_BYTES_MAX, fingerprints_of
from disrupt.errors import DeadlineExceededError, LimitExceededError
from disrupt.index.flat import FlatIndex
from disrupt.index.nearest import Neighbours
from disrupt.services import video_evidence, video_matching
from disrupt.services.common_moments import COMMON_VIDEOS
from disrupt.services.matching import Allowance
from disrupt.services.video_evidence import Query, Work, weigh
from disrupt.services.video_matching import (
    VideoLookup,
)
from tests.services.videos import (
    SCOPE,
    Codes,
    crowded,
    frames,
    indexed,
    item,
    looking,
    noisy,
    only,
    peak_bytes,
    picture,
    sampled,
    shown,
    video,
)


def flicker(seconds: int, step_ms: int) -> np.ndarray:
    """Return two pictures in turn, of which no frame is quite like another."""
    pictures = np.stack([shown(1, 1)[0], shown(2, 1)[0]])
    count = 1000 * seconds // step_ms
    rows = frames(noisy(pictures[np.arange(count) % 2], 7, step_ms), step_ms)
    rows["start_ms"] = np.arange(count) * step_ms
    rows["end_ms"] = rows["start_ms"] + step_ms
    return rows


def test_an_hour_of_flicker_takes_no_more_memory_than_other_videos(tmp_path: Path) -> None:
    stored = item(1, fingerprints_of(flicker(3600, 2000), small=False), MediaKind.VIDEO)
    live, rows = indexed(tmp_path, stored), flicker(3600, 1000)
    lookup = looking(live)
    lookup.add(rows[at : at + 1] for at in range(len(rows)))
    assert peak_bytes(lookup.matches) < 32 << 20
    match = only(lookup.matches())
    assert match.query_share_permille >= 990


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
    neighbours = FlatIndex.neighbours

    def counting(index: FlatIndex, queries: Codes, most_bits: int) -> Neighbours:
        pairs[looks[0]] = pairs.get(looks[0], 0) + len(queries) * len(index)
        return neighbours(index, queries, most_bits)

    class Looked(Allowance):
        def check(self) -> None:
            looks[0] += 1

    monkeypatch.setattr(FlatIndex, "neighbours", counting)
    assert weigh(query, kind, stored, every, ~every, 31, Work(Looked(math.inf))) is not None
    assert sum(pairs.values()) == 640 * 3000
    assert max(pairs.values()) <= 1 << 17


def test_what_a_lookup_holds_has_a_bound_and_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    most_bytes = HELD_BYTES_MAX // 8
    monkeypatch.setattr(video_matching, "HELD_BYTES_MAX", most_bytes)
    lookup = looking(indexed(tmp_path))
    rows = frames(np.random.default_rng(1).integers(0, 256, (8000, 32), np.uint8), 1000)
    rows = np.repeat(rows, 4)  # 1.6 MB, in 8000 frames 2.1 MB

    def add() -> None:
        for at in range(0, len(rows), 1024):
            lookup.add(np.split(rows[at : at + 1024], 256))
            assert lookup.held_bytes <= most_bytes

    tracemalloc.start()
    try:
        with pytest.raises(LimitExceededError, match="larger intervals") as refused:
            add()
        assert tracemalloc.get_traced_memory()[0] < most_bytes + (1 << 20)
    finally:
        tracemalloc.stop()
    assert refused.value.metadata["limit"] == str(most_bytes)


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
    answer = lookup.matches()
    assert answer.truncated
    assert len(answer.matches) == videos  # none takes what another needs
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
