"""Files that end early are not registered; what they have of a picture is looked up."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.data import data_dir

from disrupt.core.lookups import Effort
from disrupt.errors import InvalidMediaError
from disrupt.hashing import ImageQuery, fingerprint_frames, fingerprint_image, hash_image
from disrupt.hashing.decoding.pictures import decode, decode_frames
from disrupt.hashing.decoding.pixels import Picture
from tests.hashing.pictures import chunk, encode

PHOTO = Image.open(f"{data_dir}/coffee.png").convert("RGB").resize((120, 81))


def looked_up(data: bytes) -> Picture | None:
    """Return what is looked up of a file; None if it is refused."""
    try:
        return decode(data, scaled=True)
    except InvalidMediaError:
        return None


def is_registered(data: bytes) -> bool:
    try:
        decode(data)
    except InvalidMediaError:
        return False
    return True


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


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    parsed, at = [], 8
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        parsed.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += size + 12
    return parsed


def joined(head: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    return head + b"".join(chunk(*part) for part in parts)


def rewritten(png: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return the PNG with changed raw pixels, in two chunks with right checksums."""
    parts = chunks(png)
    kept = [part for part in parts if part[0] != b"IDAT"]
    raw = change(zlib.decompress(b"".join(content for kind, content in parts if kind == b"IDAT")))
    packed = zlib.compress(raw)
    kept[-1:-1] = [(b"IDAT", packed[:9]), (b"IDAT", packed[9:])]
    return joined(png[:8], kept)


GREY = PHOTO.convert("L")
BLACK_BELOW = PHOTO.copy()
BLACK_BELOW.paste(0, (0, 60, *PHOTO.size))

CUT = {
    "JPEG": encode(PHOTO, "JPEG"),
    "JPEG, grey": encode(GREY, "JPEG", quality=30),
    "JPEG of four colours": encode(PHOTO.convert("CMYK"), "JPEG"),
    "JPEG with restarts": encode(PHOTO, "JPEG", restart_marker_rows=1),
    "PNG": encode(PHOTO, "PNG"),
    "PNG, black below": encode(BLACK_BELOW, "PNG"),
    "PNG, palette": encode(PHOTO.quantize(7), "PNG"),
    "PNG, interlaced": interlaced(PHOTO),
    "GIF": encode(PHOTO.quantize(32), "GIF"),
    "GIF, interlaced": encode(PHOTO.quantize(32), "GIF", interlace=1, transparency=3),
}
LEFT_OUT_BYTES = {"JPEG": 2, "PNG": 16, "GIF": 3}
"""Bytes at the end of a file that hold no pixels."""


@pytest.mark.parametrize("name", CUT)
def test_a_cut_file_is_looked_up_as_far_as_it_goes_and_not_registered(name: str) -> None:
    whole = CUT[name]
    picture = looked_up(whole)
    assert picture is not None
    assert is_registered(whole)
    assert is_registered(whole + b"what some cameras add")
    page, heights = picture.page(), [0]
    for length in range(20, len(whole) - LEFT_OUT_BYTES[name[:4].rstrip(",")] - 20, 97):
        part = looked_up(whole[:length])
        assert not is_registered(whole[:length])
        if part is not None:
            assert (part.unseen, part.width_px) == (1, PHOTO.width)
            heights.append(part.height_px)
            differs = part.page() != page[: part.height_px]
            # A decoder smooths the last rows of a JPEG with those below, and may make up a block.
            assert differs[:-2].sum() <= 16 * 16
    assert heights == sorted(heights)
    assert heights[-1] > (50 if name == "PNG, black below" else 60)


