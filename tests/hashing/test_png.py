"""PNG files that browsers show whole are hashed whole, whatever chunks stand beside the pixels."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding import png
from disrupt.hashing.decoding.pictures import decode, decode_frames
from rig.media.pictures import chunk, encode
from tests.hashing import test_formats

PHOTO = test_formats.PHOTO.resize((200, 150))
PLAIN = Image.new("RGB", PHOTO.size)


PNG = encode(PHOTO)
LONG = zlib.compress(bytes(1_100_000))
UNSOUND = {
    "text with a wrong sum": chunk(b"tEXt", b"a\0b", 0),
    "unknown chunk with a wrong sum": chunk(b"prVt", b"abc", 0),
    "short gAMA": chunk(b"gAMA", b""),
    "short cHRM": chunk(b"cHRM", b"12"),
    "short pHYs": chunk(b"pHYs", b"abc"),
    "empty sRGB": chunk(b"sRGB", b""),
    "profile without a name": chunk(b"iCCP", b"icc"),
    "profile compressed otherwise": chunk(b"iCCP", b"icc\0\5" + zlib.compress(b"abc")),
    "long text": chunk(b"zTXt", b"Comment\0\0" + LONG),
    "long text of Unicode": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LONG),
}


@pytest.mark.parametrize("name", UNSOUND)
@pytest.mark.parametrize("place", [33, len(PNG) - 12], ids=["before", "after"])
def test_an_unsound_chunk_beside_the_pixels_is_passed_over(name: str, place: int) -> None:
    shown = decode(PNG[:place] + UNSOUND[name] + PNG[place:]).image
    assert (np.asarray(shown) == np.asarray(PHOTO)).all()


def test_a_wrong_sum_of_the_end_is_passed_over() -> None:
    assert (np.asarray(decode(PNG[:-1] + b"x").image) == np.asarray(PHOTO)).all()


def test_a_file_without_unsound_chunks_is_not_copied() -> None:
    assert png.repaired(PNG) is PNG


def test_damage_of_what_the_pixels_need_is_refused() -> None:
    with pytest.raises(InvalidMediaError, match="damaged"):
        decode(PNG[:29] + bytes(4) + PNG[33:])


def frame_control(number: int, width: int, height: int) -> bytes:
    content = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, 1, 10, 0, 0)
    return chunk(b"fcTL", content)


def test_of_two_controls_of_an_animation_the_first_is_read() -> None:
    control = chunk(b"acTL", struct.pack(">II", 1, 0))
    at = PNG.index(b"IDAT") - 4
    pixels = PNG[at + 8 : -16]
    frame = frame_control(0, *PHOTO.size) + chunk(b"fdAT", struct.pack(">I", 1) + pixels)
    plain = encode(PLAIN)
    data = plain[:33] + 2 * control + plain[33:-12] + frame + plain[-12:]
    shown = [np.asarray(picture.image.convert("RGB")) for picture in decode_frames(data)]
    assert [(pixels == np.asarray(PHOTO)).all() for pixels in shown] == [True]


@pytest.mark.parametrize("control", [b"", chunk(b"acTL", bytes(8)), chunk(b"acTL", b"1" * 8, 0)])
def test_frames_of_no_animation_are_passed_over(control: bytes) -> None:
    data = PNG[:33] + control + frame_control(0, 8, 8) + PNG[33:]
    assert (np.asarray(decode(data).image) == np.asarray(PHOTO)).all()


def test_a_file_of_very_many_chunks_is_refused() -> None:
    data = PNG[:33] + 100_000 * chunk(b"tEXt", b"a\0") + PNG[33:]
    with pytest.raises(InvalidMediaError, match="damaged"):
        decode(data)
