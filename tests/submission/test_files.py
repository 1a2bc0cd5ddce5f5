"""A file becomes an item of its kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness.videos import encode
from disrupt.core.media import MediaKind
from disrupt.hashing import fingerprint_image
from disrupt.submission.files import Hashing
from tests.submission.examples import picture


def test_a_video_is_an_item_of_the_hashes_of_its_frames(tmp_path: Path) -> None:
    frame = np.asarray(Image.open(picture(tmp_path / "frame.png", 1)))
    file = tmp_path / "a.mp4"
    file.write_bytes(encode([frame]))
    hashing = Hashing(fingerprint_image, within=lambda *_: None, rejected=[])
    (hashed,) = hashing.each([str(file)])
    assert hashed.item.kind == MediaKind.VIDEO
    assert len(hashed.item.fingerprints)
    assert hashing.rejected == []
