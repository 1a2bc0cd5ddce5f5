"""A browser registers of a video what Python registers of it."""

from __future__ import annotations

import io
import os
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from disrupt.core.videos import VideoFingerprints
from disrupt.hashing.videos.frames import fingerprint_video
from tests.web.hashing.engines import EACH_ENGINE, hashed
from tests.web.hashing.videos import files, refused

NEAR_BITS = 16
"""Farthest hash of a moment whose frames one side samples, decodes or merges in another way."""


PLAYED = {
    "chromium": {"played_alpha.webm"},
    "firefox": {"played_alpha.webm", "exact_h264_444.mp4", "near_10_bits.mp4"},
}
"""Files that only the video element of an engine shows."""


@pytest.mark.parametrize("engine", EACH_ENGINE)
def test_a_browser_registers_of_videos_what_python_registers(engine: str, tmp_path: Path) -> None:
    if engine == "firefox" and not find_library("avcodec") and "CI" not in os.environ:
        pytest.skip("Firefox decodes H.264 with libavcodec: scripts/system-packages installs it")
    videos = list(files())  # once: libvpx encodes otherwise each time
    outcomes = hashed(engine, [*videos, *((name, data) for name, data, _ in refused())], tmp_path)
    differing = {}
    for name, data in videos:
        expected = fingerprint_video(io.BytesIO(data))
        assert isinstance(expected, VideoFingerprints)
        # Firefox gives colours, not the planes of the codec.
        is_exact = not name.startswith(("near", "played")) and engine == "chromium"
        difference = compared(outcomes[name], expected, is_exact=is_exact)
        if difference:
            differing[name] = difference
        assert bool(outcomes[name].get("framesAsked")) == (name in PLAYED[engine]), name
    assert differing == {}
    reasons = {name: outcomes[name].get("reason") for name, _, _ in refused()}
    assert reasons == {name: reason for name, _, reason in refused()}


def compared(outcome: dict[str, Any], expected: VideoFingerprints, *, is_exact: bool) -> object:
    """Return how an outcome differs; nothing if it does not."""
    if outcome.get("kind") != "video":
        return outcome
    theirs = expected.fingerprints
    names = ("profile", "plan", "ordinal", "quality", "hash", "start_ms", "end_ms")
    rows = [
        " ".join(row[name].tobytes().hex() if name == "hash" else str(row[name]) for name in names)
        for row in theirs
    ]
    if bool(outcome.get("incomplete")) != expected.incomplete:
        return "incomplete"
    if is_exact:
        return sorted(set(rows) ^ set(outcome["rows"]))
    codes = np.array([list(bytes.fromhex(row.split()[4])) for row in outcome["rows"]], np.uint8)
    bits = np.bitwise_count(codes[:, None] ^ theirs["hash"]).sum(axis=2)
    farthest = max(bits.min(axis=0).max(), bits.min(axis=1).max())
    return farthest if farthest > NEAR_BITS else None
