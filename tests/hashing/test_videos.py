"""Frames are sampled by presentation time, whatever the container, codec and frame rate."""

import io
from fractions import Fraction
from functools import cache

import av
import numpy as np
import pytest
from PIL import Image

from disrupt.core.hashes import MIN_QUALITY, distances_bits
from disrupt.core.media import LowQuality, Profile
from disrupt.core.transforms import ENLARGED, PLANS, Dihedral
from disrupt.hashing.decoding.pictures import decode as decode_picture
from disrupt.hashing.decoding.skipping import shown_for_ms
from disrupt.hashing.registration import canonical_hash, plain_fingerprints
from disrupt.hashing.videos.frames import (
    LOOKUP_INTERVAL_MS,
    REGISTRATION_INTERVAL_MS,
    fingerprint_video,
    hash_video,
)
from rig.media.layouts import screenshot
from rig.media.photographs import EVERYWHERE
from rig.media.videos import H264, Codec, Frame, encode, footage, photograph
from tests.hashing.videos import FPS, SECONDS, fingerprints_of, upright, versions

CODECS = {
    "MP4 H.264": H264,
    "MP4 H.264, 4:4:4": Codec(pixels="yuv444p"),
    "MP4 HEVC": Codec("mp4", "libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    "MP4 HEVC, 10 bits": Codec(
        "mp4", "libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}, "yuv420p10le"
    ),
    "MP4 AV1": Codec("mp4", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
    "MOV MPEG-4": Codec("mov", "mpeg4", {"b": "2000000"}),
    "MOV H.264": Codec("mov"),
    "WebM AV1": Codec("webm", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
    "WebM VP8": Codec("webm", "libvpx", {"deadline": "realtime", "b": "2000000"}),
    "WebM VP9": Codec("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "MKV H.264": Codec("matroska"),
    "AVI MPEG-4": Codec("avi", "mpeg4", {"b": "2000000"}),
    "AVI JPEG": Codec("avi", "mjpeg", {}, "yuvj420p"),
    "MPEG": Codec("mpeg", "mpeg2video", {"b": "2000000"}),
    "MPEG-TS": Codec("mpegts"),
    "FLV": Codec("flv", "flv", {"b": "2000000"}),
    "WMV": Codec("asf", "wmv2", {"b": "2000000"}),
    "Ogg VP8": Codec("ogg", "libvpx", {"deadline": "realtime", "b": "2000000"}),
}


def saved(frame: Frame, format_: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, format_)
    return file.getvalue()


def hashes_of_picture(frame: Frame) -> np.ndarray:
    return hashes_of_file(saved(frame))


@cache
def hashes_of_file(data: bytes) -> np.ndarray:
    picture = decode_picture(data)
    canonical = canonical_hash(picture)
    assert not isinstance(canonical, LowQuality)
    wholes = plain_fingerprints(picture, *canonical)
    return np.array([np.frombuffer(whole.hash.value, np.uint8) for whole in wholes])


def near(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return distances_bits(left["hash"], right["hash"])


@pytest.mark.parametrize("kind", CODECS)
def test_frames_have_the_times_and_the_hashes_of_their_pictures(
    kind: str, frames: list[Frame]
) -> None:
    rows = upright(encode(frames, fps=FPS, codec=CODECS[kind]))
    # Up to two frames in a row may be skipped, where no other frame depends on them.
    assert (rows["start_ms"] // 1000 == range(SECONDS)).all()
    assert (rows["start_ms"] % 1000 <= 80).all()
    assert (rows["end_ms"][:-1] == rows["start_ms"][1:]).all()
    assert abs(int(rows["end_ms"][-1]) - 1000 * SECONDS) <= 40
    for row in rows:
        shown = frames[round(row["start_ms"] * FPS / 1000)]
        assert distances_bits(row["hash"], hashes_of_picture(shown)).min() <= 10


@pytest.mark.parametrize(
    "codec",
    [
        Codec("matroska", options={"bf": "2", "b_strategy": "0", "sc_threshold": "0"}),
        Codec("mp4", "mpeg4", {"b": "2000000", "bf": "2"}),
        CODECS["MP4 AV1"],
    ],
    ids=lambda codec: codec.encoder,
)
def test_a_picture_shown_for_seconds_is_hashed_whatever_the_average_rate(codec: Codec) -> None:
    pictures = [np.asarray(photograph(number).resize((320, 240))) for number in EVERYWHERE]
    moments = [pictures[0]] * 100
    times_ms = [*(16 * at for at in range(100)), *(2000 + 1000 * at for at in range(len(pictures)))]
    times_ms += [10_000 + 16 * at for at in range(100)]
    rows = upright(encode([*moments, *pictures, *moments], times_ms=times_ms, codec=codec))
    for number, picture in enumerate(pictures[1:], 1):
        (row,) = rows[rows["start_ms"] == 2000 + 1000 * number]
        assert distances_bits(row["hash"], hashes_of_picture(picture)).min() <= 10


def test_how_long_a_packet_is_shown_is_told_by_the_next_one_in_time() -> None:
    stored = [("I", 0.0), ("P", 120.0), ("B", 40.0), ("b", 80.0), ("?", None), ("p", 160.0)]
    forever = float("inf")
    assert list(shown_for_ms(stored)) == [
        *(("I", 40.0), ("P", 40.0), ("B", 40.0), ("b", 40.0), ("?", None), ("p", forever))
    ]


@pytest.mark.parametrize(("format_", "bits"), [("GIF", 16), ("WEBP", 10), ("PNG", 10)])
def test_animations_are_videos(format_: str, bits: int, frames: list[Frame]) -> None:
    file = io.BytesIO()
    first, *later = (Image.fromarray(frame) for frame in frames[::10])
    first.save(file, format_, save_all=True, append_images=later, duration=400)
    rows = upright(file.getvalue())
    assert rows["start_ms"].tolist() == [0, 1200, 2000]
    for row, at in zip(rows, (0, 30, 50), strict=True):
        assert distances_bits(row["hash"], hashes_of_picture(frames[at])).min() <= bits


def test_each_frame_is_also_hashed_mirrored(frames: list[Frame]) -> None:
    plain, mirrored = (
        hash_video(io.BytesIO(encode(some, fps=FPS)))[0]
        for some in (frames, [np.ascontiguousarray(frame[:, ::-1]) for frame in frames])
    )
    as_mirrored = versions(plain, Dihedral.MIRROR)
    assert (near(as_mirrored, versions(mirrored, Dihedral.IDENTITY)) <= 10).all()


def assert_found_without_borders(frames: list[Frame], hashes: np.ndarray) -> None:
    """Check that of each second of a video, of 5 frames, a row without borders is near."""
    cut = versions(hashes, Dihedral.IDENTITY, cut=True)
    for second, frame in enumerate(frames[::5]):
        here = cut["hash"][cut["start_ms"] == 1000 * second]
        assert distances_bits(here[:, None], hashes_of_picture(frame)[None]).min() <= 22


@pytest.mark.parametrize("layout", ["letterbox", "feed", "viewer"])
def test_a_frame_is_also_hashed_without_what_surrounds_the_video(layout: str) -> None:
    frames = list(footage(3, seconds=8, fps=5, size=(480, 270)))
    hashes, _ = hash_video(
        io.BytesIO(encode([surrounded(frame, layout) for frame in frames], fps=5))
    )
    assert_found_without_borders(frames, hashes)


@pytest.mark.parametrize(
    ("plain", "bars"), [((0, 0), (50, 0)), ((40, 0), (60, 0)), ((0, 40), (40, 0))]
)
def test_bars_are_told_from_what_is_plain_in_the_video(
    plain: tuple[int, int], bars: tuple[int, int]
) -> None:
    """Distinguish black rows and columns of the video itself from those of bars."""
    frames = [frame.copy() for frame in footage(3, seconds=4, fps=5, size=(480, 270))]
    for frame in frames:
        frame[: plain[0]], frame[:, : plain[1]], frame[:, 480 - plain[1] :] = 0, 0, 0
    barred = [np.pad(pixels, ((bars[0],) * 2, (bars[1],) * 2, (0, 0))) for pixels in frames]
    hashes, _ = hash_video(io.BytesIO(encode(barred, fps=5)))
    assert_found_without_borders(frames, hashes)


@pytest.mark.parametrize(
    ("stored_bars", "sent_bars"), [((0, 0), (0, 60)), ((60, 0), (0, 0)), ((0, 60), (60, 0))]
)
def test_what_is_dark_at_its_edges_is_found_with_bars_and_without(
    stored_bars: tuple[int, int], sent_bars: tuple[int, int]
) -> None:
    """Hash with each side cut by more than the bars, both sides by the same."""
    dark = np.zeros((270, 480, 3), np.uint8)
    shown = []
    for frame in footage(3, seconds=4, fps=5, size=(260, 180)):
        shown.append(dark.copy())
        shown[-1][50:230, 60:320] = frame
    stored, sent = (
        encode(
            [np.pad(pixels, ((bars[0],) * 2, (bars[1],) * 2, (0, 0))) for pixels in shown], fps=5
        )
        for bars in (stored_bars, sent_bars)
    )
    registered = fingerprints_of(stored)
    asked, _ = hash_video(io.BytesIO(sent))
    for start_ms in range(0, 4000, 1000):
        here = asked["hash"][asked["start_ms"] == start_ms]
        near = distances_bits(here[:, None], registered.fingerprints["hash"][None])
        at = registered.fingerprints[near.min(axis=0).argmin()]
        assert near.min() <= 22
        assert at["start_ms"] <= start_ms < at["end_ms"]


def test_what_is_plain_at_its_edges_is_stored_with_these_and_without(frames: list[Frame]) -> None:
    barred = [np.pad(frame, ((60, 60), (0, 0), (0, 0))) for frame in frames]
    outcome, without = (fingerprints_of(encode(some, fps=FPS)) for some in (barred, frames))
    assert set(without.fingerprints["ordinal"]) == {PLANS[0].index(ENLARGED)}
    whole, cut = (
        outcome.fingerprints[outcome.fingerprints["ordinal"] == PLANS[0].index(transform)]
        for transform in (ENLARGED, ENLARGED._replace(plain_edges_cut=True))
    )
    assert len(whole) == len(cut) == len(outcome.fingerprints) / 2
    assert (whole[["start_ms", "end_ms"]] == cut[["start_ms", "end_ms"]]).all()
    assert (outcome.frames, outcome.low_quality) == (without.frames, without.low_quality)
    nearest = distances_bits(cut["hash"][:, None], without.fingerprints["hash"][None]).min(axis=1)
    assert nearest.max() <= 22


def test_frames_may_become_larger_and_plain_at_their_edges() -> None:
    noise = np.random.default_rng(1)
    small = [noise.integers(0, 256, (4, 4, 3), np.uint8) for _ in range(9)]
    large = [noise.integers(0, 256, (100, 200, 3), np.uint8) for _ in range(8)]
    for frame in large:
        frame[:, :100], frame[:, 125:] = 0, 0
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream = output.add_stream("mjpeg", rate=4)
        stream.width, stream.height, stream.pix_fmt = 4, 4, "yuvj420p"
        for at, frame in enumerate(small + large):
            packet = av.Packet(saved(frame, "JPEG"))
            packet.stream, packet.pts, packet.dts = stream, at, at
            packet.time_base = Fraction(1, 4)
            output.mux(packet)
    outcome = fingerprints_of(file.getvalue())
    assert outcome.frames == len(small + large)
    asked, _ = hash_video(io.BytesIO(file.getvalue()), interval_ms=250)
    assert len(np.unique(asked["start_ms"])) == len(small + large)


def test_what_a_still_camera_shows_is_found_in_a_recorded_screen() -> None:
    size = (480, 270)
    still = next(footage(3, seconds=1, fps=1, size=size)).astype(float)
    rows, columns = np.mgrid[-1:1:270j, -1:1:480j]
    share = np.exp(-6 * (rows**2 + columns**2))[..., None]  # only the middle moves
    screen = np.full((400, 640, 3), 225, np.uint8)
    screen[20:200, 20:300], screen[250:380, 400:620], screen[::25, 20:90] = 250, 190, 60
    frames, recorded = [], []
    for moving in footage(4, seconds=8, fps=5, size=size):
        frames.append((still * (1 - share) + moving * share).astype(np.uint8))
        recorded.append(screen.copy())
        recorded[-1][60:330, 100:580] = frames[-1]
    hashes, _ = hash_video(io.BytesIO(encode(recorded, fps=5)))
    assert_found_without_borders(frames, hashes)


def surrounded(frame: Frame, layout: str) -> Frame:
    if layout == "letterbox":
        return np.pad(frame, ((60, 60), (0, 0), (0, 0)))
    page = screenshot(frame, np.random.default_rng(3), layout=layout, dark=layout == "chat")
    height, width = (size // 2 * 2 for size in page.shape[:2])
    return np.ascontiguousarray(page[:height, :width])


def test_sampling_does_not_depend_on_the_frame_rate(frames: list[Frame]) -> None:
    slow = upright(encode(frames[::5], fps=5))
    fast = upright(encode([frame for frame in frames for _ in range(4)], fps=100))
    assert slow["start_ms"].tolist() == [0, 1000, 2000]
    assert (near(slow, fast) <= 16).all()


def test_a_video_of_less_than_two_seconds_is_sampled_as_densely_as_it_is_registered(
    frames: list[Frame],
) -> None:
    # The sampled times at 25 frames a second.
    quarters_ms = [0, 280, 520, 760, 1000, 1280, 1520, 1760]
    short, long = (encode(frames[:count], fps=FPS, codec=CODECS["AVI JPEG"]) for count in (50, 51))
    assert upright(short)["start_ms"].tolist() == quarters_ms
    assert upright(short)["end_ms"].tolist() == [*quarters_ms[1:], 2000]
    assert upright(long)["start_ms"].tolist() == [0, 1000, 2000]
    hashes, _ = hash_video(io.BytesIO(long), interval_ms=10_000, versions=False)
    assert hashes["start_ms"].tolist() == [0]
    hashes, _ = hash_video(io.BytesIO(short), interval_ms=200)
    assert len(versions(hashes, Dihedral.IDENTITY)) == 10


@pytest.mark.parametrize("every_ms", [REGISTRATION_INTERVAL_MS, LOOKUP_INTERVAL_MS])
@pytest.mark.parametrize("fps", [24, 25, 30])
def test_frames_without_detail_at_each_step_of_the_sampling_hide_nothing(
    fps: int, every_ms: int
) -> None:
    shown = list(footage(1, seconds=4, fps=fps))
    expected = upright(encode(shown, fps=fps))
    dues = {-(-at * every_ms * fps // 1000) for at in range(4000 // every_ms)}
    flashing = [np.zeros_like(frame) if at in dues else frame for at, frame in enumerate(shown)]
    data = encode(flashing, fps=fps)
    rows = upright(data)
    assert len(rows) == 4
    assert rows["usable"].all()
    assert np.abs(rows["start_ms"] - expected["start_ms"].astype(int)).max() <= 170
    registered = fingerprints_of(data)
    assert (registered.frames, registered.low_quality) == (16, 0)


def test_a_frame_without_detail_is_kept_if_none_in_its_time_has_more(
    frames: list[Frame],
) -> None:
    black = [np.zeros_like(frame) for frame in frames[:FPS]]
    rows = upright(encode([*frames, *black, *frames], fps=FPS))
    assert rows["start_ms"].tolist() == [1000 * at for at in range(2 * SECONDS + 1)]
    assert (rows["usable"] == 0).nonzero()[0].tolist() == [SECONDS]


def test_frames_at_uneven_times_keep_their_times(frames: list[Frame]) -> None:
    times_ms = [0, 40, 700, 1900, 1950, 2400, 6000]
    rows = upright(encode(frames[:7], times_ms=times_ms, codec=Codec("matroska")))
    assert rows["start_ms"].tolist() == [0, 1900, 2400, 6000]
    assert rows["end_ms"].tolist()[:3] == [1900, 2400, 6000]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_is_hashed_as_it_is_shown(rotation: int, frames: list[Frame]) -> None:
    stored = [np.rot90(frame, -rotation // 90) for frame in frames]
    turned = encode(map(np.ascontiguousarray, stored), fps=FPS, rotation=rotation)
    assert (near(upright(turned), upright(encode(frames, fps=FPS))) <= 8).all()


def test_near_frames_are_one_fingerprint_and_plain_ones_none(frames: list[Frame]) -> None:
    black = np.zeros_like(frames[0])
    data = encode([frames[0]] * 40 + [black] * 20 + [frames[-1]] * 20, fps=10)
    outcome = fingerprints_of(data)
    assert outcome.fingerprints["start_ms"].tolist() == [0, 6000]
    assert outcome.fingerprints["end_ms"].tolist() == [4000, 8000]
    assert (outcome.fingerprints["profile"] == Profile.PDQ_512).all()
    assert (outcome.frames, outcome.low_quality, outcome.incomplete) == (32, 8, False)


def test_frames_that_are_shapes_are_left_out(frames: list[Frame]) -> None:
    rows, columns = np.indices(frames[0].shape[:2])
    edge = np.repeat(np.where(rows + 2 * columns > 370, 255, 0)[..., None], 3, 2).astype(np.uint8)
    alone, beside = (
        fingerprint_video(io.BytesIO(encode(some, fps=10)))
        for some in ([edge] * 20, [edge] * 20 + [frames[0]] * 20)
    )
    assert isinstance(alone, LowQuality)
    assert alone.quality >= MIN_QUALITY
    assert not isinstance(beside, LowQuality)
    assert beside.fingerprints["start_ms"].tolist() == [2000]
    assert (beside.frames, beside.low_quality) == (16, 8)
