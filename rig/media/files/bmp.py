"""BMP files, of every header and depth."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rig.media.files.parts import ADOBE_RGB, DARK, FADED, GREY, HEIGHT, PALETTE, PHOTO, WIDTH, cut
from rig.media.pictures import encode

RGB, RLE8, RLE4, BITFIELDS, JPEG, PNG, ALPHABITFIELDS = range(7)
PIXELS = np.asarray(PHOTO)

_XYZ = (0.64, 0.33, 0.03, 0.3, 0.6, 0.1, 0.15, 0.06, 0.79)
LINEAR = struct.pack("<I12I", 0, *(int(value * 2**30) for value in _XYZ), *[1 << 16] * 3)
"""A space of its own: primaries with 30 bits after the point, and gammas of 1 with 16."""


def rows(lines: NDArray[np.uint8]) -> bytes:
    """Return lines, from below upwards, each filled up to 4 bytes."""
    flat = np.ascontiguousarray(lines[::-1]).reshape(len(lines), -1)
    return np.pad(flat, ((0, 0), (0, -flat.shape[1] % 4))).tobytes()


def palette(colours: int, entry_bytes: int = 4) -> bytes:
    entries = np.array(PHOTO.quantize(colours).getpalette(), np.uint8).reshape(-1, 3)[:colours]
    filled = np.zeros((colours, entry_bytes), np.uint8)
    filled[: len(entries), :3] = entries[:, ::-1]
    return filled.tobytes()


def indices(depth: int) -> NDArray[np.uint8]:
    values = np.asarray(PHOTO.quantize(1 << depth))
    places = np.arange(depth - 1, -1, -1)
    return np.packbits(
        (values[..., None] >> places & 1).reshape(HEIGHT, -1).astype(np.uint8), axis=1
    )


def bmp(
    pixels: bytes,
    depth: int,
    compression: int = RGB,
    *,
    header_bytes: int = 40,
    masks: tuple[int, ...] = (),
    colours: bytes = b"",
    space: bytes = b"BGRs" + bytes(48),
    profile: bytes = b"",
) -> bytes:
    if header_bytes == 12:
        head = struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, depth)
    else:
        size = header_bytes, WIDTH, HEIGHT
        rest = compression, len(pixels), 2835, 2835, len(colours) // 4, 0
        head = struct.pack("<IiiHHIIiiII", *size, 1, depth, *rest)
        head += b"".join(struct.pack("<I", mask) for mask in masks)
        if header_bytes >= 108:
            head = head.ljust(56, b"\0") + space
        if header_bytes == 124:
            at = 124 + len(colours) + len(pixels)
            head += struct.pack("<IIII", 4, at if profile else 0, len(profile), 0)
    offset = 14 + len(head) + len(colours)
    whole = offset + len(pixels) + len(profile)
    return b"BM" + struct.pack("<IHHI", whole, 0, 0, offset) + head + colours + pixels + profile


def rle8() -> bytes:
    """Return runs of one index, and literal ones, of the rows from below."""
    data = b""
    for line in np.asarray(PALETTE)[::-1]:
        data += bytes([0, 150]) + line[:150].tobytes()
        data += b"".join(bytes([1, value]) for value in line[150:]) + b"\0\0"
    return data + b"\0\1"


def rle4() -> bytes:
    data = b""
    for line in np.asarray(PHOTO.quantize(16))[::-1]:
        pairs = np.pad(line, (0, 1)).reshape(-1, 2)
        data += b"".join(bytes([2, left << 4 | right]) for left, right in pairs[:-1].tolist())
        data += bytes([1, int(pairs[-1, 0]) << 4]) + b"\0\0"
    return data + b"\0\1"


def sixteen(red: int, green: int, blue: int) -> bytes:
    """Return pixels of 16 bits, of so many bits a colour."""
    levels = PIXELS.astype(np.uint16)
    values = levels[..., 0] >> (8 - red) << (green + blue)
    values |= levels[..., 1] >> (8 - green) << blue
    values |= levels[..., 2] >> (8 - blue)
    return rows(values.astype("<u2").view(np.uint8))


def files() -> Iterator[tuple[str, bytes]]:
    bgr = rows(PIXELS[..., ::-1])
    bgra = np.asarray(FADED)[..., [2, 1, 0, 3]]
    opaque = np.dstack([PIXELS[..., ::-1], np.full((HEIGHT, WIDTH), 255, np.uint8)])
    clear = np.dstack([PIXELS[..., ::-1], np.zeros((HEIGHT, WIDTH), np.uint8)])
    masks = (0xFF0000, 0xFF00, 0xFF)
    yield "of Pillow", encode(PHOTO, "BMP")
    yield "grey", encode(GREY, "BMP")
    yield "24 bits", bmp(bgr, 24)
    above = bmp(rows(PIXELS[::-1, :, ::-1]), 24)
    yield "24 bits, from above", above[:22] + struct.pack("<i", -HEIGHT) + above[26:]
    for depth in (1, 2, 4, 8):
        data = bmp(rows(indices(depth)), depth, colours=palette(1 << depth))
        yield f"{depth} bits", data
    few = rows(np.asarray(PHOTO.quantize(100)))
    yield "8 bits, 100 colours", bmp(few, 8, colours=palette(100))
    beyond = bmp(rows(indices(8)), 8, colours=palette(256)[:400])
    yield "8 bits, indices beyond 100 colours", beyond
    for header_bytes in (12, 52, 56, 64, 108, 124):
        unused = (0,) * ((min(header_bytes, 64) - 40) // 4)
        data = bmp(bgr, 24, header_bytes=header_bytes, masks=unused)
        yield f"24 bits, header of {header_bytes}", data
    yield "8 bits, header of 12", bmp(rows(indices(8)), 8, header_bytes=12, colours=palette(256, 3))
    yield "runs of 8 bits", bmp(rle8(), 8, RLE8, colours=palette(256))
    yield "runs of 4 bits", bmp(rle4(), 4, RLE4, colours=palette(16))
    yield "runs with a gap", bmp(rle8()[2:], 8, RLE8, colours=palette(256))
    yield "runs that end early", bmp(rle8()[:18_000] + b"\0\1", 8, RLE8, colours=palette(256))
    yield "16 bits", bmp(sixteen(5, 5, 5), 16)
    yield "16 bits of 555", bmp(sixteen(5, 5, 5), 16, BITFIELDS, masks=(0x7C00, 0x3E0, 0x1F))
    yield "16 bits of 565", bmp(sixteen(5, 6, 5), 16, BITFIELDS, masks=(0xF800, 0x7E0, 0x1F))
    yield "16 bits of 444", bmp(sixteen(4, 4, 4), 16, BITFIELDS, masks=(0xF00, 0xF0, 0xF))
    four = (*masks, 0xFF000000)
    for name, pixels in {"opaque": opaque, "faded": bgra, "clear": clear}.items():
        data = rows(pixels)
        yield f"32 bits, {name}", bmp(data, 32)
        yield f"32 bits, masks, {name}", bmp(data, 32, BITFIELDS, masks=masks)
        for size in (56, 108, 124):
            masked = bmp(data, 32, BITFIELDS, header_bytes=size, masks=four)
            yield f"32 bits, mask of alpha, header of {size}, {name}", masked
        yield f"32 bits, BI_ALPHABITFIELDS, {name}", bmp(data, 32, ALPHABITFIELDS, masks=four)
        yield f"32 bits, masks unused, {name}", bmp(data, 32, header_bytes=124, masks=four)
    swapped = rows(opaque[..., [2, 1, 0, 3]])
    yield "32 bits, red last", bmp(swapped, 32, BITFIELDS, masks=(0xFF, 0xFF00, 0xFF0000))
    for name, profile in {"gamma 1.2": DARK, "Adobe RGB": ADOBE_RGB}.items():
        yield (
            f"profile, {name}",
            bmp(bgr, 24, header_bytes=124, space=b"DEBM" + bytes(48), profile=profile),
        )
    yield "profile, not named", bmp(bgr, 24, header_bytes=124, profile=DARK)
    yield "calibrated", bmp(bgr, 24, header_bytes=108, space=LINEAR)
    whole = bmp(bgr, 24)
    yield from cut(whole)
    yield "bytes behind the end", whole + bytes(50)
    yield "compressed as JPEG", bmp(encode(PHOTO, "JPEG"), 0, JPEG)
    yield "compressed as PNG", bmp(encode(PHOTO, "PNG"), 0, PNG)
    yield "2 planes", whole[:26] + b"\2" + whole[27:]
    yield "pixels say they start elsewhere", whole[:10] + struct.pack("<I", 60) + whole[14:]
