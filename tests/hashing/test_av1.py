"""The sizes that the streams of an AVIF file code are known before it is decoded."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from PIL import Image, features

from disrupt.errors import InvalidMediaError
from disrupt.hashing import ImageLimits
from disrupt.hashing.decoding.av1 import coded_sizes
from disrupt.hashing.decoding.pictures import decode
from tests.hashing.test_decode import COLOURS, encode, with_alpha
from tests.hashing.test_heif import box

pytestmark = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


def moving(image: Image.Image) -> bytes:
    turned = image.transpose(Image.Transpose.ROTATE_180)
    return encode(image, "AVIF", speed=10, save_all=True, append_images=[turned, image])


WHOLE = {
    "picture": lambda: encode(COLOURS, "AVIF", speed=10),
    "grey": lambda: encode(COLOURS.convert("L"), "AVIF", speed=10),
    "alpha": lambda: encode(with_alpha(COLOURS), "AVIF", speed=10),
    "every chroma": lambda: encode(COLOURS, "AVIF", speed=10, subsampling="4:4:4"),
    "animation": lambda: moving(COLOURS),
    "animation with alpha": lambda: moving(with_alpha(COLOURS)),
}
"""What makes a file, by its name."""
WIDTH, HEIGHT = COLOURS.size


@pytest.mark.parametrize("name", WHOLE)
def test_the_size_in_each_stream_is_that_of_the_picture(name: str) -> None:
    data = WHOLE[name]()
    assert set(coded_sizes(data)) == {COLOURS.size}
    assert set(coded_sizes(data + b"what some cameras add")) == {COLOURS.size}


@pytest.mark.parametrize("name", WHOLE)
def test_a_stream_over_the_limit_is_refused_however_small_its_boxes_say_it_is(name: str) -> None:
    small = WHOLE[name]().replace(struct.pack(">II", WIDTH, HEIGHT), struct.pack(">II", 16, 16))
    small = small.replace(
        struct.pack(">II", WIDTH << 16, HEIGHT << 16), struct.pack(">II", 16 << 16, 16 << 16)
    )
    assert decode(small).width_px == 16
    with pytest.raises(InvalidMediaError, match=f"{WIDTH} x {HEIGHT}"):
        decode(small, ImageLimits(max_pixels=WIDTH * HEIGHT - 1))


def unit(kind: int, bits: str) -> bytes:
    """Return an open bitstream unit of these bits."""
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    content = int(bits, 2).to_bytes(len(bits) // 8)
    return bytes([kind << 3 | 2, len(content)]) + content


def metadata(iloc: bytes, idat: bytes = b"") -> bytes:
    """Return the box that says where item 1, a stream of AV1, is."""
    infe = box(b"infe", struct.pack(">IHH4sx", 2 << 24, 1, 0, b"av01"))
    iinf = box(b"iinf", struct.pack(">IH", 0, 1) + infe)
    return box(b"meta", bytes(4) + box(b"iloc", iloc) + iinf + box(b"idat", idat))


def avif(stream: bytes, extents: list[tuple[int, int]] | None = None) -> bytes:
    """Return the boxes of an AVIF file that name its streams, with ``stream`` at byte 16."""
    extents = extents or [(16, len(stream))]
    iloc = struct.pack(">IBBHHHH", 0, 0x44, 0, 1, 1, 0, len(extents))
    iloc += b"".join(struct.pack(">II", *extent) for extent in extents)
    head = struct.pack(">I4sQ", 1, b"mdat", 16 + len(stream))
    return head + stream + metadata(iloc)


SIDE = f"{64 - 1:016b}"
SEQUENCE = "000000000000" + "0" * 12 + "0000011111111" + SIDE * 2 + ("00000000011")
"""A header of one operating point whose frames may say in 16 bits how wide and high they are."""


@pytest.mark.parametrize(("own", "sizes"), [("0", []), ("1", [(65_536, 65_536)])])
def test_a_frame_with_a_size_of_its_own_counts_as_the_largest_that_it_can_be(
    own: str, sizes: list[tuple[int, int]]
) -> None:
    stream = unit(1, SEQUENCE) + unit(3, "000100" + own)
    assert list(coded_sizes(avif(stream))) == [(64, 64), *sizes]


def test_an_item_in_several_parts_is_read_as_if_it_were_in_one() -> None:
    stream = unit(1, SEQUENCE)
    parts = stream[3:] + stream[:3]
    extents = [(16 + len(parts) - 3, 3), (16, len(parts) - 3)]
    assert list(coded_sizes(avif(parts, extents))) == [(64, 64)]


def items(extents: list[tuple[int, int]], stream: bytes) -> bytes:
    """Return the boxes of an AVIF file of items that each have an extent of one stream."""
    iloc = struct.pack(">IBBH", 0, 0x44, 0, len(extents))
    infe = b""
    for item, extent in enumerate(extents, start=1):
        iloc += struct.pack(">HHHII", item, 0, 1, *extent)
        infe += box(b"infe", struct.pack(">IHH4sx", 2 << 24, item, 0, b"av01"))
    iinf = box(b"iinf", struct.pack(">IH", 0, len(extents)) + infe)
    head = struct.pack(">I4sQ", 1, b"mdat", 16 + len(stream))
    return head + stream + box(b"meta", bytes(4) + box(b"iloc", iloc) + iinf)


def test_items_that_share_a_stream_are_read_once() -> None:
    stream = unit(1, SEQUENCE)
    assert list(coded_sizes(items([(16, len(stream))] * 300, stream))) == [(64, 64)]


def test_items_that_are_more_than_the_file_together_are_refused() -> None:
    stream = unit(1, SEQUENCE) + unit(15, "") * 10_000
    extents = [(16, len(stream) - 3 * end) for end in range(20)]
    with pytest.raises(ValueError, match="overlap"):
        list(coded_sizes(items(extents, stream)))


def test_an_item_inside_the_metadata_is_read() -> None:
    stream = unit(1, SEQUENCE)
    inside = 1  # offsets count from the content of idat
    iloc = struct.pack(">IBBHHHHHII", 1 << 24, 0x44, 0, 1, 1, inside, 0, 1, 3, len(stream))
    assert list(coded_sizes(metadata(iloc, b"pad" + stream))) == [(64, 64)]


@pytest.mark.parametrize(
    "make",
    [
        lambda: avif(b""),
        lambda: avif(unit(1, SEQUENCE)[:-4]),
        lambda: avif(unit(2, "") * 100_000),
        lambda: avif(unit(1, SEQUENCE) * 10, [(16, 90)] * 60_000),
    ],
    ids=["no stream", "a cut one", "too many units", "overlapping parts"],
)
def test_a_file_whose_streams_cannot_be_read_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises((ValueError, struct.error)):
        list(coded_sizes(make()))
