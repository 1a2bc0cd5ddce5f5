"""Files that end early are refused, even where Pillow accepts them as whole."""

import io
import re
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.data import data_dir

from disrupt.core.lookups import Effort
from disrupt.core.transforms import IDENTITY
from disrupt.errors import InvalidMediaError
from disrupt.hashing import ImageQuery, fingerprint_frames, hash_image
from disrupt.hashing.decoding.pictures import decode

PHOTO = Image.open(f"{data_dir}/coffee.png").convert("RGB").resize((120, 81))


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def black_below(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.paste(0, (0, 60, image.width, image.height))
    return image


def assert_refused(data: bytes) -> None:
    for hashing in (decode, hash_image):
        with pytest.raises(InvalidMediaError, match="ends early"):
            hashing(data)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_gif_cut_anywhere_is_refused_also_after_its_first_frame(frames: int) -> None:
    shown = [PHOTO.rotate(40 * at).quantize(32) for at in range(frames)]
    whole = encode(shown[0], "GIF", save_all=True, append_images=shown[1:])
    decode(whole)
    decode(whole + b"more")
    for length in range(len(whole) - 1, 6, -97):
        assert_refused(whole[:length])
    assert_refused(whole[:-1])


JPEG_OPTIONS: dict[str, dict[str, Any]] = {
    "baseline": {"optimize": False},
    "grey": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "other tables": {"optimize": True, "quality": 30},
}


@pytest.mark.parametrize("name", JPEG_OPTIONS)
def test_a_jpeg_that_lacks_its_last_marker_alone_is_read(name: str) -> None:
    """Cut whole bytes of pixels too: those are refused."""
    image = PHOTO.convert("L") if name == "grey" else PHOTO
    whole = encode(image, "JPEG", **JPEG_OPTIONS[name])
    for cut in (whole[:-1], whole[:-2]):
        assert (decode(cut).page() == decode(whole).page()).all()
        assert hash_image(cut) == hash_image(whole)
    for length in range(len(whole) - 10, 20, -97):
        assert_refused(whole[:length])


@pytest.mark.parametrize("colours", [PHOTO, PHOTO.convert("CMYK")], ids=["3", "4"])
def test_a_progressive_jpeg_that_ends_between_its_scans_is_refused(colours: Image.Image) -> None:
    whole = encode(colours, "JPEG", progressive=True)
    starts = [found.start() for found in re.finditer(b"\xff\xc4|\xff\xda", whole)]
    assert len(starts) > 15
    for start in starts:
        assert_refused(whole[:start])


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    parsed, at = [], 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        parsed.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += size + 12
    return parsed


def joined(head: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    return head + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def rewritten(png: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return the PNG with changed raw pixels, in two chunks with right checksums."""
    parts = chunks(png)
    kept = [part for part in parts if part[0] != b"IDAT"]
    raw = change(zlib.decompress(b"".join(content for kind, content in parts if kind == b"IDAT")))
    packed = zlib.compress(raw)
    kept[-1:-1] = [(b"IDAT", packed[:9]), (b"IDAT", packed[9:])]
    return joined(png[:8], kept)


MODES = {
    "RGB": PHOTO,
    "L": PHOTO.convert("L"),
    "1": PHOTO.convert("1"),
    "P": PHOTO.quantize(7),
    "LA": PHOTO.convert("LA"),
    "RGBA": PHOTO.convert("RGBA"),
    "I;16": Image.fromarray(np.asarray(PHOTO.convert("L")).astype(np.uint16) * 257),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("black", [False, True])
def test_a_png_whose_compressed_stream_ends_early_is_refused(mode: str, *, black: bool) -> None:
    image = black_below(MODES[mode]) if black else MODES[mode]
    whole = encode(image, "PNG")
    decode(whole)
    decode(rewritten(whole, lambda raw: raw))
    for kept in (0.1, 0.5, 0.9):
        assert_refused(rewritten(whole, lambda raw, kept=kept: raw[: int(len(raw) * kept)]))  # type: ignore[misc]


def test_a_stream_that_goes_on_after_its_picture_takes_no_memory() -> None:
    data = rewritten(encode(Image.new("L", (60, 60)), "PNG"), lambda raw: raw + bytes(2**26))
    tracemalloc.start()
    try:
        decode(data)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most_bytes < 2**22


def interlaced(image: Image.Image) -> bytes:
    """Write a PNG in Adam7, which Pillow reads and does not write (PNG, section 8.2)."""
    pixels = np.asarray(image)
    starts = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    raw = b"".join(
        b"\0" + line.tobytes()
        for left, top, across, down in [*starts, (0, 1, 1, 2)]
        for line in pixels[top::down, left::across]
        if line.size
    )
    plain = encode(image, "PNG")
    flagged = plain[:28] + b"\1" + struct.pack(">I", zlib.crc32(plain[12:28] + b"\1")) + plain[33:]
    return rewritten(flagged, lambda _: raw)


@pytest.mark.parametrize("size", [(120, 81), (120, 80), (3, 9), (1, 1), (9, 2)])
def test_an_interlaced_png_is_whole_only_with_all_its_passes(size: tuple[int, int]) -> None:
    for image in (PHOTO.resize(size), Image.new("RGB", size)):
        whole = interlaced(image)
        picture = decode(whole)
        assert (picture.rgb(0, size[1]) == np.asarray(image)).all()
    assert_refused(rewritten(whole, lambda raw: raw[:-1]))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "P", "L"])
def test_an_animated_png_is_whole_only_with_all_of_each_frame(mode: str, *, apart: bool) -> None:
    """Cut the file; ``apart``: the picture shown without animation is no frame of it."""
    frames = [MODES[mode], MODES[mode].rotate(90), MODES[mode].rotate(180)]
    whole = encode(frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=apart)
    looked_up = hash_image(whole, effort=Effort.FAST)
    assert isinstance(looked_up, ImageQuery)
    assert len({hash_ for hash_, transform in looked_up.hashes if transform == IDENTITY}) == 3
    parts = chunks(whole)
    for at in [at for at, (kind, _) in enumerate(parts) if kind == b"fdAT"]:
        sequence, packed = parts[at][1][:4], parts[at][1][4:]
        raw = zlib.decompress(packed)  # small frames: one chunk each
        for kept in (0.1, 0.9):
            cut = zlib.compress(raw[: int(len(raw) * kept)])
            broken = joined(whole[:8], [*parts[:at], (b"fdAT", sequence + cut), *parts[at + 1 :]])
            decode(broken, scaled=True)  # the first image is whole
            for hashing in (hash_image, fingerprint_frames):
                with pytest.raises(InvalidMediaError, match="ends early"):
                    hashing(broken)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_a_damaged_tiff_writes_nothing_to_standard_error(compression: str) -> None:
    data = bytearray(encode(PHOTO, "TIFF", compression=compression))
    for at in range(200, len(data) - 300, 97):
        data[at] ^= 0x5A
    script = """
import sys
from disrupt.core.lookups import Effort
from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding.pictures import decode
try:
    decode(sys.stdin.buffer.read())
except InvalidMediaError:
    pass
"""
    done = subprocess.run(
        [sys.executable, "-c", script], input=bytes(data), capture_output=True, check=True
    )
    assert done.stderr == b""
