"""Videos, registered and looked up."""

from __future__ import annotations

import io
from pathlib import Path

from disrupt.client import MatchClient
from disrupt.core.videos import VideoFingerprints
from disrupt.hashing.videos.frames import fingerprint_video, hash_video
from rig.callers.shell import Shell
from rig.media.videos import Codec, encode, footage
from rig.waiting import eventually


def test_videos_are_registered_and_found_with_the_time(disrupt: Shell, tmp_path: Path) -> None:
    frames, surroundings = (
        list(footage(seed, seconds=seconds)) for seed, seconds in ((33, 4), (32, 8))
    )
    clip, whole = tmp_path / "clip.mp4", tmp_path / "whole.webm"
    broken, frames_file = tmp_path / "broken.mkv", tmp_path / "frames.vpdq"
    clip.write_bytes(encode(frames))
    whole.write_bytes(encode([*surroundings, *frames], codec=Codec("webm", "libvpx")))
    twice = encode([*surroundings, *surroundings], codec=Codec("matroska"))
    broken.write_bytes(twice[: len(twice) * 3 // 4])
    no_video = tmp_path / "no.mp4"
    no_video.write_bytes(clip.read_bytes()[:500])

    done = disrupt("submit", "--age", "adult", "--json", clip, broken, no_video)
    assert done.code == 3
    first, second = done.json["items"]
    assert (first["input"], "incomplete" in first) == (str(clip), False)
    assert (second["input"], second["incomplete"]) == (str(broken), True)
    assert [rejection["reason"] for rejection in done.json["rejected"]] == ["INVALID_VIDEO"]
    shown = disrupt("submit", "--age", "adult", broken, no_video)
    assert shown.said >= {"only_part", "refused.VIDEO_DAMAGED"}

    rows, _ = hash_video(io.BytesIO(whole.read_bytes()))
    lines = {
        row["start_ms"]: f"0,{row['quality']},{bytes(row['hash']).hex()},{row['start_ms'] / 1000}\n"
        for row in rows[::-1]  # of each frame the first version
    }
    frames_file.write_text("".join(lines.values()))
    outcome = fingerprint_video(io.BytesIO(clip.read_bytes()))
    assert isinstance(outcome, VideoFingerprints)
    # Frames with too little detail, as at some edges, belong to no segment.
    begins_ms = 8000 + int(outcome.fingerprints["start_ms"][0])
    ends_ms = 8000 + int(outcome.fingerprints["end_ms"][-1])
    with MatchClient(disrupt.address, key=disrupt.match_key) as client:
        eventually(lambda: all(client.match_video(rows).matches for _ in range(8)))
    for words in ((whole,), ("--send-pictures", whole), ("--vpdq", frames_file)):
        (line,) = disrupt("match", "--json", *words).lines
        (match,) = (listed for listed in line["matches"] if listed["item"] == first["item"])
        ((start_ms, end_ms, *_),) = match["segments"]
        assert abs(start_ms - begins_ms) <= 1000
        assert abs(end_ms - ends_ms) <= 1000
        assert match["stored_share"] >= 900
    assert "at 0:0" in disrupt("match", whole).out
