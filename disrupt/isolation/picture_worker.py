"""A process that decodes and hashes untrusted pictures, started by ``isolation.IsolatedHashing``.

``python -m disrupt.isolation.picture_worker SOCKET PICTURE PARENT MEMORY``: descriptors of the
socket and of the shared memory that pictures lie in, process id of the parent, bytes of address
space. Decodes one picture of each format, locks itself down, says Ready, then answers requests
until the socket is closed.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
from PIL import AvifImagePlugin, Image

from disrupt.core.lookups import Effort
from disrupt.errors import InvalidMediaError, OverloadedError
from disrupt.hashing.decoding.pictures import FORMATS
from disrupt.hashing.images import fingerprint_frames, fingerprint_image
from disrupt.hashing.queries import hash_image
from disrupt.isolation.messages import (
    Answer,
    Failed,
    OutOfMemory,
    Ready,
    Refused,
    Request,
    Task,
    pack_answer,
    unpack_request,
)
from disrupt.isolation.sandbox import lock_down

with contextlib.suppress(ImportError):  # as in decoding.pictures
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1
AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # There are as many of these processes as cores.

_REQUEST_BYTES_MAX = 64

_TASKS: dict[Task, Callable[..., Answer]] = {
    Task.FAST_LOOKUP: partial(hash_image, effort=Effort.FAST),
    Task.LOOKUP: partial(hash_image, effort=Effort.STANDARD),
    Task.THOROUGH_LOOKUP: partial(hash_image, effort=Effort.THOROUGH),
    Task.REGISTRATION: fingerprint_image,
    Task.REGISTRATION_OF_FRAMES: fingerprint_frames,
}


def main() -> None:
    """Run the process, with the arguments that the module describes."""
    socket_fd, picture_fd, parent, memory_bytes = map(int, sys.argv[1:])
    pictures = mmap.mmap(picture_fd, 0, prot=mmap.PROT_READ)
    os.close(picture_fd)
    _warm_up()
    late = LateImports()
    sys.meta_path.insert(0, late)
    with socket.socket(fileno=socket_fd) as channel:
        missing = lock_down(memory_bytes=memory_bytes, parent=parent)
        channel.send(pack_answer(Ready(missing)))
        while message := channel.recv(_REQUEST_BYTES_MAX):
            request = unpack_request(message)
            answer = _answer(request, pictures[request.start : request.start + request.size_bytes])
            channel.send(pack_answer(late.take() or answer))


def _answer(request: Request, data: bytes) -> Answer:
    try:
        return _TASKS[request.task](data, request.limits)
    except InvalidMediaError as error:
        return Refused(error.violations[0].description)
    except (MemoryError, OverloadedError):
        return OutOfMemory()
    except Exception as error:  # noqa: BLE001 its message could quote the picture
        return Failed(type(error).__name__)


class LateImports(MetaPathFinder):
    """Reports a module that is imported after the lock-down, when it cannot be loaded.

    Decoders would take the failure for a damaged picture. It means that ``_warm_up`` lacks
    something.
    """

    def __init__(self) -> None:
        self._failure: Failed | None = None

    def take(self) -> Failed | None:
        """Return and clear the failure since the last call."""
        failure, self._failure = self._failure, None
        return failure

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Note the module that is wanted, and leave it to other finders."""
        self._failure = Failed(f"ImportError {fullname}")
        return None


def _warm_up() -> None:
    """Hash a picture of each format: libraries load parts and make tables when first used."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    whole = Image.fromarray(pixels).resize((600, 520))
    small = whole.resize((150, 130))
    for format_ in FORMATS:
        file = io.BytesIO()
        # Formats differ in decoding only.
        image, tasks = (whole, _TASKS) if format_ == FORMATS[0] else (small, [Task.FAST_LOOKUP])
        if format_ == "HEIC":
            pillow_heif.from_pillow(image).save(file)
        else:
            image.save(file, format_.upper())
        for task in tasks:
            _TASKS[task](file.getvalue())


if __name__ == "__main__":
    main()
