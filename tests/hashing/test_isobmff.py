"""An AVIF or HEIC picture is the same in however many boxes its properties are."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features
from PIL.AvifImagePlugin import AvifImageFile

from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding.isobmff import picture_format, with_one_ipma
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.decoding.pixels import oriented
from disrupt.hashing.decoding.sniffing import SNIFFED_BYTES, is_video
from disrupt.hashing.videos.frames import hash_video
from rig.media.files import avif
from rig.media.files.avif import Entries, box, ipma
from rig.media.pictures import encode
from rig.media.videos import Frame
from rig.media.videos import encode as encode_video
from tests.hashing.test_decode import COLOURS, with_alpha
from tests.hashing.videos import FPS

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")

PICTURES = avif.coded(encode(with_alpha(COLOURS), "AVIF", speed=10))
NARROW, WIDE, LONG = (0, 0), (0, 1), (1, 0)
"""Versions and flags of ``ipma`` boxes."""


def in_boxes(associations: Callable[[Entries], list[bytes]]) -> bytes:
    return avif.avif(PICTURES, avif.SRGB, associations=associations)


def with_boxes(*boxes: bytes) -> bytes:
    return in_boxes(lambda _: [*boxes])


WHOLE = in_boxes(avif.in_one)


def colours(data: bytes) -> np.ndarray:
    picture = decode(data)
    return oriented(picture.rgb(0, picture.height_px), picture.orientation)


def test_the_file_of_the_tests_needs_what_is_tested() -> None:
    assert Image.open(io.BytesIO(WHOLE)).mode == "RGBA"
    assert with_one_ipma(WHOLE) is WHOLE
    with pytest.raises(SyntaxError, match="BMFF parsing failed"):
        AvifImageFile(io.BytesIO(PARTED["a box for each item"]))


def halves(entries: Entries) -> list[bytes]:
    """Return boxes of which two hold each item's properties."""
    first, second = (
        [(item, properties[half]) for item, properties in entries]
        for half in (slice(2), slice(2, None))
    )
    return [ipma(first), ipma(second)]


PARTED: dict[str, bytes] = {
    "a box for each item": in_boxes(avif.split),
    "of several kinds": in_boxes(
        lambda entries: [
            ipma([entry], *kind) for entry, kind in zip(entries, (WIDE, LONG), strict=True)
        ]
    ),
    "in the other order": in_boxes(lambda entries: avif.split(entries[::-1])),
    "two for each item": in_boxes(halves),
    "four": in_boxes(lambda entries: [ipma([]), *halves(entries), ipma([])]),
}


@pytest.mark.parametrize("name", PARTED)
def test_properties_in_several_boxes_give_the_same_pixels(name: str) -> None:
    parted = PARTED[name]
    joined = with_one_ipma(parted)
    assert joined.count(b"ipma") == 1
    assert len(joined) == len(parted)
    assert (colours(parted) == colours(WHOLE)).all()


def test_a_heic_file_in_several_boxes_gives_the_same_pixels() -> None:
    pictures = avif.coded(encode(with_alpha(COLOURS), "HEIF"), b"hvcC")
    whole, *parted = (
        avif.avif(pictures, avif.SRGB, associations=boxes, brand=b"heic", kind=b"hvc1")
        for boxes in (avif.in_one, avif.split, halves)
    )
    for data in parted:
        assert (colours(data) == colours(whole)).all()


def split_boxes(data: bytes) -> list[bytes]:
    """Return kind and content of each box."""
    boxes = []
    while data:
        size = int.from_bytes(data[:4])
        boxes.append(data[4:size])
        data = data[size:]
    return boxes


def broken() -> Iterator[tuple[str, bytes]]:
    whole = [(1, [1, 2 | 1 << 15, 3]), (2, [4, 5 | 1 << 15, 6])]
    assert with_boxes(ipma(whole)) == WHOLE
    parted = PARTED["a box for each item"]
    at = parted.index(b"ipma") - 4
    first, second = (ipma([entry]) for entry in whole)
    yield "a box that ends after its file", parted[:at] + b"\xff" + parted[at + 1 :]
    yield "a box of no length", parted[:at] + bytes(4) + parted[at + 4 :]
    yield "a box shorter than its header", parted[:at] + bytes([0, 0, 0, 7]) + parted[at + 4 :]
    yield (
        "more items than there are",
        with_boxes(first, second[:12] + b"\xff" * 4 + second[16:]),
    )
    yield (
        "more properties than there are",
        with_boxes(first, second[:18] + b"\xff" + second[19:]),
    )
    yield "a version to come", with_boxes(first, second[:8] + b"\x09" + second[9:])
    yield "properties that are not there", with_boxes(first, ipma([(2, [99])]))
    yield "too many properties", with_boxes(*[ipma([(1, [1] * 200), whole[1]])] * 2)
    yield "too many boxes", with_boxes(first, second, *[ipma([])] * 1000)
    yield "too long boxes", with_boxes(first, second, ipma([(3, [1] * 250)] * 300))
    yield "only boxes", b"\0\0\0\x0cftypavif" + b"\0\0\0\x08free" * 1_000_000
    yield "an end after each byte of the metadata", parted[: parted.index(b"mdat") + 9]


BROKEN = dict(broken())


@pytest.mark.parametrize("name", BROKEN)
def test_broken_boxes_are_refused(name: str) -> None:
    with pytest.raises(InvalidMediaError, match="damaged"):
        decode(BROKEN[name])


