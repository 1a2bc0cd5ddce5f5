"""Run a process that decodes and hashes untrusted pictures, started by ``isolation.pictures``.

``python -m disrupt.isolation.picture_worker``, with the arguments that ``serving`` describes.
Warms up with one picture of each format.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import socket
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from disrupt.core.lookups import Effort
from disrupt.hashing.decoding.formats import FORMATS
from disrupt.hashing.lookup import hash_image
from disrupt.hashing.registration import fingerprint_frames, fingerprint_image
from disrupt.isolation.messages import Answer, Task, pack_answer, unpack_request
from disrupt.isolation.serving import outcome, serve

with contextlib.suppress(ImportError):  # as in decoding.pictures
    import pillow_heif

_TASKS: dict[Task, Callable[..., Answer]] = {
    Task.FAST_LOOKUP: partial(hash_image, effort=Effort.FAST),
    Task.LOOKUP: partial(hash_image, effort=Effort.STANDARD),
    Task.THOROUGH_LOOKUP: partial(hash_image, effort=Effort.THOROUGH),
    Task.REGISTRATION: fingerprint_image,
    Task.REGISTRATION_OF_FRAMES: fingerprint_frames,
}


def main() -> None:
    """Run the process, with the arguments that ``serving`` describes."""
    # libde265 decodes each HEIC picture in a thread of its own; no other decoder starts one.
    serve(_warm_up, pack_answer, _answer, threads="HEIC" in FORMATS)


def _answer(message: bytes, picture: mmap.mmap, _: socket.socket) -> Answer:
    request = unpack_request(message)
    data = picture[: request.size_bytes]
    return outcome(lambda: _TASKS[request.task](data, request.limits))


def _warm_up() -> None:
    """Hash a picture of each format: libraries load parts and make tables when first used."""
    pixels = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
    whole = pixels.resize((600, 520))
    # Of few colours: GIF looks long for the best of many.
    small = pixels.resize((150, 130), Image.Resampling.NEAREST)
    for number, format_ in enumerate(FORMATS):
        file = io.BytesIO()
        # Formats differ in decoding only, and a thorough lookup needs all that other tasks do.
        is_first = number == 0
        image, task = (whole, Task.THOROUGH_LOOKUP) if is_first else (small, Task.FAST_LOOKUP)
        if format_ == "HEIC":
            pillow_heif.from_pillow(image).save(file)
        else:
            image.save(file, format_.upper())
        _TASKS[task](file.getvalue())


if __name__ == "__main__":
    main()
