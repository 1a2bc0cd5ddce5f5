"""JPEG files that browsers show whole are hashed whole, whatever stands before the pixels."""

import numpy as np
import pytest

from disrupt.hashing.decoding import jpeg
from disrupt.hashing.decoding.pictures import decode
from rig.media.files.jpeg import segment
from rig.media.pictures import PHOTOS, encode

JPEG = encode(PHOTOS["cat"], "JPEG")


@pytest.mark.parametrize(
    "unsound",
    [
        b"\xff\x01",
        segment(0xE0, b"JFIF"),
        segment(0xEE, b"Adobe"),
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed"),
    ],
    ids=["no segment", "JFIF", "Adobe", "profile", "Photoshop"],
)
@pytest.mark.parametrize("place", [2, 20], ids=["first", "second"])
def test_an_unsound_segment_is_passed_over(unsound: bytes, place: int) -> None:
    shown = decode(JPEG[:place] + unsound + JPEG[place:]).image
    assert (np.asarray(shown) == np.asarray(decode(JPEG).image)).all()


def test_a_file_without_unsound_segments_is_not_copied() -> None:
    assert jpeg.repaired(JPEG) is JPEG
    assert jpeg.repaired(JPEG[:2]) == JPEG[:2]
