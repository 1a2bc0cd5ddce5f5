"""A browser registers of a video what Python registers of it."""

import io
import math
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from benchmarks.harness.video_device import Device, device
from benchmarks.harness.videos import Codec, Frame, encode, footage
from disrupt.core.videos import FRAME, VideoFingerprints, fingerprints_of
from disrupt.hashing.videos.frames import fingerprint_video
from tests.web.engines import needs

pytestmark = needs("chromium")

VP8 = Codec("webm", "libvpx", {"deadline": "realtime", "b": "2000000"})
VP9 = Codec("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"})
AV1 = {"preset": "12", "svtav1-params": "lp=1"}
WITH_B_FRAMES = {"preset": "medium", "bf": "3"}

CODECS = {
    "MP4 H.264": Codec(),
    "MP4 H.264, 4:4:4": Codec(pixels="yuv444p"),
    "MP4 H.264, full range": Codec(pixels="yuvj420p"),
    "MP4 H.264, frames that no other needs": Codec(options=WITH_B_FRAMES),
    "MKV H.264, frames that no other needs": Codec("matroska", options=WITH_B_FRAMES),
    "MPEG-TS H.264, frames that no other needs": Codec("mpegts", options=WITH_B_FRAMES),
    "MP4 AV1": Codec("mp4", "libsvtav1", AV1),
    "WebM VP8": VP8,
    "WebM VP9": VP9,
}


def registered(data: bytes) -> VideoFingerprints:
    fingerprints = fingerprint_video(io.BytesIO(data))
    assert isinstance(fingerprints, VideoFingerprints)
    return fingerprints


def assert_alike(phone: Device, data: bytes, bits: int = 0) -> np.ndarray:
    """Hash a file on both sides; the same but for some bits of each hash."""
    expected, outcome = registered(data), phone.hash(data)
    assert outcome.refused == {}
    assert outcome.incomplete == expected.incomplete
    rows, others = outcome.fingerprints, expected.fingerprints
    assert len(rows) == len(others)
    assert np.bitwise_count(rows["hash"] ^ others["hash"]).sum(axis=1).max() <= bits
    for name in ("profile", "plan", "ordinal", "start_ms", "end_ms"):
        assert rows[name].tolist() == others[name].tolist()
    if not bits:
        assert rows["quality"].tolist() == others["quality"].tolist()
    return rows


@pytest.mark.parametrize("kind", CODECS)
def test_every_codec_of_the_browser_gives_the_same_hashes(
    kind: str, frames: list[Frame], phone: Device
) -> None:
    assert_alike(phone, encode(frames, fps=25, codec=CODECS[kind]))


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(25, 2), 60])
def test_frame_rates_give_the_same_times(
    fps: Fraction | int, frames: list[Frame], phone: Device
) -> None:
    assert_alike(phone, encode(frames, fps=fps, codec=Codec(options=WITH_B_FRAMES)))


def test_frames_at_uneven_times_give_the_same_times(frames: list[Frame], phone: Device) -> None:
    times_ms = np.cumsum(np.random.default_rng(1).integers(5, 180, len(frames))).tolist()
    data = encode([*frames, frames[0]], times_ms=[*times_ms, times_ms[-1] + 40], codec=VP8)
    expected, rows = registered(data).fingerprints, phone.hash(data).fingerprints
    assert rows["hash"].tolist() == expected["hash"].tolist()
    assert rows["start_ms"].tolist() == expected["start_ms"].tolist()
    # How long the last frame is shown is an estimate.
    assert rows["end_ms"][:-1].tolist() == expected["end_ms"][:-1].tolist()


def turned(frames: list[Frame], a: float, b: float, c: float, d: float) -> bytes:
    """Encode frames with a matrix: x' = ax + cy, y' = bx + dy."""
    data = bytearray(encode(frames, fps=25))
    at = data.index(b"tkhd") + 44
    values = [round(value * 65536) for value in (a, b, 0, c, d, 0, 0, 0)]
    data[at : at + 36] = struct.pack(">9i", *values, 1 << 30)
    return bytes(data)


COSINE, SINE = math.cos(math.radians(1)), math.sin(math.radians(1))


@pytest.mark.parametrize(
    ("matrix", "versions"),
    {
        (0, 1, -1, 0): 1,
        (-1, 0, 0, -1): 1,
        (0, -1, 1, 0): 1,
        (-1, 0, 0, 1): 2,
        (0, 1, 1, 0): 2,
        (COSINE, SINE, -SINE, COSINE): 1,
        (-SINE, COSINE, -COSINE, -SINE): 2,
    }.items(),
)
def test_turned_videos_are_hashed_as_shown_and_where_players_differ_as_stored(
    matrix: tuple[float, float, float, float], versions: int, frames: list[Frame], phone: Device
) -> None:
    rows = assert_alike(phone, turned(frames, *matrix))
    assert np.unique(rows["start_ms"], return_counts=True)[1].tolist() == [versions] * len(
        np.unique(rows["start_ms"])
    )