@pytest.mark.parametrize("left_bytes", [0, 300, 1 + 3 * PHOTO.width])
def test_a_file_that_ends_within_the_first_rows_is_refused(left_bytes: int) -> None:
    png = rewritten(encode(PHOTO, "PNG"), lambda raw: raw[:left_bytes])
    for hashed in (hash_image, fingerprint_image):
        with pytest.raises(InvalidMediaError):
            hashed(png)


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_lacks_its_end_alone_is_whole_but_for_animations(name: str) -> None:
    whole = CUT[name]
    kind = name[:4].rstrip(",")
    cut = whole[: -1 if kind == "GIF" else -{"JPEG": 2, "PNG": 12}[kind]]
    part = looked_up(cut)
    assert part is not None
    assert part.unseen == (kind == "GIF")  # which says nowhere how many frames it has
    assert is_registered(cut) == (kind != "GIF")
    assert (part.page() == decode(whole, scaled=True).page()).all()


def test_a_jpeg_of_several_scans_is_looked_up_as_its_first_ones_show_it() -> None:
    """Its decoder completes the picture, and cannot tell how much of it."""
    whole = encode(PHOTO, "JPEG", progressive=True, quality=95)
    page = decode(whole, scaled=True).page().astype(int)
    for length, most_levels in ((len(whole) - 2, 0), (len(whole) // 2, 8)):
        part = looked_up(whole[:length])
        assert part is not None
        assert (part.unseen, part.height_px) == (1, PHOTO.height)
        assert not is_registered(whole[:length])
        assert np.abs(part.page() - page).mean() <= most_levels


@pytest.mark.parametrize(
    ("kind", "options"), [("WEBP", {}), ("AVIF", {"speed": 10}), ("TIFF", {}), ("BMP", {})]
)
def test_other_files_that_end_early_are_refused(kind: str, options: dict[str, Any]) -> None:
    """Their decoders give nothing of them, or do not say how much."""
    whole = encode(PHOTO, kind, **options)
    for length in (len(whole) - 9, len(whole) // 2):
        assert looked_up(whole[:length]) is None
        assert not is_registered(whole[:length])


def test_the_hashes_of_a_cut_file_are_those_of_its_rows() -> None:
    photo = Image.open(f"{data_dir}/coffee.png").convert("RGB")
    whole = encode(photo, "PNG")
    part = looked_up(whole[: len(whole) * 2 // 3])
    assert part is not None
    rows = photo.crop((0, 0, photo.width, part.height_px))
    query = hash_image(whole[: len(whole) * 2 // 3], effort=Effort.FAST)
    expected = hash_image(encode(rows, "PNG"), effort=Effort.FAST)
    assert isinstance(query, ImageQuery)
    assert isinstance(expected, ImageQuery)
    assert query.hashes == expected.hashes
    assert (query.frames_skipped, expected.frames_skipped) == (1, 0)


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_of_a_cut_animation_the_frames_before_the_cut_are_looked_up(kind: str) -> None:
    frames = [PHOTO.rotate(angle).quantize(32) for angle in (0, 90, 180)]
    whole = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    for length in (len(whole) - 20, len(whole) - 400, len(whole) // 2):
        pictures = list(decode_frames(whole[:length], scaled=True))
        query = hash_image(whole[:length], effort=Effort.FAST)
        assert isinstance(query, ImageQuery)
        assert len(pictures) < 3
        assert query.frames_skipped >= 1
        with pytest.raises(InvalidMediaError, match="ends early"):
            fingerprint_frames(whole[:length])


def test_a_frame_of_an_animated_png_is_shown_only_with_all_of_its_pixels() -> None:
    frames = [PHOTO, PHOTO.rotate(90)]
    whole = encode(PHOTO, "PNG", save_all=True, append_images=frames[1:])
    parts = chunks(whole)
    at = next(at for at, (kind, _) in enumerate(parts) if kind == b"fdAT")
    raw = zlib.decompress(parts[at][1][4:])
    cut = parts[at][1][:4] + zlib.compress(raw[: len(raw) // 2])
    broken = joined(whole[:8], [*parts[:at], (b"fdAT", cut), *parts[at + 1 :]])
    assert [picture.frames_left for picture in decode_frames(broken, scaled=True)] == [1]
    with pytest.raises(InvalidMediaError, match="ends early"):
        fingerprint_frames(broken)
