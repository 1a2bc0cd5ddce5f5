"""AVIF files: coded by Pillow and OpenCV, in boxes put together anew (ISO 14496-12, 23008-12)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from rig.media.files.parts import (
    CORNERS,
    DARK,
    FADED,
    GREY,
    HEIGHT,
    LARGE,
    OTHER,
    PHOTO,
    USUAL,
    WIDTH,
    cut,
    exif,
    grey_profile,
    profiles,
    with_zeros,
)
from rig.media.pictures import encode


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full_box(kind: bytes, content: bytes, version: int = 0) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]) + content)


class Coded(NamedTuple):
    """A picture as AV1 codes it, with the boxes that a decoder needs."""

    data: bytes
    properties: tuple[bytes, ...]
    size: tuple[int, int]


Entries = list[tuple[int, list[int]]]
"""Items, and the numbers of their properties; 32768 is added to those of essential ones."""


def ipma(entries: Entries, version: int = 0, flags: int = 0) -> bytes:
    """Return a box of associations; version 1 has wide items, flags 1 wide properties."""
    content = struct.pack(">BxxBI", version, flags, len(entries))
    for item, properties in entries:
        content += struct.pack(">IB" if version else ">HB", item, len(properties))
        for entry in properties:
            content += struct.pack(">H", entry) if flags else bytes([entry >> 8 | entry & 127])
    return box(b"ipma", content)


def in_one(entries: Entries) -> list[bytes]:
    return [ipma(entries)]


def split(entries: Entries) -> list[bytes]:
    return [ipma([entry]) for entry in entries]


def coded(file: bytes, codec: bytes = b"av1C") -> list[Coded]:
    """Take the pictures out of a file of libheif or libavif: colours, and alpha if there is any."""
    at = file.index(b"iloc") + 4
    base = file[at + 5] >> 4  # bytes of what is added to an offset
    (count,) = struct.unpack_from(">H", file, at + 6)
    numbers = [file.index(codec)]
    if count > 1:
        numbers.append(file.index(codec, numbers[0] + 4))
    place = file.index(b"ispe") + 8
    size = struct.unpack_from(">II", file, place)
    pictures = []
    for item, start in enumerate(numbers):
        entry = at + 8 + item * (14 + base) + 6 + base
        offset, length = struct.unpack_from(">II", file, entry)
        offset += int.from_bytes(file[entry - 2 - base : entry - 2])
        length_of_box = int.from_bytes(file[start - 4 : start])
        pictures.append(
            Coded(file[offset : offset + length], (file[start - 4 :][:length_of_box],), size)
        )
    return pictures


def avif(
    pictures: Sequence[Coded],
    *properties: bytes,
    of_alpha: Sequence[bytes] = (),
    associations: Callable[[Entries], list[bytes]] = in_one,
    essential: bool = True,
    brand: bytes = b"avif",
    kind: bytes = b"av01",
    premultiplied: bool = False,
    block: bytes = b"",
) -> bytes:
    """Return a file of colours and, if there are two pictures, alpha; ``block`` is of EXIF.

    ``associations`` returns the ``ipma`` boxes; ``kind`` is of the pictures.
    """
    kinds: list[bytes] = []
    entries: Entries = []
    auxiliary = full_box(b"auxC", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    every = zip(pictures, (properties, (auxiliary, *of_alpha)), strict=False)
    for item, (picture, more) in enumerate(every, 1):
        own = (full_box(b"ispe", struct.pack(">II", *picture.size)), *picture.properties, *more)
        needed = {b"av1C", b"hvcC"} | ({b"irot", b"imir", b"clap"} if essential else set())
        marks = [property_[4:8] in needed for property_ in own]
        entries.append((item, [len(kinds) + at | mark << 15 for at, mark in enumerate(marks, 1)]))
        kinds += own
    iprp = box(b"iprp", box(b"ipco", b"".join(kinds)) + b"".join(associations(entries)))
    items = [(kind, picture.data) for picture in pictures]
    items += [(b"Exif", bytes(4) + block)] if block else []
    infe = b"".join(
        full_box(b"infe", struct.pack(">HH4s", item, 0, of_item) + b"\0", 2)
        for item, (of_item, _) in enumerate(items, 1)
    )
    iinf = full_box(b"iinf", struct.pack(">H", len(items)) + infe)
    refers = box(b"auxl", struct.pack(">HHH", 2, 1, 1)) if len(pictures) > 1 else b""
    refers += box(b"prem", struct.pack(">HHH", 1, 1, 2)) if premultiplied else b""
    refers += box(b"cdsc", struct.pack(">HHH", len(items), 1, 1)) if block else b""
    iref = full_box(b"iref", refers) if refers else b""
    hdlr = full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))
    pitm = full_box(b"pitm", struct.pack(">H", 1))
    ftyp = box(b"ftyp", brand + bytes(4) + b"avifmif1miaf")

    def whole(start: int) -> bytes:
        extents = b""
        for item, (_, content) in enumerate(items, 1):
            extents += struct.pack(">HHHII", item, 0, 1, start, len(content))
            start += len(content)
        iloc = full_box(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)) + extents)
        return ftyp + full_box(b"meta", hdlr + pitm + iloc + iinf + iref + iprp)

    data = b"".join(content for _, content in items)
    return whole(len(whole(0)) + 8) + box(b"mdat", data)


def nclx(primaries: int, transfer: int, matrix: int = 6, full: int = 1) -> bytes:
    return box(b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, matrix, full << 7))


SRGB = nclx(1, 13)


def with_profile(profile: bytes, kind: bytes = b"prof") -> bytes:
    return box(b"colr", kind + profile)


def clap(
    width: int, height: int, left: int, top: int, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> bytes:
    """Return a clean aperture that begins at ``left`` and ``top``."""
    right, below = 2 * left + width - size[0], 2 * top + height - size[1]
    return box(b"clap", struct.pack(">IIIIiIiI", width, 1, height, 1, right, 2, below, 2))


def irot(quarter_turns: int) -> bytes:
    return box(b"irot", bytes([quarter_turns]))


def imir(axis: int) -> bytes:
    return box(b"imir", bytes([axis]))


def pillow(image: Image.Image, **options: object) -> bytes:
    return encode(image, "AVIF", **{"speed": 10, "quality": 85, **options})


def opencv(depth: int, quality: int, *, grey: bool = False) -> bytes:
    """Return a file of more than 8 bits; of quality 100 without loss, in RGB."""
    pixels = np.asarray(GREY if grey else PHOTO)
    pixels = pixels if grey else pixels[:, :, ::-1]
    if depth > 8:
        pixels = pixels.astype(np.uint16) << np.uint16(depth - 8)
    options = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_QUALITY, quality]
    options += [cv2.IMWRITE_AVIF_SPEED, 10]
    return cv2.imencode(".avif", pixels, options)[1].tobytes()


def files() -> Iterator[tuple[str, bytes]]:
    plain, faded = coded(pillow(PHOTO)), coded(pillow(FADED))
    yield "of Pillow", pillow(PHOTO)
    yield "in boxes of ours", avif(plain, SRGB)
    yield "large", pillow(LARGE)
    for subsampling in ("4:0:0", "4:2:0", "4:2:2", "4:4:4"):
        yield subsampling, pillow(PHOTO, subsampling=subsampling)
        limited = pillow(PHOTO, subsampling=subsampling, range="limited")
        yield f"{subsampling}, limited range", limited
    yield "quality 30", pillow(PHOTO, quality=30)
    yield "tiles", pillow(LARGE, tile_rows=1, tile_cols=1)
    for depth in (8, 10, 12):
        yield f"{depth} bits of OpenCV", opencv(depth, 85)
        yield f"{depth} bits of OpenCV, lossless", opencv(depth, 100)
        yield f"{depth} bits of OpenCV, grey", opencv(depth, 85, grey=True)
    for name, image in {"faded": FADED, "corners transparent": CORNERS}.items():
        yield name, pillow(image)
        yield f"{name}, limited range", pillow(image, range="limited")
        yield f"{name}, premultiplied", pillow(image, alpha_premultiplied=True)
    yield "faded, in boxes of ours", avif(faded, SRGB)
    yield "faded, two ipma boxes", avif(faded, SRGB, associations=split)
    yield "faded, said to be premultiplied", avif(faded, SRGB, premultiplied=True)
    smaller = coded(pillow(FADED.resize((112, 74))))[1]
    yield "faded, alpha of another size", avif([*plain, smaller], SRGB)
    yield "animated", pillow(PHOTO, save_all=True, append_images=[OTHER])
    yield "animated, faded", pillow(FADED, save_all=True, append_images=[OTHER.convert("RGBA")])
    yield from transformed(plain, faded)
    yield from coloured(plain)
    yield from damaged(plain[0])


def transformed(plain: list[Coded], faded: list[Coded]) -> Iterator[tuple[str, bytes]]:
    yield "alpha and turned, both", avif(faded, SRGB, irot(3), of_alpha=[irot(3)])
    yield "alpha and turned, colours alone", avif(faded, SRGB, irot(3))
    for value in range(2, 9):
        yield f"orientation {value} of Pillow", pillow(PHOTO, exif=exif(value))
    for turns in (0, 1, 2, 3):
        yield f"irot {turns}", avif(plain, SRGB, irot(turns))
    yield "irot 5", avif(plain, SRGB, irot(5))
    yield "orientation in EXIF alone", avif(plain, SRGB, block=exif(6))
    yield "orientation in EXIF, another irot", avif(plain, SRGB, irot(1), block=exif(6))
    for axis in (0, 1):
        yield f"imir {axis}", avif(plain, SRGB, imir(axis))
        yield f"irot 1 and imir {axis}", avif(plain, SRGB, irot(1), imir(axis))
        yield f"imir {axis} and irot 1", avif(plain, SRGB, imir(axis), irot(1))
    yield "irot not essential", avif(plain, SRGB, irot(3), essential=False)
    yield "two irot", avif(plain, SRGB, irot(1), irot(1))
    yield (
        "irot and two ipma boxes",
        avif(faded, SRGB, irot(1), of_alpha=[irot(1)], associations=split),
    )
    inner = clap(140, 100, 40, 20)
    yield "clap", avif(plain, SRGB, inner)
    yield "clap at the corner", avif(plain, SRGB, clap(140, 100, 0, 0))
    yield "clap and irot", avif(plain, SRGB, inner, irot(1))
    yield "clap at odd places", avif(plain, SRGB, clap(141, 101, 31, 33))
    yield "clap outside", avif(plain, SRGB, clap(140, 100, 140, 30))
    yield "clap not essential", avif(plain, SRGB, inner, essential=False)
    yield "clap with alpha", avif(faded, SRGB, inner, of_alpha=[inner])
    yield "another size in ispe", avif([plain[0]._replace(size=(112, 74))], SRGB)
    yield "a larger size in ispe", avif([plain[0]._replace(size=(450, 298))], SRGB)
    for ratio in ((1, 2), (2, 1)):
        pasp = box(b"pasp", struct.pack(">II", *ratio))
        yield f"pixels of {ratio[0]}:{ratio[1]}", avif(plain, SRGB, pasp)


def damaged(plain: Coded) -> Iterator[tuple[str, bytes]]:
    for brand in (b"mif1", b"MA1B", b"avis", b"abcd"):
        yield f"brand {brand.decode()}", avif([plain], SRGB, brand=brand)
    for name, data in {"plain": pillow(PHOTO), "faded": pillow(FADED)}.items():
        yield from cut(data, 0.1, 0.6, 0.95, of=f"{name}, ")
    yield "bytes behind the end", pillow(PHOTO) + bytes(50)
    yield "zeros in the pixels", with_zeros(avif([plain], SRGB), 300)
    yield "no av1C", avif([plain._replace(properties=())], SRGB)


def coloured(plain: list[Coded]) -> Iterator[tuple[str, bytes]]:
    def named(name: str, *properties: bytes) -> tuple[str, bytes]:
        return name, avif(plain, *properties)

    yield named("no colr")
    for name, codes in {
        "sRGB": (1, 13, 6),
        "Display P3": (12, 13, 6),
        "BT.709": (1, 1, 1),
        "BT.2020": (9, 14, 9),
        "linear": (1, 8, 6),
        "gamma 2.2": (1, 4, 6),
        "gamma 2.8": (1, 5, 6),
        "PQ": (9, 16, 9),
        "HLG": (9, 18, 9),
        "unspecified": (2, 2, 2),
        "matrix of identity": (1, 13, 0),
        "matrix 1": (1, 13, 1),
        "matrix YCgCo": (1, 13, 8),
    }.items():
        yield named(f"nclx {name}", nclx(*codes))
    yield named("nclx sRGB, limited range", nclx(1, 13, 6, 0))
    for name, profile in profiles(*USUAL, "for grey").items():
        yield named(f"profile, {name}", SRGB, with_profile(profile))
    yield named("profile without nclx", with_profile(DARK))
    yield named("profile before nclx", with_profile(DARK), SRGB)
    yield named("profile and nclx linear", nclx(1, 8, 6), with_profile(DARK))
    yield named("profile of kind rICC", with_profile(DARK, b"rICC"))
    yield named("two nclx, sRGB first", SRGB, nclx(1, 8, 6))
    yield named("two nclx, linear first", nclx(1, 8, 6), SRGB)
    grey = coded(pillow(PHOTO, subsampling="4:0:0"))
    for name, profile in {"grey": grey_profile(1.2), "RGB": DARK}.items():
        data = avif(grey, SRGB, with_profile(profile))
        yield f"4:0:0, profile of {name}", data
