"""Make broken video files: good ones of every container and codec, mutations, and bombs."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable, Mapping
from fractions import Fraction

import av
import numpy as np

from rig.media import mutations
from rig.media.videos import H264, Codec, Frame, encode, footage

_SIDE_PX = 160  # the size that `lying_size` replaces
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}
_AV1 = {"preset": "12", "svtav1-params": "lp=1"}
_JPEG = Codec("avi", "mjpeg", {}, "yuvj420p")
_VP = {"deadline": "realtime", "cpu-used": "8"}

_CODECS: Mapping[str, tuple[Codec, ...]] = {
    "MP4": (
        H264,
        Codec(options={"preset": "veryfast", "movflags": "faststart"}),
        Codec(options={"preset": "ultrafast", "movflags": "frag_keyframe+empty_moov"}),
        Codec("mp4", "libx265", _X265 | {"movflags": "faststart"}),
        Codec("mp4", "libsvtav1", _AV1 | {"movflags": "faststart"}),
    ),
    "QuickTime": (Codec("mov", options={"movflags": "faststart"}), Codec("mov", "mpeg4", {})),
    "WebM": (
        Codec("webm", "libvpx", _VP),
        Codec("webm", "libvpx-vp9", _VP),
        Codec("webm", "libsvtav1", _AV1),
    ),
    "Matroska": (Codec("matroska"), Codec("matroska", "libx265", _X265)),
    "AVI": (
        Codec("avi", "mpeg4", {"b": "300000"}),
        _JPEG,
        Codec("avi", "libx264", {"preset": "ultrafast"}),
    ),
    "MPEG": (
        Codec("mpeg", "mpeg1video", {}),
        Codec("mpeg", "mpeg2video", {}),
        Codec("mpegts", "libx264", {"preset": "ultrafast"}),
        Codec("mpegts", "mpeg2video", {}),
    ),
}


def good() -> bytes:
    """Make a video with enough detail to be registered."""
    return encode(_footage(2, seconds=3))


def seeds() -> dict[str, list[bytes]]:
    """Return small files by format."""
    frames = _footage(1, seconds=1)
    return {
        kind: [encode(frames, fps=25 if kind == "MPEG" else 10, codec=codec) for codec in codecs]
        for kind, codecs in _CODECS.items()
    }


def _footage(seed: int, *, seconds: float) -> list[Frame]:
    size = (_SIDE_PX, _SIDE_PX)
    return list(footage(seed, seconds=seconds, size=size, pictures=range(1)))


def structure(data: bytes, _files: list[bytes], chance: random.Random) -> bytes:
    """Set 32-bit fields after the names of boxes, chunks or elements to other numbers."""
    broken = bytearray(data)
    names = [name for name in _NAMES if name in data]
    for _ in range(chance.randint(1, 4)):
        if not names:
            break
        at = data.find(chance.choice(names)) + chance.randrange(-4, 64)
        if 0 <= at <= len(broken) - 4:
            value = chance.choice((0, 1, 2, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, len(data)))
            struct.pack_into(chance.choice("<>") + "I", broken, at, value)
    return bytes(broken)


_NAMES = (
    *(b"moov", b"mvhd", b"tkhd", b"mdhd", b"elst", b"stsd", b"stts", b"ctts", b"stss", b"stsc"),
    *(b"stsz", b"stco", b"avcC", b"hvcC", b"av1C", b"moof", b"traf", b"tfhd", b"trun", b"mdat"),
    *(b"hdrl", b"avih", b"strh", b"strf", b"movi", b"idx1", b"00dc"),
    *(b"\x15\x49\xa9\x66", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b"),
    *(b"\0\0\1\xba", b"\0\0\1\xbb", b"\0\0\1\xe0", b"\0\0\1\xb3"),
)

MUTATIONS = {**mutations.MUTATIONS, "structure": structure}


def _plain(width_px: int, height_px: int) -> Frame:
    return np.full((height_px, width_px, 3), 127, np.uint8)


def repeated(frame: Frame, times: int, codec: Codec = _JPEG) -> bytes:
    """Make a video of one frame, ten times a second, encoded once as a frame of its own."""
    file = io.BytesIO()
    with av.open(io.BytesIO(encode([frame], codec=codec)), "r") as source:
        packet = next(source.demux(video=0))
        with av.open(file, "w", format=codec.container) as output:
            stream = output.add_stream_from_template(source.streams.video[0])
            for at in range(times):
                copy = av.Packet(bytes(packet))
                copy.stream, copy.time_base = stream, Fraction(1, 10)
                copy.pts = copy.dts = at
                copy.is_keyframe = True
                output.mux(copy)
    return file.getvalue()


def _silent_sound() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 44_100, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


BOMBS: Mapping[str, Mapping[str, Callable[[], bytes]]] = {
    "AVI": {
        "8K": lambda: repeated(_plain(7680, 4320), 10),
        "9 megapixels, 40 frames": lambda: repeated(_plain(4096, 2304), 40),
    },
    "MP4": {
        "10 hours": lambda: encode([_plain(64, 64)] * 2, times_ms=[0, 36_000_000]),
        "1000 frames a second": lambda: encode([_plain(64, 64)] * 3000, fps=1000),
        "only sound": _silent_sound,
    },
    "Matroska": {
        "10 hours": lambda: encode(
            [_plain(64, 64)] * 2, times_ms=[0, 36_000_000], codec=Codec("matroska")
        ),
        "16 megapixels": lambda: encode([_plain(4096, 4096)] * 2, codec=Codec("matroska")),
    },
}
"""Functions that make bombs, by format and name."""
