"""A video that only some players turn or mirror is hashed as each of them shows it."""

import io
import struct

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from disrupt.core.hashes import distances_bits
from disrupt.core.transforms import Dihedral
from disrupt.hashing.decoding.pixels import oriented
from disrupt.hashing.videos.frames import hash_video
from rig.media.videos import Frame, encode
from tests.hashing.videos import FPS, fingerprints_of, upright, versions

ONE = 1 << 16
UPRIGHT, UPSIDE_DOWN = (ONE, 0, 0, ONE), (-ONE, 0, 0, -ONE)
DISPUTED = {
    "turned by 1°": ((65526, -1144, 1144, 65526), Dihedral.IDENTITY),
    "turned by 89°": ((1144, 65526, -65526, 1144), Dihedral.ROTATE_90),
    "turned and doubled": ((0, 2 * ONE, -2 * ONE, 0), Dihedral.ROTATE_90),
    "mirrored": ((-ONE, 0, 0, ONE), Dihedral.MIRROR),
    "upside down, mirrored": ((ONE, 0, 0, -ONE), Dihedral.MIRROR_ROTATE_180),
    "transposed": ((0, ONE, ONE, 0), Dihedral.MIRROR_ROTATE_270),
    "nothing": ((0, 0, 0, 0), Dihedral.IDENTITY),
}


def with_matrix(data: bytes, matrix: tuple[int, ...]) -> bytes:
    """Return an MP4 file of one track whose container states a, b, c, d."""
    at = data.index(b"tkhd") + 44
    a, b, c, d = matrix
    stated = struct.pack(">5i", a, b, 0, c, d)
    return data[:at] + stated + data[at + len(stated) :]


def hashes(data: bytes) -> np.ndarray:
    outcome = fingerprints_of(data)
    stored: np.ndarray = outcome.fingerprints["hash"]
    return stored


def bits(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return distances_bits(left["hash"], right["hash"])


@pytest.mark.parametrize("kind", DISPUTED)
def test_both_readings_are_looked_up_and_registered(kind: str, frames: list[Frame]) -> None:
    matrix, turn = DISPUTED[kind]
    stored = encode(frames, fps=FPS)
    shown = encode([np.ascontiguousarray(oriented(frame, turn)) for frame in frames], fps=FPS)
    turned = with_matrix(stored, matrix)
    rows, _ = hash_video(io.BytesIO(turned))
    assert (bits(versions(rows, Dihedral.IDENTITY), upright(shown)) <= 8).all()
    assert (bits(versions(rows, turn.inverse), upright(stored)) == 0).all()
    registered = hashes(turned)
    for data in (stored, shown):
        nearest = distances_bits(upright(data)["hash"][:, None], registered[None]).min(axis=1)
        assert nearest.max() <= 16


def test_a_plain_turn_is_looked_up_in_both_readings_and_registered_as_shown(
    frames: list[Frame],
) -> None:
    stored = encode(frames, fps=FPS)
    turned = with_matrix(stored, UPSIDE_DOWN)
    rows, _ = hash_video(io.BytesIO(turned))
    assert (bits(versions(rows, Dihedral.ROTATE_180), upright(stored)) == 0).all()
    shown = [np.ascontiguousarray(frame[::-1, ::-1]) for frame in frames]
    assert len(hashes(turned)) == len(hashes(encode(shown, fps=FPS)))


@pytest.mark.parametrize(
    ("matrix", "as_stored"), [(UPRIGHT, Dihedral.ROTATE_90), (UPSIDE_DOWN, Dihedral.ROTATE_180)]
)
def test_what_the_codec_states_hides_neither_the_container_nor_the_pixels(
    matrix: tuple[int, ...], as_stored: Dihedral, frames: list[Frame]
) -> None:
    plain = encode(frames, fps=FPS)
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(plain), "r") as source,
        av.open(file, "w", format="mp4") as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        stating = BitStreamFilterContext(
            "h264_metadata=display_orientation=insert:rotate=90", stream
        )
        for packet in source.demux(video=0):
            for stated in stating.filter(packet if packet.size else None):
                stated.stream = stream
                output.mux(stated)
    rows, _ = hash_video(io.BytesIO(with_matrix(file.getvalue(), matrix)))
    first = versions(rows, as_stored)[:1]
    assert first["start_ms"] == 0
    assert bits(first, upright(plain)[:1]) == 0