@pytest.mark.parametrize(("size", "ordinals"), {(320, 240): {1, 3}, (640, 360): {0, 2}}.items())
def test_plain_edges_are_cut_off_in_a_version_of_their_own(
    size: tuple[int, int], ordinals: set[int], phone: Device
) -> None:
    filmed = footage(3, seconds=2, fps=25, size=size)
    letterboxed = [np.pad(frame[40:-40], ((40, 40), (0, 0), (0, 0))) for frame in filmed]
    rows = assert_alike(phone, encode(letterboxed, fps=25))
    assert set(rows["ordinal"]) == ordinals


def test_a_black_frame_at_each_step_hides_nothing(frames: list[Frame], phone: Device) -> None:
    flashing = [np.zeros_like(frame) if at % 6 == 0 else frame for at, frame in enumerate(frames)]
    rows = assert_alike(phone, encode(flashing, fps=25))
    assert len(rows) > 1


def test_colours_that_screens_cut_are_hashed_as_shown(frames: list[Frame], phone: Device) -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for shown in frames:
            grey = np.asarray(Image.fromarray(shown).convert("L").reduce(2))
            chroma = (128 + (255 - grey.astype(int)) * 110 // 255).astype(np.uint8)
            planes = [np.full(320 * 240, 235, np.uint8), chroma.ravel(), chroma.ravel()]
            picture = np.concatenate(planes).reshape(-1, 320)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "yuv420p")))
        output.mux(stream.encode())
    expected = registered(file.getvalue()).fingerprints[0]
    rows = phone.hash(file.getvalue()).fingerprints
    assert np.bitwise_count(rows["hash"][0] ^ expected["hash"]).sum() <= 8


def test_ten_bits_are_hashed_as_shown(frames: list[Frame], phone: Device) -> None:
    assert_alike(phone, encode(frames, fps=25, codec=Codec(pixels="yuv420p10le")), bits=4)


def test_what_an_edit_list_leaves_out_is_not_hashed(frames: list[Frame], phone: Device) -> None:
    data = bytearray(encode(frames, fps=25))
    at = data.index(b"elst") + 16
    (start,) = struct.unpack(">i", data[at : at + 4])
    (timescale,) = struct.unpack(">I", data[data.index(b"mdhd") + 16 :][:4])
    data[at : at + 4] = struct.pack(">i", start + timescale)
    rows = assert_alike(phone, bytes(data))
    assert rows["end_ms"].max() == 1000


@pytest.mark.slow
@needs("firefox")
def test_firefox_which_shows_only_colours_gives_nearly_the_same_hashes(
    frames: list[Frame], tmp_path: Path
) -> None:
    data = encode(frames, fps=25, codec=VP9)
    with device("firefox", tmp_path) as phone:
        rows = phone.hash(data).fingerprints
    expected = registered(data).fingerprints
    bits = np.bitwise_count(rows["hash"][:, None] ^ expected["hash"]).sum(axis=2)
    # Some neighbours are merged on one side only, which takes 10 bits more.
    assert max(bits.min(axis=0).max(), bits.min(axis=1).max()) <= 16


MOMENTS = """
const { fingerprintsOf } = await import('/disrupt/web/page/hashing/moments.js');
const frames = given[0].map(([startMs, endMs, ...versions]) => ({
  startMs,
  endMs,
  versions: versions.map(([hash, isUsable, isCut]) => ({
    hash: Uint8Array.from(hash), quality: 80, isUsable: !!isUsable, dihedral: 0, isCut: !!isCut,
  })),
}));
return fingerprintsOf(frames, false).map(({ hash, ordinal, startMs, endMs }) =>
  [[...hash], ordinal, startMs, endMs]);
"""


def wandering(seed: int, steps: int, bits: int) -> np.ndarray:
    """Return frames, some of two versions, whose hashes change by some bits at each step."""
    chance = np.random.default_rng(seed)
    rows = np.zeros((steps, 2), FRAME)
    rows["start_ms"] = 250 * np.arange(steps)[:, None]
    rows["end_ms"] = rows["start_ms"] + 250
    rows["quality"], rows["usable"] = 80, chance.random((steps, 2)) < 0.9
    rows["crop_permille"][:, 1] = 100
    shown = np.zeros(256, np.uint8)
    for row in rows:
        shown[chance.choice(256, chance.integers(bits), replace=False)] ^= 1
        row["hash"] = np.packbits(shown)
    has_both = np.stack([np.ones(steps, bool), chance.random(steps) < 0.5], axis=1)
    some: np.ndarray = rows[has_both]
    return some


@pytest.mark.parametrize(("steps", "bits"), [(1, 5), (300, 12), (300, 40), (3000, 30), (3000, 60)])
def test_the_same_moments_are_kept_of_many(steps: int, bits: int, phone: Device) -> None:
    rows = wandering(steps + bits, steps, bits)
    frames = [
        [
            int(versions["start_ms"][0]),
            int(versions["end_ms"][0]),
            *(
                [row["hash"].tolist(), int(row["usable"]), int(row["crop_permille"].any())]
                for row in versions
            ),
        ]
        for versions in np.split(rows, np.flatnonzero(np.diff(rows["start_ms"].astype(int))) + 1)
    ]
    expected = fingerprints_of(rows, small=False)
    names = ["hash", "ordinal", "start_ms", "end_ms"]
    assert phone.run(MOMENTS, frames) == [
        [row[name].tolist() for name in names] for row in expected
    ]
