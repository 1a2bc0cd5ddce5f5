"""PNG files, written by hand: every type and depth, and orientations."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rig.media.files.parts import (
    CORNERS,
    FADED,
    GREY,
    LARGE,
    LONG,
    PALETTE,
    PHOTO,
    SSHORT,
    XMP,
    exif,
)
from rig.media.pictures import chunk, encode

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREYS, COLOURS, INDICES, GREY_ALPHA, COLOURS_ALPHA = 0, 2, 3, 4, 6
ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
"""Of each pass: first row and column, and steps between rows and columns."""

Samples = NDArray[np.uint16]


def lines(samples: Samples, depth: int) -> bytes:
    """Pack samples, shape (height, width, bands), as lines without a filter."""
    height, width, bands = samples.shape
    if not height * width:
        return b""
    flat = samples.reshape(height, width * bands)
    if depth == 16:
        packed = flat.astype(">u2").view(np.uint8)
    else:
        places = np.arange(depth - 1, -1, -1)
        packed = np.packbits((flat[..., None] >> places & 1).reshape(height, -1), axis=1)
    return b"".join(b"\0" + line.tobytes() for line in packed)


def packed(samples: Samples, depth: int, *, interlaced: bool = False) -> bytes:
    if not interlaced:
        return zlib.compress(lines(samples, depth), 1)
    passes = (samples[top::down, left::right] for top, left, down, right in ADAM7)
    return zlib.compress(b"".join(lines(part, depth) for part in passes), 1)


def header(size: tuple[int, int], colour: int, depth: int, *, interlaced: bool = False) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced))


def png(
    samples: Samples,
    colour: int = COLOURS,
    depth: int = 8,
    before: bytes = b"",
    after: bytes = b"",
    *,
    interlaced: bool = False,
) -> bytes:
    """Return a file with chunks before and after its pixels."""
    height, width, _ = samples.shape
    head = SIGNATURE + header((width, height), colour, depth, interlaced=interlaced)
    pixels = chunk(b"IDAT", packed(samples, depth, interlaced=interlaced))
    return head + before + pixels + after + chunk(b"IEND")


RGB: Samples = np.asarray(PHOTO, np.uint16)
LUMA: Samples = np.asarray(GREY, np.uint16)[..., None]
FADED_RGB: Samples = np.asarray(FADED, np.uint16)
ENTRIES: Samples = np.asarray(PALETTE, np.uint16)[..., None]
ENTRY_COLOURS = bytes(PALETTE.getpalette() or ())
PLTE = chunk(b"PLTE", ENTRY_COLOURS)
FADED_GREY: Samples = np.concatenate([LUMA, FADED_RGB[..., 3:]], axis=2)


def plain(before: bytes = b"", after: bytes = b"") -> bytes:
    return png(RGB, before=before, after=after)


def deep(samples: Samples, depth: int) -> Samples:
    """Return samples of 8 bits at another depth."""
    if depth == 16:
        return samples * np.uint16(256) + samples[::-1, ::-1]
    return samples >> np.uint16(8 - depth)


def transparent(levels: Samples, colour: int, depth: int) -> bytes:
    """Return a file of which the most frequent level is transparent, in all bands."""
    key = int(np.bincount(levels.ravel()).argmax())
    return png(levels, colour, depth, chunk(b"tRNS", struct.pack(">H", key) * levels.shape[2]))


def indexed(before: bytes = PLTE, after: bytes = b"", samples: Samples = ENTRIES) -> bytes:
    return png(samples, INDICES, 8, before, after)


def files() -> Iterator[tuple[str, bytes]]:
    yield "of Pillow", encode(PHOTO, "PNG", optimize=True)
    yield "large", encode(LARGE, "PNG")
    yield "corners transparent", encode(CORNERS, "PNG")
    yield from types(interlaced=False)
    yield from types(interlaced=True)
    yield from transparency()
    yield from palettes()
    for name, content in {
        "bKGD": chunk(b"bKGD", struct.pack(">3H", 255, 0, 0)),
        "sBIT of 5": chunk(b"sBIT", bytes([5, 5, 5])),
        "pHYs": chunk(b"pHYs", struct.pack(">IIB", 1, 4, 0)),
        "oFFs": chunk(b"oFFs", struct.pack(">iiB", 50, 50, 0)),
        "text": chunk(b"tEXt", b"Comment\0text"),
        "an unknown chunk": chunk(b"abCd", b"text"),
    }.items():
        yield f"with {name}", plain(content)
    yield "bKGD with alpha", png(FADED_RGB, COLOURS_ALPHA, 8, chunk(b"bKGD", bytes(6)))
    yield from orientations()


def types(*, interlaced: bool) -> Iterator[tuple[str, bytes]]:
    of = "bits, interlaced" if interlaced else "bits"
    for depth in (1, 2, 4, 8, 16):
        data = png(deep(LUMA, depth), GREYS, depth, interlaced=interlaced)
        yield f"grey of {depth} {of}", data
    for depth in (1, 2, 4, 8):
        few = PHOTO.quantize(2**depth)
        plte = chunk(b"PLTE", bytes(few.getpalette() or ()))
        entries = np.asarray(few, np.uint16)[..., None]
        yield f"palette of {depth} {of}", png(entries, INDICES, depth, plte, interlaced=interlaced)
    samples = {COLOURS: RGB, GREY_ALPHA: FADED_GREY, COLOURS_ALPHA: FADED_RGB}
    for colour, stored in samples.items():
        yield f"type {colour} of 8 {of}", png(stored, colour, interlaced=interlaced)
        yield f"type {colour} of 16 {of}", png(deep(stored, 16), colour, 16, interlaced=interlaced)


def transparency() -> Iterator[tuple[str, bytes]]:
    white = np.concatenate([np.full_like(RGB, 255), 255 - LUMA], axis=2)
    yield "white with the picture in alpha", png(white, COLOURS_ALPHA)
    for depth in (1, 2, 4, 8, 16):
        data = transparent(deep(LUMA, depth), GREYS, depth)
        yield f"a grey of {depth} bits transparent", data
    coarse = np.repeat(LUMA >> np.uint16(4) << np.uint16(4), 3, axis=2)
    yield "a colour of 8 bits transparent", transparent(coarse, COLOURS, 8)
    yield "a colour of 16 bits transparent", transparent(coarse * np.uint16(257), COLOURS, 16)
    absent = chunk(b"tRNS", struct.pack(">3H", 0, 1, 0))
    yield "a colour that is nowhere transparent", png(coarse, COLOURS, 8, absent)
    yield "tRNS beside alpha", png(FADED_RGB, COLOURS_ALPHA, 8, chunk(b"tRNS", bytes(6)))


def palettes() -> Iterator[tuple[str, bytes]]:
    alphas = chunk(b"tRNS", bytes(range(256)))
    some = chunk(b"tRNS", bytes(range(0, 180, 2)))
    of_90 = chunk(b"PLTE", ENTRY_COLOURS[: 3 * 90])
    yield "palette, alpha of all", indexed(PLTE + alphas)
    yield "palette, alpha of a few", indexed(PLTE + some)
    yield "palette, alpha of none", indexed(PLTE + chunk(b"tRNS"))
    yield "palette, more alphas than colours", indexed(of_90 + alphas, samples=ENTRIES % 90)
    yield "palette, alpha before it", indexed(alphas + PLTE)
    yield "palette, alpha after the pixels", indexed(PLTE, alphas)
    for count in (200, 100):
        short = chunk(b"PLTE", ENTRY_COLOURS[: 3 * count])
        yield f"palette of {count}, indices beyond", indexed(short)
    few = np.asarray(PHOTO.quantize(16), np.uint16)[..., None]
    yield "palette of 256 for 4 bits", png(few, INDICES, 4, PLTE)
    yield "palette of RGB", plain(PLTE)
    yield "palette of grey", png(LUMA, GREYS, 8, PLTE)
    yield "two palettes", indexed(PLTE + chunk(b"PLTE", bytes(768)))
    yield "no palette", indexed(b"")
    yield "palette after the pixels", indexed(b"", PLTE)
    yield "palette of no whole colours", indexed(chunk(b"PLTE", ENTRY_COLOURS[:-1]))


def orientations() -> Iterator[tuple[str, bytes]]:
    turned, upright = chunk(b"eXIf", exif(6)), chunk(b"eXIf", exif(1))
    for value in range(1, 9):
        yield f"eXIf {value}", plain(chunk(b"eXIf", exif(value)))
    for name, block in {
        "big-endian": exif(6, order=">"),
        "LONG": exif(6, LONG),
        "SSHORT": exif(6, SSHORT),
        "2 SHORT": exif(6, count=2),
        "with a prefix": b"Exif\0\0" + exif(6),
        "cut": exif(6)[:12],
    }.items():
        yield f"eXIf, {name}", plain(chunk(b"eXIf", block))
    yield "eXIf after the pixels", plain(after=turned)
    yield "eXIf 1 before, 6 after the pixels", plain(upright, turned)
    yield "two eXIf, 6 first", plain(turned + upright)
    yield "two eXIf, 6 last", plain(upright + turned)
    yield "eXIf of a palette", indexed(turned + PLTE)
    yield "eXIf, interlaced", png(RGB, before=turned, interlaced=True)
    yield "eXIf with a wrong sum", plain(turned[:-1] + bytes([turned[-1] ^ 1]))
    raw = (b"Exif\0\0" + exif(6)).hex()
    text = f"\nexif\n{len(raw) // 2:8}\n{raw}\n".encode()
    yield "orientation in tEXt", plain(chunk(b"tEXt", b"Raw profile type exif\0" + text))
    packed_text = b"Raw profile type exif\0\0" + zlib.compress(text)
    yield "orientation in zTXt", plain(chunk(b"zTXt", packed_text))
    yield "orientation in XMP", plain(chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP))
