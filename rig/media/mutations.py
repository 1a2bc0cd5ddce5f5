"""Make broken picture files: small good ones of every format, and ways to break them."""

from __future__ import annotations

import io
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
import pillow_heif
from PIL import Image
from skimage.data import data_dir

_SIDE_PX = 160


def photograph(side_px: int = _SIDE_PX) -> Image.Image:
    """Return a square photograph with enough detail to have a hash."""
    return Image.open(f"{data_dir}/coffee.png").convert("RGB").resize((side_px, side_px))


def seeds() -> dict[str, list[bytes]]:
    """Return small files by format, in the modes whose decoders differ."""
    picture = photograph()
    alpha = picture.convert("RGBA")
    alpha.putalpha(picture.getchannel("G"))
    grey = picture.convert("L")
    grey_16 = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    frames = {"save_all": True, "append_images": [picture.rotate(90), picture.rotate(180)]}
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "JPEG": [
            _saved(picture, "JPEG", exif=exif.tobytes()),
            _saved(picture, "JPEG", progressive=True, subsampling=0),
            _saved(picture.convert("CMYK"), "JPEG"),
            _saved(grey, "JPEG", restart_marker_blocks=5),
        ],
        "PNG": [
            _saved(picture, "PNG"),
            _saved(alpha, "PNG"),
            _saved(picture.quantize(64), "PNG", transparency=3),
            _saved(grey_16, "PNG"),
            _saved(picture, "PNG", **frames),
        ],
        "WebP": [
            _saved(picture, "WEBP"),
            _saved(alpha, "WEBP", lossless=True),
            _saved(picture, "WEBP", **frames),
        ],
        "AVIF": [_saved(picture, "AVIF", speed=10), _saved(alpha, "AVIF", speed=10)],
        "HEIC": [_heic(picture), _heic(alpha)],
        "GIF": [_saved(picture.quantize(64), "GIF"), _saved(picture, "GIF", **frames)],
        "TIFF": [
            *(
                _saved(picture, "TIFF", compression=name)
                for name in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
            ),
            _saved(grey.convert("1"), "TIFF", compression="group4"),
            _saved(picture.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        ],
        "BMP": [_saved(picture, "BMP"), _saved(picture.quantize(64), "BMP")],
    }


def _saved(image: Image.Image, format_: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def _heic(image: Image.Image) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file)
    return file.getvalue()


def bit_flips(data: bytes, _files: list[bytes], chance: random.Random) -> bytes:
    """Flip one to sixteen bits."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 16)):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def header_bytes(data: bytes, _files: list[bytes], chance: random.Random) -> bytes:
    """Set some of the first bytes to extreme values."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(min(len(broken), 200))
        broken[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF))
    return bytes(broken)


def truncation(data: bytes, _files: list[bytes], chance: random.Random) -> bytes:
    """End the file early."""
    return data[: chance.randrange(len(data))]


def repetition(data: bytes, _files: list[bytes], chance: random.Random) -> bytes:
    """Repeat a part several times."""
    start = chance.randrange(len(data))
    part = data[start : start + chance.randint(1, 400)]
    return data[:start] + part * chance.randint(2, 40) + data[start:]


def removal(data: bytes, _files: list[bytes], chance: random.Random) -> bytes:
    """Remove a part."""
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.randint(1, 400) :]


def splice(data: bytes, files: list[bytes], chance: random.Random) -> bytes:
    """Put the head of one file on the body of another, mostly of another format."""
    body = chance.choice(files)
    at = chance.choice((chance.randint(2, 64), chance.randrange(len(data))))
    return data[:at] + body[chance.choice((at, chance.randrange(len(body)))) :]


def numbers(data: bytes, _files: list[bytes], chance: random.Random) -> bytes:
    """Set a 16- or 32-bit field near the start to a huge, small or negative number."""
    broken = bytearray(data)
    order = chance.choice("<>")
    at = chance.randrange(max(min(len(broken), 400) - 4, 1))
    if chance.random() < 0.5:
        struct.pack_into(f"{order}H", broken, at, chance.choice((0, 1, 0x7FFF, 0x8000, 0xFFFF)))
    else:
        value = chance.choice((0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, len(data)))
        struct.pack_into(f"{order}I", broken, at, value)
    return bytes(broken)


def lying_size(data: bytes, _files: list[bytes], chance: random.Random) -> bytes:
    """Declare another width and height, wherever the format has them."""
    broken = bytearray(data)
    for at, code in _size_fields(data):
        most = (1 << 8 * struct.calcsize(code)) - 1
        value = chance.choice((0, 1, 159, 161, 5000, 7071, 30_000, 65_500, most))
        struct.pack_into(code, broken, at, min(value, most))
    if data.startswith(b"\x89PNG"):
        struct.pack_into(">I", broken, 29, zlib.crc32(broken[12:29]))
    return bytes(broken)


