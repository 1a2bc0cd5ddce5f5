"""Run a process that decodes and hashes untrusted videos, started by ``isolation.videos``.

``python -m disrupt.isolation.video_worker``, with the arguments that ``serving`` describes. Hashes
one video after another, each while it comes in: it says how far it has read, waits for what is not
there yet, and gives each frame as soon as it has it.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import socket
from typing import BinaryIO, cast

import numpy as np
from PIL import Image

from disrupt.core.videos import Versions
from disrupt.hashing.videos.frames import VideoHashing
from disrupt.isolation.serving import REQUEST_BYTES_MAX, outcome, serve
from disrupt.isolation.video_messages import (
    Answer,
    Begin,
    Ended,
    Fed,
    Frames,
    Wanted,
    pack_video_answer,
    unpack_request,
)

with contextlib.suppress(ImportError):  # as in decoding.videos
    import av

AHEAD_BYTES = 4 << 20
"""Bytes that the server sends ahead of the decoder's position."""


def main() -> None:
    """Run the process, with the arguments that ``serving`` describes."""
    serve(_warm_up, pack_video_answer, _answer)


class _IncomingFile:
    """The incoming file; reading waits for bytes that have not arrived yet."""

    def __init__(self, memory: mmap.mmap, channel: socket.socket) -> None:
        self._memory = memory
        self._channel = channel
        self._position = 0
        self._announced = 0
        self._arrived = Fed(0, whole=False)

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes that have arrived, waiting for one; none at the end."""
        if self._position >= self._announced + AHEAD_BYTES // 2:
            self._announced = self._position
            self._channel.send(pack_video_answer(Wanted(self._announced)))
        while not self._arrived.whole and self._arrived.size_bytes <= self._position:
            self._wait()
        stop = min(self._arrived.size_bytes, self._position + size_bytes)
        data = self._memory[self._position : stop]
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Return the new position; negative, as FFmpeg expects, where the size is not known yet."""
        if whence == os.SEEK_END and not self._arrived.whole:
            return -1
        base = (0, self._position, self._arrived.size_bytes)[whence]
        self._position = max(base + offset, 0)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def _wait(self) -> None:
        message = self._channel.recv(REQUEST_BYTES_MAX)
        if not message:
            os._exit(0)  # The server closed the socket; FFmpeg would swallow an exception.
        request = unpack_request(message)
        if isinstance(request, Fed):
            self._arrived = request


def _answer(message: bytes, video: mmap.mmap, channel: socket.socket) -> Answer | None:
    request = unpack_request(message)
    if isinstance(request, Begin):
        return outcome(lambda: _hash(request, _IncomingFile(video, channel), channel))
    return None  # the rest of a video that was refused early


def _hash(begin: Begin, file: _IncomingFile, channel: socket.socket) -> Ended:
    hashing = VideoHashing(
        cast("BinaryIO", file),
        begin.limits,
        interval_ms=begin.interval_ms,
        versions=begin.versions,
    )
    for rows in hashing:
        channel.send(pack_video_answer(Frames(rows)))
    return Ended(hashing.small, hashing.incomplete)


def _warm_up() -> None:
    """Hash an animation of each kind and a video: libraries load parts when first used."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    frames = [Image.fromarray(pixels + step).resize((64, 48)) for step in range(3)]
    files = []
    for format_ in ("GIF", "WEBP", "PNG"):
        files.append(io.BytesIO())
        frames[0].save(files[-1], format_, save_all=True, append_images=frames[1:], duration=500)
    if "av" in globals():
        files.append(_encoded(frames))
        _converted(frames[0]).to_image()  # type: ignore[no-untyped-call]  # as of rare pixels
    for file in files:
        file.seek(0)
        for _ in VideoHashing(file, interval_ms=500, versions=Versions.SEARCHED):
            pass


def _converted(frame: Image.Image) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.asarray(frame), "rgb24")


def _encoded(frames: list[Image.Image]) -> io.BytesIO:
    """Encode a video without threads, which would stay outside of the lock-down."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output:
        stream = output.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            output.mux(stream.encode(_converted(frame)))
        output.mux(stream.encode())
    return file


if __name__ == "__main__":
    main()
