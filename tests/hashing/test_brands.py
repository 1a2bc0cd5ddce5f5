"""What an ISO file holds goes by all of its brands, and never keeps a video from being read."""

import io
import struct

import pytest

from benchmarks.harness.videos import Frame, encode
from disrupt.hashing.decoding.brands import picture_format
from disrupt.hashing.decoding.video_formats import SNIFFED_BYTES, is_video
from disrupt.hashing.videos.frames import hash_video
from tests.hashing.videos import FPS


def branded(major: bytes, *compatible: bytes, long: bool = False) -> bytes:
    brands = b"".join((major, bytes(4), *compatible))
    if long:
        return struct.pack(">I4sQ", 1, b"ftyp", 16 + len(brands)) + brands + b"avif"
    return struct.pack(">I4s", 8 + len(brands), b"ftyp") + brands + b"avif"


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        ((b"avif", b"mif1", b"miaf"), "AVIF"),
        ((b"MA1B", b"mif1", b"avif"), "AVIF"),
        ((b"mif1", b"avis", b"msf1"), "AVIF"),
        ((b"mif1", b"heic", b"avif"), "HEIC"),
        ((b"hevc", b"iso8", b"msf1"), "HEIC"),
        ((b"mif1", b"isom", b"avc1"), None),
        ((b"isom", b"iso2", b"mp41"), None),
        ((b"qt  ",), None),
    ],
)
@pytest.mark.parametrize("long", [False, True])
def test_the_first_brand_of_a_codec_of_pictures_decides(
    brands: tuple[bytes, ...], expected: str | None, long: bool
) -> None:
    assert picture_format(branded(*brands, long=long)) == expected


def test_brands_are_those_of_the_first_box_only() -> None:
    assert picture_format(b"\0\0\0\x08free" + branded(b"avif")) is None
    assert picture_format(branded(b"avif").replace(b"ftyp", b"free")) is None


@pytest.mark.parametrize("brand", [b"mif1", b"avif", b"heic"])
def test_a_video_is_hashed_whatever_its_brand(brand: bytes, frames: list[Frame]) -> None:
    data = encode(frames, fps=FPS)
    named = data[:8] + brand + data[12:]
    assert is_video(named[:SNIFFED_BYTES]) == (brand == b"mif1")
    assert (hash_video(io.BytesIO(named))[0] == hash_video(io.BytesIO(data))[0]).all()
