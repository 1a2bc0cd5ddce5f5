"""Pictures registered with plan 1, before plan 2 was: committed fingerprints, and what found them.

``plan_1/*.bin`` are the stored fingerprints of photographs of skimage at 12255b8, and
``distances.json`` how near, in bits, a lookup of an edited copy came to them at that commit.
"""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import data_dir

from benchmarks.recall.edits import EDITS, Scene
from disrupt.core.hashes import HASH_BYTES, MAX_DISTANCE_BITS, distances_bits
from disrupt.core.media import unpack
from disrupt.hashing import ImageQuery, hash_image
from tests.hashing.pictures import encode

FILES = Path(__file__).parent / "files" / "plan_1"
BEFORE = json.loads((FILES / "distances.json").read_text("utf-8"))


def edited(name: str, edit: str) -> bytes:
    pixels = {
        path.stem: np.asarray(Image.open(path).convert("RGB"))
        for path in (Path(data_dir, "astronaut.png"), Path(data_dir, "rocket.jpg"))
    }
    (other,) = (picture for stem, picture in pixels.items() if stem != name)
    scene = Scene(pixels[name], np.random.default_rng(zlib.crc32(edit.encode())), lambda: other)
    copy, _ = EDITS[edit][1](scene)
    quality = scene.encoding.get("quality", 85)
    return encode(np.ascontiguousarray(copy), "JPEG", quality=quality)


@pytest.mark.parametrize("name", BEFORE)
def test_edited_copies_that_plan_1_found_are_found(name: str) -> None:
    stored = unpack((FILES / f"{name}.bin").read_bytes())
    assert set(stored["plan"]) == {0, 1}
    lost = []
    for edit, before in BEFORE[name].items():
        query = hash_image(edited(name, edit))
        assert isinstance(query, ImageQuery)
        asked = np.frombuffer(b"".join(hash_.value for hash_, _ in query.hashes), np.uint8)
        now = distances_bits(asked.reshape(-1, 1, HASH_BYTES), stored["hash"]).min()
        if now > MAX_DISTANCE_BITS >= before:
            lost.append((edit, before, now))
    assert not lost
