"""GIF files, written by hand with codes that compress nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rig.media.files.parts import GREY, OTHER, PALETTE, PHOTO, cut
from rig.media.pictures import encode

Indices = NDArray[np.uint8]

FIRST: Indices = np.asarray(PALETTE)
COLOURS = bytes(PALETTE.getpalette() or ())
SECOND_IMAGE = OTHER.quantize(palette=PALETTE)
SECOND: Indices = np.asarray(SECOND_IMAGE)
OTHER_COLOURS = COLOURS[384:] + COLOURS[:384]


def compressed(indices: Indices) -> bytes:
    """Return indices in codes of 9 bits, and a code to start anew before there are longer ones."""
    flat = indices.ravel().astype(np.uint16)
    padded = np.pad(flat, (0, -len(flat) % 250)).reshape(-1, 250)
    codes = np.column_stack([np.full(len(padded), 256, np.uint16), padded]).ravel()
    codes = np.append(codes[: len(codes) - (padded.size - len(flat))], 257)
    bits = (codes[:, None] >> np.arange(9) & 1).astype(np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    blocks = (packed[at : at + 255] for at in range(0, len(packed), 255))
    return b"\x08" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"


def frame(
    indices: Indices = FIRST,
    place: tuple[int, int] = (0, 0),
    *,
    clear: int | None = None,
    disposal: int = 0,
    colours: bytes = b"",
    interlaced: bool = False,
    size: tuple[int, int] | None = None,
) -> bytes:
    """Return a frame; ``clear`` is the index that is transparent, ``colours`` a local palette."""
    flags = disposal << 2 | (clear is not None)
    control = b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 10, clear or 0, 0)
    if interlaced:
        rows = [*range(0, len(indices), 8), *range(4, len(indices), 8)]
        indices = indices[[*rows, *range(2, len(indices), 4), *range(1, len(indices), 2)]]
    packed = (0x80 | 7 if colours else 0) | interlaced << 6
    width, height = size or indices.shape[::-1]
    head = b"\x2c" + struct.pack("<HHHHB", *place, width, height, packed)
    return control + head + colours + compressed(indices)


def gif(
    *frames: bytes,
    size: tuple[int, int] = PHOTO.size,
    colours: bytes = COLOURS,
    background: int = 0,
    version: bytes = b"89a",
    end: bytes = b"\x3b",
) -> bytes:
    packed = 0xF7 if colours else 0x70
    head = b"GIF" + version + struct.pack("<HHBBB", *size, packed, background, 0)
    return head + colours + b"".join(frames) + end


MOST = int(np.bincount(FIRST.ravel()).argmax())
LOOP = b"\x21\xff\x0bNETSCAPE2.0\x03\1\0\0\0"


def files() -> Iterator[tuple[str, bytes]]:
    second = frame(SECOND)
    yield "of Pillow", encode(PHOTO, "GIF")
    yield "grey", encode(GREY, "GIF")
    yield "plain", gif(frame())
    yield "version 87a", gif(frame(), version=b"87a")
    yield "version unknown", gif(frame(), version=b"88a")
    yield "interlaced", gif(frame(interlaced=True))
    yield "local palette", gif(frame(colours=COLOURS), colours=OTHER_COLOURS)
    yield "local palette alone", gif(frame(colours=COLOURS), colours=b"")
    yield "no palette", gif(frame(), colours=b"")
    yield "a transparent index", gif(frame(clear=MOST))
    yield "a transparent index of the background", gif(frame(clear=MOST), background=MOST)
    yield "a transparent index that is nowhere", gif(frame(FIRST & np.uint8(0xFE), clear=255))
    yield "two frames", gif(LOOP, frame(), second)
    yield "two frames without a loop", gif(frame(), second)
    for disposal in (1, 2, 3, 4, 7):
        data = gif(frame(clear=MOST, disposal=disposal), second)
        yield f"two frames, disposal {disposal}", data
    for clear in (None, MOST):
        of = "" if clear is None else ", a transparent index"
        for disposal in (0, 2, 3):
            part = frame(FIRST[30:110, 40:180], (40, 30), clear=clear, disposal=disposal)
            yield f"first frame a part, disposal {disposal}{of}", gif(part, second, background=3)
        part = frame(FIRST[30:110, 40:180], (40, 30), clear=clear)
        yield f"a part alone{of}", gif(part, background=3)
    yield from pages(second)
    yield from damaged(second)


def pages(second: bytes) -> Iterator[tuple[str, bytes]]:
    large, small = (300, 200), (150, 110)
    yield "page larger", gif(frame(), size=large, background=3)
    yield "page larger, two frames", gif(frame(), second, size=large)
    yield "page smaller", gif(frame(), size=small)
    yield "page smaller, two frames", gif(frame(), second, size=small)
    inner = frame(FIRST[:110, :150])
    yield "page smaller, second frame larger", gif(inner, second, size=small)
    yield "page smaller, first frame with an offset", gif(frame(place=(20, 30)), size=small)
    yield "frame beyond the page", gif(frame(place=(100, 60)))
    yield "page of no size", gif(frame(), size=(0, 0))
    yield "page of no size, an offset", gif(frame(place=(10, 10)), size=(0, 0))
    yield "frame of no size first", gif(frame(FIRST[:0, :0]), frame())


def damaged(second: bytes) -> Iterator[tuple[str, bytes]]:
    yield "two frames at once", gif(frame().replace(b"\x0a\0", b"\0\0", 1), second)
    comment, clear = b"\x21\xfe\x02ab\0", frame(clear=MOST)[:8]
    yield "a comment between control and frame", gif(clear + comment + frame()[8:])
    yield "two controls", gif(clear + frame())
    yield "no end", gif(frame(), end=b"")
    yield "no end, two frames", gif(frame(), second, end=b"")
    yield "second frame cut", gif(frame(), second, end=b"")[: -len(second) // 2]
    yield "bytes behind the end", gif(frame()) + bytes(50)
    yield "bytes between frames", gif(frame(), b"\0\0\0", second)
    yield "unknown bytes first", gif(b"abc", frame())
    whole = gif(frame())
    yield from cut(whole)
    interlaced = gif(frame(interlaced=True))
    yield from cut(interlaced, 0.6, of="interlaced, ")
    half = frame(FIRST[:80], size=PHOTO.size)
    yield "half of the rows missing", gif(half)
    yield "more rows than there are", gif(frame(np.vstack([FIRST, FIRST]), size=PHOTO.size))
    short = bytearray(gif(frame()))
    short[10] = 0xF6  # a palette of 128 colours
    yield "palette of 128, indices beyond it", bytes(short[: 13 + 384] + short[13 + 768 :])
