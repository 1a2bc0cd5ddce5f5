"""A video is hashed by the luma that a screen shows, not by that which its codec has."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from disrupt.core.hashes import distances_bits
from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding.videos import Video
from disrupt.hashing.videos.frames import hash_video
from rig.media.videos import Codec, Frame, encode
from tests.hashing.videos import FPS, upright, versions


def in_chroma(frames: list[Frame]) -> bytes:
    """Encode frames as colours that no screen has: luma is even, and red and blue are cut."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream = output.add_stream("mpeg4", rate=FPS, options={"b": "4000000"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for shown in frames:
            grey = np.asarray(Image.fromarray(shown).convert("L").reduce(2))
            chroma = (128 + (255 - grey.astype(int)) * 110 // 255).astype(np.uint8)
            luma = np.full(shown.shape[:2], 235, np.uint8)
            yuv = np.concatenate([luma.ravel(), chroma.ravel(), chroma.ravel()])
            frame = av.VideoFrame.from_ndarray(yuv.reshape(-1, 320), "yuv420p")
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def test_a_picture_in_chroma_alone_is_hashed_as_it_is_shown(frames: list[Frame]) -> None:
    rows, _ = hash_video(io.BytesIO(in_chroma(frames)))
    shown = versions(rows, Dihedral.IDENTITY)
    assert shown["usable"].all()
    expected = upright(encode(frames, fps=FPS))
    assert distances_bits(shown["hash"], expected["hash"]).max() <= 16


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
def test_vivid_colours_that_screens_have_leave_the_luma_of_the_codec(
    pixels: str, frames: list[Frame]
) -> None:
    vivid = [frame * np.array([1, 0, 0], np.uint8) for frame in frames[:10]]
    data = encode(vivid, fps=FPS, codec=Codec(pixels=pixels))
    for sample in Video(io.BytesIO(data)).samples(1000):
        assert sample.luma().gain > 1