@given(
    st.sampled_from(sorted(PARTED)),
    st.lists(st.tuples(st.integers(0), st.integers(1, 255)), max_size=6),
    st.integers(0, 1000),
)
@settings(max_examples=100, deadline=None)
def test_damaged_boxes_are_decoded_or_refused_and_nothing_else(
    name: str, flips: list[tuple[int, int]], cut: int
) -> None:
    parted = bytearray(PARTED[name])
    first, end = parted.index(b"iprp") - 4, parted.index(b"mdat")
    for at, flip in flips:
        parted[first + at % (end - first)] ^= flip
    if cut < end:
        del parted[cut:]
    assert len(with_one_ipma(bytes(parted))) == len(parted)
    try:
        colours(bytes(parted))
    except InvalidMediaError as refused:
        assert refused.violations[0].field == "image"  # noqa: PT017


@st.composite
def box_trees(draw: st.DrawFn, depth: int = 3) -> bytes:
    """Draw boxes in boxes, with any lengths in their headers."""
    content_bytes = b""
    for _ in range(draw(st.integers(0, 4))):
        content = draw(st.binary(max_size=30)) if draw(st.booleans()) else b""
        if depth:
            content += draw(box_trees(depth - 1))
        kind = draw(st.sampled_from([b"meta", b"iprp", b"ipma", b"ipma", b"ipco", b"free"]))
        sizes = st.sampled_from([0, 1, 7, 8, 2**31, 2**32 - 1]) | st.integers(0, 60)
        size = draw(sizes) if draw(st.integers(0, 4)) == 0 else 8 + len(content)
        content_bytes += struct.pack(">I4s", size, kind) + content
    return content_bytes


def metadata(content: bytes) -> bytes:
    return box(b"ftyp", b"avif") + box(b"meta", bytes(4) + box(b"iprp", content))


@given(st.binary(max_size=200) | box_trees() | box_trees().map(metadata))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_returned_or_made_as_long(data: bytes) -> None:
    assert len(with_one_ipma(data)) == len(data)


_PROPERTIES = st.lists(st.integers(0, 127) | st.integers(1 << 15, (1 << 15) + 127), max_size=9)
_ENTRIES = st.lists(st.tuples(st.integers(0, 65535), _PROPERTIES), max_size=5)
_ASSOCIATIONS = st.builds(ipma, _ENTRIES, st.integers(0, 1), st.integers(0, 1))
_OTHER_TYPES = st.sampled_from([b"ipco", b"free", b"uuid"])


@given(
    st.lists(_ASSOCIATIONS, min_size=2, max_size=6),
    st.lists(st.builds(box, _OTHER_TYPES, st.binary(max_size=40)), max_size=4),
    st.randoms(use_true_random=False),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_valid_boxes_are_joined_in_any_order(
    associations: list[bytes],
    unrelated: list[bytes],
    chance: random.Random,
    endless: bool,
) -> None:
    boxes = [*associations, *unrelated]
    chance.shuffle(boxes)
    said = [rest_box for rest_box in split_boxes(b"".join(boxes)) if rest_box[:4] != b"ipma"]
    if endless:
        boxes[-1] = bytes(4) + boxes[-1][4:]
    data = metadata(b"".join(boxes))
    joined_file = with_one_ipma(data)
    assert len(joined_file) == len(data)
    if joined_file == data:  # items with so many properties in wide boxes that there is no room
        assert any(association[11] for association in associations)
        return
    meta = split_boxes(joined_file)[1]
    (properties, *rest) = split_boxes(meta[8:])
    assert [rest_box[:4] for rest_box in rest] == [b"free"]
    *kept, joined = split_boxes(properties[4:])
    assert (kept, joined[:4]) == (said, b"ipma")
    assert with_one_ipma(joined_file) == joined_file


@pytest.mark.parametrize(
    "data",
    [
        metadata(box(b"ipma", b"\0\0\0\0\0\0\0\x0a" + bytes(30)) * 1800),
        metadata(ipma([(item, []) for item in range(10_000)]) * 2),
        metadata(ipma([(1, [1] * 255)] * 120) * 2),
        metadata(ipma([]) * 2 + struct.pack(">I4s", 0, b"free") + bytes(1 << 20)),
        metadata(ipma([]) * 2 + struct.pack(">I4sQ", 1, b"free", 1 << 62)),
        metadata(box(b"ipma", b"\0\0\0\0\xff\xff\xff\xff" + bytes(30_000)) * 2),
    ],
    ids=["many boxes", "many items", "many properties", "a long rest", "too long", "endless"],
)
def test_joining_takes_memory_for_a_few_files_of_that_length(data: bytes) -> None:
    with_one_ipma(data)
    tracemalloc.start()
    try:
        with_one_ipma(data)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * len(data) + (8 << 20)


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


@pytest.mark.parametrize("brand", [b"mif1", b"avif", b"heic"])
def test_a_video_is_hashed_whatever_its_brand(brand: bytes, frames: list[Frame]) -> None:
    data = encode_video(frames, fps=FPS)
    named = data[:8] + brand + data[12:]
    assert is_video(named[:SNIFFED_BYTES]) == (brand == b"mif1")
    assert (hash_video(io.BytesIO(named))[0] == hash_video(io.BytesIO(data))[0]).all()
