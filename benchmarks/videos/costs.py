"""Measure hashing of a video beside decoding it, and a lookup among a million stored frames."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.hash_sets import cache_dir, flipped, stored
from benchmarks.videos.trials import look_up
from disrupt.core.changes import Cursor
from disrupt.core.media import NOT_NARROWED, Assurance, MediaKind
from disrupt.core.policy import ADULTS
from disrupt.core.transforms import Dihedral
from disrupt.core.videos import FRAME, Versions
from disrupt.hashing.decoding.videos import Video
from disrupt.hashing.videos.frames import LOOKUP_INTERVAL_MS, REGISTRATION_INTERVAL_MS, VideoHashing
from disrupt.index.columns import ENTRY, ITEM, Columns
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from rig.media.videos import Codec, encode, footage

_SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
_CODECS = {
    "h264": Codec(options={"preset": "veryfast", "crf": "23"}),
    "hevc": Codec("mp4", "libx265", {"preset": "superfast", "x265-params": "log-level=none"}),
}
_FPS = 24
_VERSIONS = (2, 4, 8)
_LOOKUPS = 3
_ITEM_FRAMES = 2000
_FRAME_MS = 1800
_PEERS = Path(__file__).parents[2] / ".cache/videos"

_PEER = """
import json, sys, time, vpdq
before = time.process_time()
found = vpdq.computeHash(sys.argv[1], seconds_per_hash=1, thread_count=1)
print(json.dumps([time.process_time() - before, len(found)]))
"""


def hashing_cost(seconds: float, sizes: tuple[str, ...]) -> Iterator[dict[str, object]]:
    """Yield processor times for each size and codec, the least of three runs on one thread.

    ``decode_s``: decoding every frame, and nothing else; ``sampled_decode_s``: decoding the
    frames that Disrupt decodes, and nothing else. ``vpdq_s``: facebook/ThreatExchange's vpdq
    at one frame a second, null where it is not installed.
    """
    for size in sizes:
        for codec in _CODECS:
            path = _video(size, codec, seconds)
            yield {"size": size, "codec": codec, "seconds": seconds, **_costs(path)}


def _costs(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    decode_s = _least_s(lambda: _decode(data))
    lookup_s = _least_s(lambda: _hash(data, LOOKUP_INTERVAL_MS, versions=Versions.SEARCHED))
    vpdq_s = _vpdq_s(path)
    sampled_s = _least_s(lambda: _sample(data, LOOKUP_INTERVAL_MS))
    return {
        "decode_s": decode_s,
        "sampled_decode_s": sampled_s,
        "lookup_s": lookup_s,
        "registration_s": _least_s(
            lambda: _hash(data, REGISTRATION_INTERVAL_MS, versions=Versions.STORED)
        ),
        "vpdq_s": vpdq_s,
        "lookup_to_sampled_decode": lookup_s / sampled_s,
        "lookup_to_vpdq": vpdq_s and lookup_s / vpdq_s,
    }


def lookup_cost(frames_stored: int) -> Iterator[dict[str, object]]:
    """Yield processor times of lookups of 1 and 60 minutes on one thread, without hashing.

    Frames are a second apart, each in ``versions``; ``found``: a tenth of them is from stored
    videos. Each time is the median over different videos: a repeated lookup is quicker.
    """
    with tempfile.TemporaryDirectory(prefix="disrupt-video-index-") as folder:
        codes = np.load(stored("real", frames_stored), mmap_mode="r")
        live = LiveIndex(publish(Path(folder), _columns(codes), Cursor(bytes(16), 0)))
        fresh = np.load(stored("real", min(3600 * 8, frames_stored), seed=5))
        for minutes in (1, 60):
            for versions in _VERSIONS:
                for is_known in (False, True):
                    took_s = []
                    for turn in range(_LOOKUPS):
                        rolled = np.roll(fresh, turn * len(fresh) // _LOOKUPS, axis=0)
                        known = codes if is_known else None
                        frames = _frames(rolled, known, 60 * minutes, versions, seed=turn)
                        before_s = time.process_time()
                        matches = len(look_up(live, frames))
                        took_s.append(time.process_time() - before_s)
                    yield {
                        "minutes": minutes,
                        "versions": versions,
                        "found": is_known,
                        "matches": matches,
                        "stored_frames": frames_stored,
                        "ms": 1000 * float(np.median(took_s)),
                    }


def _video(size: str, codec: str, seconds: float) -> Path:
    path = cache_dir() / f"video-cost-{size}-{codec}-{seconds:g}.mp4"
    if not path.exists():
        frames = footage(1, seconds=seconds, size=_SIZES[size], fps=_FPS)
        path.write_bytes(encode(frames, fps=_FPS, codec=_CODECS[codec]))
    return path


def _decode(data: bytes) -> None:
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for _ in container.decode(stream):
            pass


def _sample(data: bytes, interval_ms: int) -> None:
    for _ in Video(io.BytesIO(data)).samples(interval_ms):
        pass


def _hash(data: bytes, interval_ms: int, *, versions: Versions) -> None:
    for _ in VideoHashing(io.BytesIO(data), interval_ms=interval_ms, versions=versions):
        pass


def _vpdq_s(path: Path) -> float | None:
    took_s = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", _PEER, str(path)],
            env={**os.environ, "PYTHONPATH": str(_PEERS)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return None
        took_s.append(float(json.loads(done.stdout.splitlines()[-1])[0]))
    return min(took_s)


def _least_s(work: Callable[[], object], times: int = 3) -> float:
    """Return the least processor time, which other work on the machine lengthens least."""
    took_s = []
    for _ in range(times):
        before_s = time.process_time()
        work()
        took_s.append(time.process_time() - before_s)
    return min(took_s)


def _columns(codes: NDArray[np.uint8]) -> Iterator[Columns]:
    """Yield videos of 2000 frames each, an hour long."""
    for number, first in enumerate(range(0, len(codes), _ITEM_FRAMES), 1):
        block = np.array(codes[first : first + _ITEM_FRAMES])
        entries = np.zeros(len(block), ENTRY)
        entries["below_bits"] = NOT_NARROWED
        entries["start_ms"] = np.arange(len(block)) * _FRAME_MS
        entries["end_ms"] = entries["start_ms"] + _FRAME_MS
        items = np.zeros(1, ITEM)
        items["number"], items["bank"] = number, ADULTS.number
        items["item_id"][0] = np.frombuffer(number.to_bytes(16), np.uint8)
        items["kind"], items["assurance"] = MediaKind.VIDEO, Assurance.SELF_REPORTED
        yield Columns(block, entries, items)


def _frames(
    fresh: NDArray[np.uint8],
    codes: NDArray[np.uint8] | None,
    count: int,
    versions: int,
    *,
    seed: int,
) -> list[NDArray[np.void]]:
    """Return frames a second apart; with ``codes``, 6 of each 60 are near consecutive ones."""
    rng = np.random.default_rng(seed)
    frames = []
    first = 0
    for second in range(count):
        rows = np.zeros(versions, FRAME)
        rows["hash"] = fresh[(versions * second + np.arange(versions)) % len(fresh)]
        rows["usable"], rows["quality"] = 1, 100
        rows["start_ms"], rows["end_ms"] = 1000 * second, 1000 * (second + 1)
        rows["dihedral"][1::2] = Dihedral.MIRROR
        if codes is not None and second // 6 % 10 == 3:
            if second % 6 == 0:
                items = len(codes) // _ITEM_FRAMES or 1
                at = rng.integers(items) * _ITEM_FRAMES
                first = int(at + rng.integers(max(min(_ITEM_FRAMES, len(codes)) - 6, 1)))
            place = first + second % 6 * 1000 // _FRAME_MS
            rows["hash"][0] = flipped(np.array(codes[place]), 12, rng)
        frames.append(rows)
    return frames
