"""WebP files: those of Pillow, and their chunks put together in other ways (RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from rig.media.files.parts import (
    CORNERS,
    DARK,
    FADED,
    GREY,
    LARGE,
    OTHER,
    PHOTO,
    USUAL,
    cut,
    exif,
    profiles,
    with_zeros,
)
from rig.media.pictures import encode

ICC, ALPHA, EXIF, XMP, ANIMATION = 0x20, 0x10, 8, 4, 2

LOSSY = encode(PHOTO, "WEBP", quality=90)
LOSSLESS = encode(PHOTO, "WEBP", lossless=True)
WITH_ALPHA = encode(FADED, "WEBP", quality=90)


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def chunks_of(data: bytes) -> dict[bytes, bytes]:
    """Return the first chunk of each kind, whole."""
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at < len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.setdefault(data[at : at + 4], data[at : at + 8 + size + size % 2])
        at += 8 + size + size % 2
    return chunks


PIXELS = chunks_of(LOSSY)[b"VP8 "]
FADED_PIXELS = chunks_of(WITH_ALPHA)[b"ALPH"] + chunks_of(WITH_ALPHA)[b"VP8 "]


def three(value: int) -> bytes:
    return value.to_bytes(3, "little")


def vp8x(flags: int, width: int = PHOTO.width, height: int = PHOTO.height) -> bytes:
    return chunk(b"VP8X", bytes([flags, 0, 0, 0]) + three(width - 1) + three(height - 1))


def frame(
    pixels: bytes, left: int = 0, top: int = 0, flags: int = 0, size: tuple[int, int] = PHOTO.size
) -> bytes:
    """Return a frame of an animation at an even place."""
    place = three(left // 2) + three(top // 2) + three(size[0] - 1) + three(size[1] - 1)
    return chunk(b"ANMF", place + three(100) + bytes([flags]) + pixels)


def anim(background: bytes = b"\xff" * 4) -> bytes:
    return chunk(b"ANIM", background + bytes(2))


def files() -> Iterator[tuple[str, bytes]]:
    yield "lossy", LOSSY
    yield "large", encode(LARGE, "WEBP")
    yield "lossy, quality 20", encode(PHOTO, "WEBP", quality=20)
    yield "lossless", LOSSLESS
    yield (
        "near lossless of a palette",
        encode(PHOTO.quantize(16).convert("RGB"), "WEBP", lossless=True),
    )
    yield "grey", encode(GREY, "WEBP")
    for name, image in {"faded": FADED, "corners transparent": CORNERS}.items():
        yield f"lossy, {name}", encode(image, "WEBP", quality=90)
        yield f"lossless, {name}", encode(image, "WEBP", lossless=True, exact=True)
    for value in (3, 6, 8):
        yield f"orientation {value}", encode(PHOTO, "WEBP", exif=exif(value))
    yield "orientation with a prefix", encode(PHOTO, "WEBP", exif=b"Exif\0\0" + exif(6))
    yield "orientation before the pixels", riff(vp8x(EXIF), chunk(b"EXIF", exif(6)), PIXELS)
    for name, profile in profiles(*USUAL).items():
        yield f"profile, {name}", riff(vp8x(ICC), chunk(b"ICCP", profile), PIXELS)
    yield "lossless with profile", encode(PHOTO, "WEBP", lossless=True, icc_profile=DARK)
    yield "faded with profile", encode(FADED, "WEBP", icc_profile=DARK)
    yield "profile that no flag tells", riff(vp8x(0), chunk(b"ICCP", DARK), PIXELS)
    yield "profile behind the pixels", riff(vp8x(ICC), PIXELS, chunk(b"ICCP", DARK))
    yield "two profiles", riff(vp8x(ICC), chunk(b"ICCP", DARK), chunk(b"ICCP", b"x"), PIXELS)
    yield "profile without VP8X", riff(chunk(b"ICCP", DARK), PIXELS)
    yield "alpha that no flag tells", riff(vp8x(0), FADED_PIXELS)
    yield "a flag of alpha and none", riff(vp8x(ALPHA), PIXELS)
    yield "another size in VP8X", riff(vp8x(0, 300, 200), PIXELS)
    yield "a smaller size in VP8X", riff(vp8x(0, 150, 100), PIXELS)
    yield "two pictures", riff(vp8x(0), PIXELS, chunks_of(encode(OTHER, "WEBP"))[b"VP8 "])
    yield "an unknown chunk first", riff(vp8x(0), chunk(b"abcd", b"text"), PIXELS)
    other = chunks_of(encode(OTHER, "WEBP"))[b"VP8 "]
    moving = vp8x(ANIMATION | ALPHA)
    yield "animated", encode(PHOTO, "WEBP", save_all=True, append_images=[OTHER])
    yield "animated, faded", encode(FADED, "WEBP", save_all=True, append_images=[OTHER])
    yield "animated, of one frame", riff(moving, anim(), frame(PIXELS))
    yield (
        "animated, no alpha told",
        riff(vp8x(ANIMATION), anim(), frame(FADED_PIXELS), frame(other)),
    )
    yield (
        "animated, with profile",
        riff(vp8x(ANIMATION | ICC), chunk(b"ICCP", DARK), anim(), frame(PIXELS), frame(other)),
    )
    yield (
        "animated, orientation",
        riff(vp8x(ANIMATION | EXIF), anim(), frame(PIXELS), frame(other), chunk(b"EXIF", exif(6))),
    )
    for name, colour in {"white": b"\xff" * 4, "red": b"\0\0\xff\xff", "clear": bytes(4)}.items():
        for flags in (0, 1, 2, 3):
            large = vp8x(ANIMATION | ALPHA, 300, 200)
            data = riff(large, anim(colour), frame(PIXELS, 40, 50, flags), frame(other))
            yield f"animated, first frame a part, on {name}, flags {flags}", data
    yield (
        "animated, first frame a part, no alpha told",
        riff(vp8x(ANIMATION, 300, 200), anim(), frame(PIXELS, 40, 50), frame(other)),
    )
    yield (
        "animated, a frame beyond the page",
        riff(moving, anim(), frame(PIXELS, 40, 50), frame(other)),
    )
    yield "animated, a picture beside it", riff(moving, anim(), frame(PIXELS), frame(other), other)
    yield "animated, that no flag tells", riff(vp8x(0), anim(), frame(PIXELS), frame(other))
    for name, data in {"lossy": LOSSY, "lossless": LOSSLESS, "with alpha": WITH_ALPHA}.items():
        yield from cut(data, 0.4, 0.9, of=f"{name}, ")
    yield "a byte missing", LOSSY[:-1]
    yield "bytes behind the end", LOSSY + bytes(100)
    yield "says less than it is", LOSSY[:4] + struct.pack("<I", 100) + LOSSY[8:]
    yield "says more than it is", LOSSY[:4] + struct.pack("<I", len(LOSSY)) + LOSSY[8:]
    yield "zeros in the pixels", with_zeros(LOSSY)
    two = riff(moving, anim(), frame(PIXELS), frame(other))
    yield "animated, second frame cut", two[: -len(other) // 2]
