"""PNG files that are damaged or end early, and animated ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

from rig.media.files.parts import HEIGHT, OTHER, PHOTO, cut
from rig.media.files.png import (
    COLOURS,
    COLOURS_ALPHA,
    FADED_RGB,
    LUMA,
    RGB,
    SIGNATURE,
    Samples,
    header,
    lines,
    packed,
    plain,
    png,
)
from rig.media.pictures import chunk, encode

TEXT = chunk(b"tEXt", b"a\0b")


def with_wrong_sum(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def files() -> Iterator[tuple[str, bytes]]:
    yield from damaged()
    yield from unsound()
    yield from animated()


def damaged() -> Iterator[tuple[str, bytes]]:
    whole, interlaced = plain(), png(RGB, interlaced=True)
    rest = whole[33:]
    raw = lines(RGB, 8)
    row, half = len(raw) // HEIGHT, len(raw) // HEIGHT * (HEIGHT // 2)
    pixels = zlib.compress(raw, 1)
    head = SIGNATURE + header(PHOTO.size, COLOURS, 8)

    def of(*parts: bytes) -> bytes:
        """Return a file of chunks of pixels."""
        return head + b"".join(chunk(b"IDAT", part) for part in parts) + chunk(b"IEND")

    yield from cut(whole)
    yield from cut(interlaced, 0.6, of="interlaced, ")
    yield "no end", whole[:-12]
    yield "end cut", whole[:-4]
    yield "no sum of the pixels", whole[:-16]
    yield "bytes behind the end", whole + bytes(100)
    yield "another picture behind the end", whole + encode(OTHER, "PNG")
    yield "wrong sum of the pixels", with_wrong_sum(whole, len(whole) - 13)
    yield "wrong sum of the header", with_wrong_sum(whole, 29)
    yield "wrong sum of a text", head + with_wrong_sum(TEXT, len(TEXT) - 1) + rest
    yield "pixels in two chunks", of(pixels[:5000], pixels[5000:])
    yield "pixels in two chunks, one empty", of(b"", pixels)
    first = chunk(b"IDAT", pixels[:5000])
    yield "a text between pixels", head + first + TEXT + of(pixels[5000:])[33:]
    yield "pixels without a sum of their own", of(pixels[:-4])
    yield "pixels with a wrong sum of their own", of(pixels[:-4] + bytes(4))
    yield "more pixels than there are rows", of(zlib.compress(raw + raw[:5000]))
    yield "bytes behind the pixels", of(pixels + bytes(50))
    yield "a row missing", of(zlib.compress(raw[:-row]))
    yield "half of the rows missing", of(zlib.compress(raw[:half]))
    yield "an unknown filter", of(zlib.compress(raw[:half] + b"\x09" + raw[half + 1 :]))
    yield "an unknown critical chunk", head + chunk(b"ABCD", b"x") + rest
    yield "no pixels", of()
    yield "two headers", head + header((100, 100), COLOURS, 8) + rest
    yield "a text before the header", SIGNATURE + TEXT + whole[8:]
    yield "compression 1", whole[:26] + b"\1" + whole[27:]


def unsound() -> Iterator[tuple[str, bytes]]:
    """Yield files with chunks beside the pixels that are not as they should be."""
    long = zlib.compress(bytes(1_100_000))
    for name, content in {
        "unknown chunk with a wrong sum": chunk(b"prVt", b"abc", 0),
        "short gAMA": chunk(b"gAMA", b""),
        "short cHRM": chunk(b"cHRM", b"12"),
        "short pHYs": chunk(b"pHYs", b"abc"),
        "empty sRGB": chunk(b"sRGB", b""),
        "profile without a name": chunk(b"iCCP", b"icc"),
        "profile compressed otherwise": chunk(b"iCCP", b"icc\0\5" + zlib.compress(b"abc")),
        "long text": chunk(b"zTXt", b"Comment\0\0" + long),
        "long text of Unicode": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + long),
    }.items():
        yield name, plain(content)
        yield f"{name}, behind the pixels", plain(after=content)
    yield "wrong sum of the end", with_wrong_sum(plain(), -1)
    small = chunk(b"fcTL", struct.pack(">I4I2H2B", 0, 8, 8, 0, 0, 1, 10, 0, 0))
    for name, control in {
        "frame of no animation": b"",
        "frame of an animation of none": chunk(b"acTL", bytes(8)),
        "frame of an animation with a wrong sum": chunk(b"acTL", b"1" * 8, 0),
    }.items():
        yield name, plain(control + small)


Frame = tuple[Samples, tuple[int, int], int, int]
"""Samples with alpha, place, disposal and blending."""


def animation(
    *frames: Frame,
    colour: int = COLOURS_ALPHA,
    depth: int = 8,
    size: tuple[int, int] = PHOTO.size,
    before: bytes = b"",
    hidden: Samples | None = None,
    count: int | None = None,
    late: bool = False,
    first_bytes: int = 0,
) -> bytes:
    """Return an animation; ``late`` says that it is one behind its first frame.

    Pixels of later frames are in one chunk, or in two, where the first has ``first_bytes``.
    """
    control = chunk(b"acTL", struct.pack(">II", len(frames) if count is None else count, 0))
    data = SIGNATURE + header(size, colour, depth) + (b"" if late else control) + before
    data += b"" if hidden is None else chunk(b"IDAT", packed(hidden, depth))
    numbers = iter(range(100))
    for at, (samples, place, *painted) in enumerate(frames):
        height, width, _ = samples.shape
        values = next(numbers), width, height, *place, 1, 10, *painted
        data += chunk(b"fcTL", struct.pack(">I4I2H2B", *values))
        if at == 0 and hidden is None:
            data += chunk(b"IDAT", packed(samples, depth)) + (control if late else b"")
            continue
        pixels = packed(samples, depth)
        for part in filter(None, (pixels[:first_bytes], pixels[first_bytes:])):
            data += chunk(b"fdAT", struct.pack(">I", next(numbers)) + part)
    return data + chunk(b"IEND")


def animated() -> Iterator[tuple[str, bytes]]:
    opaque = np.concatenate([RGB, np.full_like(LUMA, 255)], axis=2)
    other = np.concatenate([np.asarray(OTHER, np.uint16), np.full_like(LUMA, 255)], axis=2)
    first: Frame = (opaque, (0, 0), 0, 0)
    second: Frame = (other, (0, 0), 0, 0)
    part: Frame = (opaque[50:], (0, 50), 0, 0)
    beyond: Frame = (opaque, (10, 10), 0, 0)
    both = animation(first, second)
    hidden = animation(first, second, hidden=other)
    says_two = chunk(b"acTL", struct.pack(">II", 2, 0))
    for name, data in {
        "plain": both,
        "of one frame": animation(first),
        "faded": animation((FADED_RGB, (0, 0), 0, 0), second),
        "faded and blended": animation((FADED_RGB, (0, 0), 1, 1), second),
        "first frame disposed of": animation((opaque, (0, 0), 2, 0), second),
        "hidden image": hidden,
        "hidden image, one frame": animation(first, hidden=other),
        "hidden image, first frame a part": animation(part, second, hidden=other),
        "hidden image, first frame beyond the page": animation(beyond, second, hidden=other),
        "says 0 frames": animation(first, second, count=0),
        "hidden image, says 0 frames": animation(first, second, hidden=other, count=0),
        "says more frames than there are": animation(first, second, count=5),
        "says fewer frames than there are": animation(first, second, count=1),
        "says so behind the pixels": animation(first, second, late=True),
        "says so twice": hidden.replace(says_two, 2 * says_two),
        "does not say so": hidden.replace(says_two, b""),
        "second frame cut": both[:-10_000],
        "hidden image, second frame cut": hidden[:-10_000],
        "hidden image, first frame cut": animation(first, hidden=other)[:-10_000],
    }.items():
        yield f"animated, {name}", data
