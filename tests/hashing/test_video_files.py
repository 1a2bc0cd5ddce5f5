"""A file that is no video, too large or damaged is refused, or hashed as far as it goes."""

import io
import struct
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from PIL import Image

from disrupt.core.transforms import Dihedral
from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding.sniffing import SNIFFED_BYTES, is_video
from disrupt.hashing.decoding.videos import Video, VideoLimits
from disrupt.hashing.videos.frames import hash_video
from rig.media.videos import Codec, Frame, encode, footage
from tests.hashing.videos import FPS, SECONDS, fingerprints_of, upright, versions


def playlist() -> bytes:
    return b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n" * 8


def sound() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=48_000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), "fltp", "mono")
        silence.sample_rate = 48_000
        output.mux(stream.encode(silence))
        output.mux(stream.encode())
    return file.getvalue()


def uncommon() -> bytes:
    return encode(islice(footage(1, seconds=1), 3), codec=Codec("avi", "ffv1", {}))


def large() -> bytes:
    frame = np.zeros((4320, 7680, 3), np.uint8)
    return encode([frame], codec=Codec("avi", "mjpeg", {}, "yuvj420p"))


def long() -> bytes:
    frame = np.zeros((48, 64, 3), np.uint8)
    return encode([frame] * 2, times_ms=[0, 10 * 3600 * 1000], codec=Codec("matroska"))


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "empty"),
    "text": (lambda: b"not a video" * 50, "no video file"),
    "a playlist, which names other files": (playlist, "no video file"),
    "only sound": (sound, "no video in it"),
    "a codec of archives": (uncommon, "codec is not supported; send one of H.264, HEVC"),
    "8K": (large, "megapixels"),
    "ten hours": (long, "180 minutes"),
    "only a header": (lambda: encode(islice(footage(1, seconds=1), 3))[:48], "damaged"),
    "no frame that can be decoded": (
        lambda: encode(islice(footage(1, seconds=1), 3))[:700],
        "damaged",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_video_is_refused_with_the_reason(kind: str) -> None:
    make, reason = REFUSED[kind]
    with pytest.raises(InvalidMediaError, match=reason) as raised:
        hash_video(io.BytesIO(make()))
    assert [violation.field for violation in raised.value.violations] == ["video"]


def test_limits_hold_as_given(frames: list[Frame]) -> None:
    data = encode(frames, fps=FPS)
    for limits in (VideoLimits(max_pixels=320 * 240 - 1), VideoLimits(max_duration_s=2)):
        with pytest.raises(InvalidMediaError):
            list(Video(io.BytesIO(data), limits).samples(1000))
    assert list(Video(io.BytesIO(data), VideoLimits(320 * 240, 0, 3)).samples(1000))


@pytest.mark.parametrize("container", ["matroska", "avi", "mpegts"])
def test_of_a_file_that_ends_early_the_beginning_is_hashed(
    container: str, frames: list[Frame]
) -> None:
    data = encode(frames * 3, fps=FPS, codec=Codec(container))
    whole = upright(data)
    part, incomplete = hash_video(io.BytesIO(data[: len(data) // 2]))
    part = versions(part, Dihedral.IDENTITY)
    assert incomplete
    assert 0 < len(part) < len(whole)
    assert (part["hash"][:-1] == whole["hash"][: len(part) - 1]).all()


def test_a_video_named_as_thumbnails_of_another_is_no_cover(frames: list[Frame]) -> None:
    """QuickTime names chapters, and pictures of them, by a track of their own."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        streams = [output.add_stream("mpeg4", rate=FPS) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for stream, shown in zip(streams, (frames, frames[::-1]), strict=True):
            for pixels in shown:
                output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            output.mux(stream.encode())
    named = _with_chapters(file.getvalue())
    with av.open(io.BytesIO(named)) as container:
        kinds = av.stream.Disposition
        assert container.streams.video[0].disposition & kinds.timed_thumbnails
    rows, incomplete = hash_video(io.BytesIO(named))
    assert incomplete
    assert len(rows)


def _with_chapters(data: bytes) -> bytes:
    """Let the second track of an MP4 file whose last box is "moov" name the first its chapters."""
    reference = struct.pack(">I4sI4sI", 20, b"tref", 12, b"chap", 1)
    movie, track = data.rindex(b"moov") - 4, data.rindex(b"trak") - 4
    changed = bytearray(data)
    for at in (movie, track):
        changed[at : at + 4] = struct.pack(">I", int.from_bytes(data[at : at + 4]) + len(reference))
    end = track + int.from_bytes(data[track : track + 4])
    return bytes(changed[:end]) + reference + bytes(changed[end:])


@pytest.mark.parametrize("encoder", ["libvpx", "libvpx-vp9"])
def test_a_video_with_alpha_is_hashed_as_on_a_white_page(encoder: str, frames: list[Frame]) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as output:
        options = {"auto-alt-ref": "0", "b": "2M", "cpu-used": "8", "deadline": "realtime"}
        stream = cast("av.VideoStream", output.add_stream(encoder, rate=FPS, options=options))
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for pixels in frames[:30]:
            alpha = 255 - np.asarray(Image.fromarray(pixels).convert("L"))
            black = np.dstack([np.zeros_like(pixels), alpha])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(black, "rgba")))
        output.mux(stream.encode())
    rows = upright(file.getvalue())
    expected = upright(encode(frames[:30], fps=FPS))
    assert len(rows) == len(expected)
    assert np.bitwise_count(rows["hash"] ^ expected["hash"]).sum(axis=1).max() <= 20


def test_what_is_broken_in_the_middle_is_said_to_be_incomplete(frames: list[Frame]) -> None:
    data = bytearray(encode(frames * 3, fps=FPS, codec=Codec("matroska", "mpeg4", {"b": "2M"})))
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    hashes, incomplete = hash_video(io.BytesIO(bytes(data)))
    assert incomplete
    assert len(hashes)


@pytest.mark.parametrize(("from_ms", "shown_ms"), [(0, 1000), (2000, 1000), (2000, 5000)])
def test_frames_that_an_edit_list_hides_are_looked_up_after_its_end(
    from_ms: int, shown_ms: int
) -> None:
    hidden, shown = list(footage(1, seconds=4)), list(footage(5, seconds=8))
    start, end = from_ms // 100, (from_ms + shown_ms) // 100
    media = [*hidden, *hidden]
    media[start:end] = shown[: end - start]
    data = encode(media, codec=Codec(options={"preset": "ultrafast", "g": "10"}))
    at = data.index(b"elst") + 12
    edited = data[:at] + struct.pack(">II", shown_ms, from_ms * 10_240 // 1000) + data[at + 8 :]
    rows, incomplete = hash_video(io.BytesIO(edited))
    assert not incomplete
    rows = versions(rows, Dihedral.IDENTITY)
    as_shown = upright(encode(shown[: end - start]))
    all_frames = upright(data)
    assert [*rows["hash"].tolist()][-len(all_frames) + 1 :] == all_frames["hash"].tolist()[1:]
    seconds = shown_ms // 1000
    assert rows["start_ms"][:seconds].tolist() == [1000 * at for at in range(seconds)]
    near = np.bitwise_count(rows["hash"][:seconds] ^ as_shown["hash"][:seconds]).sum(axis=1)
    assert near.max() <= 20
    assert rows["end_ms"][-1] == shown_ms + 100 * len(media)
    registered = fingerprints_of(edited)
    assert registered.fingerprints["end_ms"].max() == shown_ms


def test_an_edit_list_that_only_starts_later_hides_nothing(frames: list[Frame]) -> None:
    options = {"preset": "veryfast", "bf": "2"}
    rows = upright(encode(frames, fps=FPS, codec=Codec(options=options)))
    assert rows["end_ms"][-1] == 1000 * SECONDS


@pytest.mark.parametrize(
    ("container", "cover"), [("matroska", False), ("mp4", False), ("mp4", True)]
)
def test_of_several_videos_the_default_is_hashed_and_the_rest_is_said_to_be_missing(
    container: str, cover: bool, frames: list[Frame]
) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        streams = [output.add_stream("mjpeg" if cover else "mpeg4", rate=FPS)]
        streams.append(output.add_stream("mpeg4", rate=FPS))
        kinds = av.stream.Disposition
        streams[0].disposition = kinds.attached_pic if cover else kinds(0)
        streams[1].disposition = kinds.default
        for stream, side_px in zip(streams, (64, 240), strict=True):
            stream.width = stream.height = side_px
            stream.pix_fmt = "yuvj420p" if stream.name == "mjpeg" else "yuv420p"
        for stream, shown in zip(streams, ([frames[0][:64, :64]], frames), strict=True):
            for pixels in shown:
                cut = np.ascontiguousarray(pixels[: stream.height, : stream.width])
                output.mux(stream.encode(av.VideoFrame.from_ndarray(cut, "rgb24")))
            output.mux(stream.encode())
    alone = encode([frame[:240, :240] for frame in frames], fps=FPS)
    rows, incomplete = hash_video(io.BytesIO(file.getvalue()))
    assert incomplete == (not cover)
    registered = fingerprints_of(file.getvalue())
    assert registered.incomplete == (not cover)
    shown_rows = versions(rows, Dihedral.IDENTITY)
    expected = upright(alone)
    assert len(shown_rows) == len(expected)
    assert np.bitwise_count(shown_rows["hash"] ^ expected["hash"]).sum(axis=1).max() <= 20


@pytest.mark.parametrize(("said_ms", "expected_incomplete"), [(1, False), (60_000, True)])
def test_a_duration_that_lies_is_not_believed(
    said_ms: int,
    expected_incomplete: bool,
    frames: list[Frame],
) -> None:
    data = encode(frames, fps=FPS, codec=Codec("matroska"))
    hashes, incomplete = hash_video(io.BytesIO(_saying(data, said_ms)))
    expected, _ = hash_video(io.BytesIO(data))
    assert (hashes == expected).all()
    # More may be missing where less came than the file states.
    assert incomplete == expected_incomplete


def _saying(data: bytes, duration_ms: float) -> bytes:
    """Return a Matroska file that states this duration."""
    at = data.index(b"\x44\x89\x88") + 3
    return data[:at] + struct.pack(">d", duration_ms) + data[at + 8 :]


def test_what_a_file_is_goes_by_its_bytes(frames: list[Frame], tmp_path: Path) -> None:
    data = encode(frames[:3], fps=FPS)
    misnamed = tmp_path / "photo.jpg"
    misnamed.write_bytes(data)
    assert is_video(misnamed.read_bytes()[:SNIFFED_BYTES])
    with misnamed.open("rb") as file:
        assert (hash_video(file)[0] == hash_video(io.BytesIO(data))[0]).all()
    picture = io.BytesIO()
    Image.fromarray(frames[0]).save(picture, "JPEG")
    assert not is_video(picture.getvalue()[:SNIFFED_BYTES])


@pytest.mark.parametrize("timed", [False, True])
def test_a_transport_stream_is_told_by_the_bytes_between_its_packets(
    timed: bool, frames: list[Frame]
) -> None:
    data = encode(frames, fps=FPS, codec=Codec("mpegts"))
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    stream = b"".join(bytes(4 * timed) + packet for packet in packets)
    assert is_video(stream[:SNIFFED_BYTES])
    assert (upright(stream)["hash"] == upright(data)["hash"]).all()


@pytest.mark.parametrize("start", [b"GIF89a", b"\xff\xd8\xff\xe0G", b"BM01G", b"\x89PNG\r\n\x1a\n"])
def test_a_picture_with_the_bytes_of_a_transport_stream_is_no_video(start: bytes) -> None:
    head = bytearray(start.ljust(400))
    for at in (188, 192, 196, 376, 388):
        head[at] = ord("G")
    assert not is_video(bytes(head))


def test_a_file_with_two_bytes_of_a_transport_stream_is_no_video() -> None:
    assert not is_video(b"Good day".ljust(188) + b"G".ljust(400))
