"""Files that end early are not registered; what they have of a picture is looked up."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage.data import data_dir

from disrupt.core.lookups import Effort
from disrupt.errors import InvalidMediaError
from disrupt.hashing import fingerprint_frames, fingerprint_image, hash_image
from disrupt.hashing.decoding.pictures import decode, decode_frames
from disrupt.hashing.decoding.pixels import Picture
from rig.media.files import png
from rig.media.files.png_damage import animation
from rig.media.pictures import chunk, encode, query_of

PHOTO = Image.open(f"{data_dir}/coffee.png").convert("RGB").resize((120, 81))
SAMPLES = np.asarray(PHOTO, np.uint16)


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
    "PNG, interlaced": png.png(SAMPLES, interlaced=True),
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
    data = png.SIGNATURE + png.header(PHOTO.size, png.COLOURS, 8)
    data += chunk(b"IDAT", zlib.compress(png.lines(SAMPLES, 8)[:left_bytes])) + chunk(b"IEND")
    for hashed in (hash_image, fingerprint_image):
        with pytest.raises(InvalidMediaError):
            hashed(data)


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
    query = query_of(whole[: len(whole) * 2 // 3], effort=Effort.FAST)
    expected = query_of(encode(rows, "PNG"), effort=Effort.FAST)
    assert query.hashes == expected.hashes
    assert (query.frames_skipped, expected.frames_skipped) == (1, 0)


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_of_a_cut_animation_the_frames_before_the_cut_are_looked_up(kind: str) -> None:
    frames = [PHOTO.rotate(angle).quantize(32) for angle in (0, 90, 180)]
    whole = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    for length in (len(whole) - 20, len(whole) - 400, len(whole) // 2):
        pictures = list(decode_frames(whole[:length], scaled=True))
        query = query_of(whole[:length], effort=Effort.FAST)
        assert len(pictures) < 3
        assert query.frames_skipped >= 1
        with pytest.raises(InvalidMediaError, match="ends early"):
            fingerprint_frames(whole[:length])


def test_a_frame_of_an_animated_png_is_shown_only_with_all_of_its_pixels() -> None:
    samples, number = png.FADED_RGB, struct.pack(">I", 2)
    whole = animation((samples, (0, 0), 0, 0), (samples, (0, 0), 0, 0))
    cut = zlib.compress(png.lines(samples, 8)[: samples.size // 2])
    broken = whole.replace(
        chunk(b"fdAT", number + png.packed(samples, 8)), chunk(b"fdAT", number + cut)
    )
    assert broken != whole
    assert [picture.frames_left for picture in decode_frames(broken, scaled=True)] == [1]
    with pytest.raises(InvalidMediaError, match="ends early"):
        fingerprint_frames(broken)
