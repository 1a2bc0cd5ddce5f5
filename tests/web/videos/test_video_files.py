"""In a browser, files that are no videos, too large, damaged or costly end in an answer."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from benchmarks.harness.video_device import Device
from benchmarks.harness.videos import Codec, Frame, encode
from tests.hashing.test_video_files import long, playlist, sound
from tests.web.engines import needs
from tests.web.videos.files import FRAGMENTED, muxed, with_alpha
from tests.web.videos.test_videos import registered

pytestmark = needs("chromium")


def oversized(frames: list[Frame]) -> bytes:
    """Encode an MP4 file that states frames of 64 megapixels."""
    data = encode(frames)
    at = data.rindex(b"avc1") + 28
    return data[:at] + struct.pack(">HH", 8000, 8000) + data[at + 4 :]


REFUSED: dict[str, tuple[Callable[[list[Frame]], bytes], str]] = {
    "nothing": (lambda _: b"", "NOT_MEDIA"),
    "text": (lambda _: b"not a video" * 50, "NOT_MEDIA"),
    "a playlist, which names other files": (lambda _: playlist(), "NOT_MEDIA"),
    "only sound": (lambda _: sound(), "NOT_MEDIA"),
    "a container that browsers lack": (
        lambda frames: encode(frames[:3], codec=Codec("avi", "mpeg4", {})),
        "UNSUPPORTED",
    ),
    "a codec that browsers lack": (
        lambda frames: encode(frames[:3], codec=Codec("mov", "mpeg4", {})),
        "UNSUPPORTED",
    ),
    "frames of 64 megapixels": (lambda frames: oversized(frames[:3]), "TOO_LARGE"),
    "ten hours": (lambda _: long(), "TOO_LARGE"),
    "only a header": (lambda frames: encode(frames[:3])[:48], "UNREADABLE"),
    "an MP4 file without its end": (lambda frames: encode(frames)[:9000], "UNREADABLE"),
    "plain frames": (lambda frames: encode([0 * frame for frame in frames]), "FEATURELESS"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_video_is_refused_with_the_cause(
    kind: str, frames: list[Frame], phone: Device
) -> None:
    make, cause = REFUSED[kind]
    assert phone.hash(make(frames)).refused["cause"] == cause


@pytest.mark.parametrize("options", [{"movflags": "faststart"}, FRAGMENTED])
def test_of_a_file_that_ends_early_the_beginning_is_hashed(
    options: dict[str, str], frames: list[Frame], phone: Device, tmp_path: Path
) -> None:
    data = muxed(frames, tmp_path / "video.mp4", options)
    whole, part = registered(data).fingerprints, phone.hash(data[: len(data) // 2])
    assert part.incomplete
    assert 0 < len(part.fingerprints) < len(whole)
    hashes = part.fingerprints["hash"][:-1]
    assert hashes.tolist() == whole["hash"][: len(hashes)].tolist()


def test_after_a_broken_part_the_rest_is_hashed(
    frames: list[Frame], phone: Device, tmp_path: Path
) -> None:
    data = muxed(frames * 2, tmp_path / "video.mp4", {"movflags": "faststart"})
    whole = registered(data).fingerprints
    middle = (data.index(b"mdat") + len(data)) // 2
    outcome = phone.hash(data[:middle] + bytes(4000) + data[middle + 4000 :])
    assert outcome.incomplete
    assert outcome.fingerprints["hash"][[0, -1]].tolist() == whole["hash"][[0, -1]].tolist()


def test_a_file_with_several_videos_is_called_incomplete(
    frames: list[Frame], phone: Device
) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        streams = [output.add_stream("libx264", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for stream in streams:
            for pixels in frames[:10]:
                output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            output.mux(stream.encode())
    assert phone.hash(file.getvalue()).incomplete


def test_progress_rises_to_the_end(frames: list[Frame], phone: Device) -> None:
    progress = phone.hash(encode(frames, fps=25)).progress
    assert progress == sorted(progress)
    assert 0 <= progress[0] <= progress[-1] <= 1


def test_hashing_ends_when_it_is_cancelled(frames: list[Frame], phone: Device) -> None:
    outcome = phone.hash(encode(frames * 20, fps=25, codec=Codec("mpegts")), cancel_after=0.01)
    assert outcome.refused["cause"] == "CANCELLED"
    assert outcome.progress[-1] < 0.9


def test_a_file_of_4_gigabytes_is_read_in_slices(
    frames: list[Frame], phone: Device, tmp_path: Path
) -> None:
    data = muxed(frames, tmp_path / "video.mp4", FRAGMENTED)
    middle = data.index(b"moof") - 4
    free = struct.pack(">I4sQ", 1, b"free", 16 + 4096 * 2**20)
    outcome = phone.hash(data[:middle] + free, 4096, data[middle:])
    assert outcome.fingerprints.tobytes() == registered(data).fingerprints.tobytes()


def test_tables_of_gigabytes_are_not_read(frames: list[Frame], phone: Device) -> None:
    head = encode(frames[:1])[:32]
    tables = struct.pack(">I4sQ", 1, b"moov", 16 + 3072 * 2**20)
    assert phone.hash(head + tables, 3072).refused["cause"] == "TOO_LARGE"


def test_what_only_the_video_element_shows_comes_from_there(
    frames: list[Frame], phone: Device
) -> None:
    alpha = [255 - np.asarray(Image.fromarray(pixels).convert("L")) for pixels in frames[:30]]
    black = np.zeros_like(frames[0])
    data = with_alpha([np.dstack([black, each]) for each in alpha], period_ms=40)
    assert phone.hash(data).refused["cause"] == "UNSUPPORTED"
    outcome = phone.hash(data, serves_frames=True)
    assert outcome.frames_asked > 0
    expected = registered(data).fingerprints
    distances = np.bitwise_count(outcome.fingerprints["hash"][:, None] ^ expected["hash"])
    assert distances.sum(axis=2).min(axis=1).max() <= 12