def _size_fields(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield offsets and struct codes of widths and heights."""
    side = _SIDE_PX
    if data.startswith(b"\x89PNG"):
        yield from ((16, ">I"), (20, ">I"))
    elif data.startswith(b"GIF8"):
        yield from ((6, "<H"), (8, "<H"))
    elif data.startswith(b"BM"):
        yield from ((18, "<I"), (22, "<I"))
    elif data.startswith((b"II", b"MM")):
        entry = rb"[\x00\x01]\x01[\x03\x04]\x00\x01\x00\x00\x00" + re.escape(
            struct.pack("<I", side)
        )
        for field_match in re.finditer(entry, data):
            yield field_match.start() + 8, "<I"
    else:  # JPEG's frame header, WebP's chunks, the boxes of AVIF and HEIC
        for code, value in ((">HH", (side, side)), ("<HH", (side, side)), (">II", (side, side))):
            for field_match in re.finditer(re.escape(struct.pack(code, *value)), data):
                size = struct.calcsize(code) // 2
                yield field_match.start(), code[:2]
                yield field_match.start() + size, code[:2]


Mutation: TypeAlias = Callable[[bytes, list[bytes], random.Random], bytes]
"""A function of a file, files of all formats and a source of chance; it returns a broken file."""

MUTATIONS: Mapping[str, Mutation] = {
    "bit flips": bit_flips,
    "header bytes": header_bytes,
    "truncation": truncation,
    "repetition": repetition,
    "removal": removal,
    "splice": splice,
    "numbers": numbers,
    "lying size": lying_size,
}


# Bombs: small files that take much memory or time to decode.


def png_bomb(width_px: int, height_px: int, colour_type: int = 6) -> bytes:
    """Make a PNG of zeros, about a thousandth of its pixels in size."""
    channels = {0: 1, 2: 3, 6: 4}[colour_type]
    row = bytes(1 + width_px * channels)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height_px)) + packer.flush()
    return _png(width_px, height_px, colour_type, packed)


def png_lie(width_px: int, height_px: int) -> bytes:
    """Make a PNG with a header alone."""
    return _png(width_px, height_px, 6, zlib.compress(b"\0"))


def png_text_bomb(size_bytes: int) -> bytes:
    """Make a PNG whose comment and profile unpack to ``size_bytes``."""
    packed = zlib.compress(bytes(size_bytes), 9)
    return _png(
        8,
        8,
        0,
        zlib.compress(bytes(9 * 8)),
        (b"zTXt", b"Comment\0\0" + packed),
        (b"iCCP", b"profile\0\0" + packed),
    )


def _png(
    width_px: int, height_px: int, colour_type: int, packed: bytes, *extra: tuple[bytes, bytes]
) -> bytes:
    header = struct.pack(">IIBBBBB", width_px, height_px, 8, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def repeated_scans(side_px: int, scans: int) -> bytes:
    """Make a progressive JPEG whose last scan, over all pixels, comes ``scans`` times."""
    whole = _saved(Image.new("RGB", (side_px, side_px), "gray"), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    scan = whole[last:-2]
    return whole[:-2] + scan * scans + whole[-2:]


def many_frames(format_: str, frames: int, side_px: int = 400) -> bytes:
    """Make an animation of plain frames."""
    pictures = [Image.new("RGB", (side_px, side_px), (n % 256, 0, 0)) for n in range(frames)]
    return _saved(pictures[0], format_, save_all=True, append_images=pictures[1:], duration=20)


def gif_bomb(side_px: int) -> bytes:
    """Make a GIF with a huge page and one small frame in it."""
    small = bytearray(_saved(Image.new("P", (2, 2)), "GIF"))
    struct.pack_into("<HH", small, 6, side_px, side_px)
    return bytes(small)


def tiff_bomb(side_px: int) -> bytes:
    """Make a TIFF with hardly any data for its pixels, in a thousand strips at one place."""
    strips = 1000
    packed = zlib.compress(bytes(side_px * (side_px // strips)), 9)
    tags = [
        (256, 4, 1, side_px),
        (257, 4, 1, side_px),
        (258, 3, 1, 8),
        (259, 3, 1, 8),
        (262, 3, 1, 1),
        (273, 4, strips, 0),
        (277, 3, 1, 1),
        (278, 4, 1, side_px // strips),
        (279, 4, strips, 0),
    ]
    table = 8 + 2 + 12 * len(tags) + 4
    places = {273: table, 279: table + 4 * strips}
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    head += b"".join(
        struct.pack("<HHII", tag, kind, count, places.get(tag, value))
        for tag, kind, count, value in tags
    )
    data = table + 8 * strips
    offsets = struct.pack("<I", data) * strips + struct.pack("<I", len(packed)) * strips
    return head + bytes(4) + offsets + packed


def _plain(side_px: int) -> Image.Image:
    return Image.new("RGB", (side_px, side_px), "gray")


BOMBS: Mapping[str, Mapping[str, Callable[[], bytes]]] = {
    "PNG": {
        "50 megapixels": lambda: png_bomb(7071, 7071),
        "4 gigapixels declared": lambda: png_lie(65_535, 65_535),
        "2^31 wide declared": lambda: png_lie(2**31 - 1, 1),
        "144 megapixels": lambda: png_bomb(12_000, 12_000, 0),
        "comment and profile of 100 MB": lambda: png_text_bomb(100 * 2**20),
        "200 frames": lambda: many_frames("PNG", 200, 60),
    },
    "JPEG": {
        "repeated scans": lambda: repeated_scans(1000, 500),
        "repeated scans without end": lambda: repeated_scans(6000, 2000),
        "49 megapixels, progressive": lambda: _saved(
            _plain(7000), "JPEG", progressive=True, subsampling=0
        ),
    },
    "GIF": {
        "huge page": lambda: gif_bomb(65_535),
        "200 frames": lambda: many_frames("GIF", 200, 200),
    },
    "WebP": {
        "200 frames": lambda: many_frames("WEBP", 200, 60),
        "49 megapixels": lambda: _saved(_plain(7000), "WEBP", lossless=True, quality=0, method=0),
    },
    "TIFF": {
        "49 megapixels at one place": lambda: tiff_bomb(7000),
        "huge": lambda: tiff_bomb(60_000),
    },
    "AVIF": {"49 megapixels": lambda: _saved(_plain(7000), "AVIF", speed=10, quality=20)},
    "HEIC": {"4 megapixels": lambda: _heic(_plain(2000))},
}
"""Functions that make bombs, by format and name; one takes up to a second."""
