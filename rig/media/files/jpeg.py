"""JPEG files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rig.media.files.parts import (
    ADOBE_RGB,
    DARK,
    GREY,
    HEIGHT,
    LARGE,
    LONG,
    OTHER,
    PHOTO,
    SHORT,
    TYPES,
    XMP,
    cut,
    entry,
    exif,
    grey_profile,
    in_light_inks,
    profiles,
    table_profile,
    tiff,
    with_zeros,
)
from rig.media.pictures import encode

ARITHMETIC = Path(__file__).parent
"""Folder of files of ``cjpeg -quality 50 -arithmetic [-progressive]``: Pillow cannot write them."""
EXIF = b"Exif\0\0"
ICC = b"ICC_PROFILE\0"
OF_XMP = b"http://ns.adobe.com/xap/1.0/\0"
MAKER, SOFTWARE = (struct.pack("<HHI4s", tag, 2, 4, b"Abc\0") for tag in (0x010F, 0x0131))
"""Entries of a directory that come before the orientation, and after it."""
PLAIN = encode(PHOTO, "JPEG", quality=90)
PROGRESSIVE = encode(PHOTO, "JPEG", progressive=True)
CMYK = encode(PHOTO.convert("CMYK"), "JPEG", quality=90)

SAMPLING = {
    "4:4:4": 0x111111,
    "4:2:2": 0x211111,
    "4:2:0": 0x221111,
    "4:1:1": 0x411111,
    "4:4:0": 0x121111,
}


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def app1(block: bytes, prefix: bytes = EXIF) -> bytes:
    return segment(0xE1, prefix + block)


def with_segments(*segments: bytes, data: bytes = PLAIN, before: bytes = b"") -> bytes:
    """Insert segments behind the first marker, or before the segment that starts so."""
    at = data.index(before) if before else 2
    return data[:at] + b"".join(segments) + data[at:]


def app2(profile: bytes, *parts: tuple[int, int]) -> bytes:
    """Return a profile in parts, each with its number and how many it says there are."""
    size = -(-len(profile) // len(parts))
    return b"".join(
        segment(0xE2, ICC + bytes([number, count]) + profile[(number - 1) * size :][:size])
        for number, count in parts
    )


def without_marks(data: bytes) -> bytes:
    at = 2
    while 0xE0 <= data[at + 1] <= 0xEF:
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return data[:2] + data[at:]


def sampled(factor: int) -> bytes:
    pixels = np.asarray(PHOTO)[:, :, ::-1]
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])[1].tobytes()


def ycck() -> bytes:
    """Return four colours as Photoshop writes them."""
    *inks, key = PHOTO.convert("CMYK").split()
    planes = Image.merge("RGB", inks).convert("YCbCr").split()
    inverted = [plane.point(lambda level: 255 - level) for plane in planes]
    data = encode(Image.merge("CMYK", (*inverted, key)), "JPEG", quality=95, subsampling=0)
    return data.replace(b"Adobe\0\x64\0\0\0\0\0", b"Adobe\0\x64\0\0\0\0\2")


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


def with_height(height: int) -> bytes:
    at = PLAIN.index(b"\xff\xc0") + 5
    return PLAIN[:at] + struct.pack(">H", height) + PLAIN[at + 2 :]


def files() -> Iterator[tuple[str, bytes]]:
    yield "plain", PLAIN
    yield "large", encode(LARGE, "JPEG", quality=90)
    for quality in (10, 50, 100):
        yield f"quality {quality}", encode(PHOTO, "JPEG", quality=quality)
    yield "progressive", PROGRESSIVE
    for name, factor in SAMPLING.items():
        yield name, sampled(factor)
    yield "restart markers", encode(PHOTO, "JPEG", restart_marker_blocks=9)
    for path in sorted(ARITHMETIC.glob("*.jpeg")):
        yield path.stem, path.read_bytes()
        # More before the pixels than Pillow reads at once.
        long = segment(0xFE, bytes(54_998))
        yield f"{path.stem}, long comment", with_segments(long, data=path.read_bytes())
    yield "grey", encode(GREY, "JPEG")
    yield "grey, progressive", encode(GREY, "JPEG", progressive=True)
    yield "RGB", encode(PHOTO, "JPEG", keep_rgb=True)
    yield "RGB without marks", without_marks(encode(PHOTO, "JPEG", keep_rgb=True))
    yield "without marks", without_marks(PLAIN)
    for transform in (0, 1, 2):
        yield f"Adobe {transform}", with_segments(adobe(transform), data=without_marks(PLAIN))
        yield f"Adobe {transform} behind JFIF", with_segments(adobe(transform), before=b"\xff\xdb")
    yield "CMYK", CMYK
    yield "CMYK, progressive", encode(PHOTO.convert("CMYK"), "JPEG", progressive=True)
    yield "CMYK without marks", without_marks(CMYK)
    yield "YCCK", ycck()
    yield from orientations()
    yield from coloured()
    yield from damaged()


def orientations() -> Iterator[tuple[str, bytes]]:
    for value in range(10):
        yield f"orientation {value}", with_segments(app1(exif(value)))
    yield "orientation, big-endian", with_segments(app1(exif(6, order=">")))
    for kind, (name, _) in TYPES.items():
        for count in (0, 1, 2, 3) if kind == SHORT else (1, 2):
            yield f"orientation, {count} {name}", with_segments(app1(exif(6, kind, count)))
    yield "orientation, LONG, big-endian", with_segments(app1(exif(6, LONG, order=">")))
    for prefix in (b"Exif\0\xff", b"exif\0\0", b"Exif", b"Exif\0", b"Exif\1\0", b""):
        yield f"orientation, prefix {prefix!r}", with_segments(app1(exif(6), prefix))
    upright, turned = exif(1), exif(6)
    blocks = {
        "in the second of two blocks": app1(upright) + app1(turned),
        "in the first of two blocks": app1(turned) + app1(upright),
        "none in the first of two blocks": app1(tiff([])) + app1(turned),
        "first block damaged": app1(b"II") + app1(turned),
        "behind XMP": app1(XMP, OF_XMP) + app1(turned),
        "in XMP": app1(XMP, OF_XMP),
        "directory further on": app1(tiff([entry(6)], at=30)),
        "directory outside": app1(turned[:4] + b"\xff\xff\0\0" + turned[8:]),
        "twice, 6 first": app1(tiff([entry(6), entry(1)])),
        "twice, 6 last": app1(tiff([entry(1), entry(6)])),
        "twice, LONG first": app1(tiff([entry(6, 4), entry(3)])),
        "in the second directory": app1(
            tiff([], following=struct.pack("<IH", 14, 1) + entry(6) + bytes(4))
        ),
        "as 262": app1(exif(262)),
        "block cut in the entry": app1(turned[:16]),
        "block cut behind the entry": app1(turned[:22]),
        "more entries said than there are": app1(turned[:8] + b"\5\0" + turned[10:]),
        "behind another entry": app1(tiff([MAKER, entry(6)])),
        "behind a higher entry": app1(tiff([SOFTWARE, entry(6)])),
        "magic 43": app1(turned[:2] + b"\x2b" + turned[3:]),
        "byte order of none": app1(b"XX" + turned[2:]),
    }
    for name, block in blocks.items():
        yield f"orientation, {name}", with_segments(block)
    behind = {"tables": b"\xff\xc0", "the size": b"\xff\xc4", "Huffman tables": b"\xff\xda"}
    for name, marker in behind.items():
        data = with_segments(app1(exif(6)), before=marker)
        yield f"orientation, behind {name}", data
    yield "orientation, behind the pixels", PLAIN[:-2] + app1(exif(6)) + PLAIN[-2:]
    yield "orientation, progressive", with_segments(app1(exif(6)), data=PROGRESSIVE)
    size = struct.pack("<HHII", 0xA002, 4, 1, 50) + struct.pack("<HHII", 0xA003, 4, 1, 50)
    inner = struct.pack("<HHII", 0x8769, 4, 1, 38)
    block = tiff([entry(6), inner], following=bytes(4) + b"\2\0" + size + bytes(4))
    yield "orientation, with another size in EXIF", with_segments(app1(block))


def coloured() -> Iterator[tuple[str, bytes]]:
    for name, profile in profiles().items():
        parts = [(1, 2), (2, 2)] if len(profile) > 0xFF00 else [(1, 1)]
        yield f"profile, {name}", with_segments(app2(profile, *parts))
    placed = {
        "in two parts": app2(DARK, (1, 2), (2, 2)),
        "in two parts, the second first": app2(DARK, (2, 2), (1, 2)),
        "in two parts of three": app2(DARK, (1, 3), (2, 3)),
        "in two parts, each the first": app2(DARK, (1, 2), (1, 2)),
        "in two parts, of different counts": app2(DARK, (1, 2), (2, 3)),
        "in a part 0 of 1": app2(DARK, (1, 1)).replace(ICC + b"\1\1", ICC + b"\0\1"),
        "in a part 1 of 0": app2(DARK, (1, 0)),
        "twice": app2(DARK, (1, 1)) + app2(ADOBE_RGB, (1, 1)),
        "prefix in small letters": app2(DARK, (1, 1)).replace(ICC, ICC.lower()),
    }
    for name, segments in placed.items():
        yield f"profile {name}", with_segments(segments)
    for name, marker in {"size": b"\xff\xc4", "Huffman tables": b"\xff\xda"}.items():
        data = with_segments(app2(DARK, (1, 1)), before=marker)
        yield f"profile behind the {name}", data
    inks = encode(in_light_inks(), "JPEG", icc_profile=table_profile(), quality=95)
    yield "CMYK in light inks, with their profile", inks
    grey = encode(GREY, "JPEG")
    for name, profile in {
        "grey": grey_profile(1.2),
        "grey of 1.8": grey_profile(1.8),
        "RGB": DARK,
        "CMYK": table_profile(),
    }.items():
        data = with_segments(app2(profile, (1, 1)), data=grey)
        yield f"grey, profile of {name}", data
    for name, data in {"CMYK": CMYK, "YCCK": ycck()}.items():
        for kind, profile in {
            "inks, 8 bits": table_profile(),
            "inks, 16 bits": table_profile(deep=True),
            "RGB": DARK,
        }.items():
            with_profile = with_segments(app2(profile, (1, 1)), data=data)
            yield f"{name}, profile of {kind}", with_profile


def damaged() -> Iterator[tuple[str, bytes]]:
    large = encode(LARGE, "JPEG", quality=90)
    yield "no end", PLAIN[:-2]
    yield "half an end", PLAIN[:-1]
    for name, data in {"plain": PLAIN, "large": large, "progressive": PROGRESSIVE}.items():
        yield from cut(data, of=f"{name}, ")
    yield "no pixels", PLAIN[: PLAIN.index(b"\xff\xda") + 14]
    yield "bytes behind the end", PLAIN + OTHER.tobytes()[:500]
    yield "another picture behind the end", PLAIN + encode(OTHER, "JPEG")
    yield "bytes before the first segment", with_segments(b"\0\0\0")
    yield "a segment too short", with_segments(b"\xff\xe5\0\1")
    for name, content in {
        "no segment": b"\xff\x01",
        "a JFIF segment too short": segment(0xE0, b"JFIF"),
        "an Adobe segment too short": segment(0xEE, b"Adobe"),
        "a profile too short": segment(0xE2, ICC),
        "a Photoshop segment too short": segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed"),
    }.items():
        yield name, with_segments(content)
        yield f"{name}, behind JFIF", with_segments(content, before=b"\xff\xdb")
    yield "fill bytes before a marker", with_segments(b"\xff\xff\xff", before=b"\xff\xdb")
    middle = len(PLAIN) // 2
    yield "zeros in the pixels", with_zeros(PLAIN)
    yield "an end in the pixels", PLAIN[:middle] + b"\xff\xd9" + PLAIN[middle:]
    yield "a marker in the pixels", PLAIN[:middle] + b"\xff\xe0\0\4ab" + PLAIN[middle:]
    yield "higher than its data", with_height(2 * HEIGHT)
    yield "lower than its data", with_height(100)
    yield "of no height", with_height(0)
    restarts = encode(PHOTO, "JPEG", restart_marker_blocks=9)
    yield "a restart marker missing", restarts.replace(b"\xff\xd3", b"", 1)
    yield "orientation and cut", with_segments(app1(exif(6)))[:middle]
