"""Run a decoding process: warm up, lock down, and answer.

Its arguments are SOCKET MEDIA PARENT MEMORY: descriptors of the socket and of the shared memory
that media lie in, process id of the parent, bytes of address space.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar

from PIL import AvifImagePlugin

from disrupt.errors import (
    DisruptError,
    InvalidMediaError,
    OverloadedError,
    UnimplementedError,
)
from disrupt.isolation.messages import Failed, OutOfMemory, Ready, Refused
from disrupt.isolation.sandbox import lock_down

# One thread each: there are as many of these processes as cores.
with contextlib.suppress(ImportError):  # as in decoding.pictures
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

REQUEST_BYTES_MAX = 64

_NICE = 5
"""Priority of decoders, below that of the server: lookups by hash, and refusals, go first."""

_Answer = TypeVar("_Answer")


def serve(
    warm_up: Callable[[], None],
    pack: Callable[[Any], bytes],
    answer: Callable[[bytes, mmap.mmap, socket.socket], object],
    *,
    threads: bool = False,
) -> None:
    """Lock this process down, say Ready, then answer requests until the socket is closed.

    ``warm_up`` loads all that is needed later: afterwards nothing can be. ``answer`` gets a
    request, the memory of media, and the socket; a request that it returns None for has no answer.
    ``threads``: it may start some.
    """
    socket_fd, media_fd, parent, memory_bytes = map(int, sys.argv[1:])
    media = mmap.mmap(media_fd, 0, prot=mmap.PROT_READ)
    os.close(media_fd)
    warm_up()
    os.nice(_NICE)
    late = _LateImports()
    sys.meta_path.insert(0, late)
    with socket.socket(fileno=socket_fd) as channel:
        missing = lock_down(memory_bytes=memory_bytes, parent=parent, threads=threads)
        channel.send(pack(Ready(missing)))
        while message := channel.recv(REQUEST_BYTES_MAX):
            answered = answer(message, media, channel)
            if answered is not None:
                channel.send(pack(late.take() or answered))


def outcome(hashing: Callable[[], _Answer]) -> _Answer | Refused | OutOfMemory | Failed:
    """Call ``hashing``, and return its result, or the answer that stands for its error."""
    try:
        return hashing()
    except InvalidMediaError as error:
        return Refused(error.violations[0].description)
    except (MemoryError, OverloadedError):
        return OutOfMemory()
    except UnimplementedError as error:
        return Refused(error.message, lacks_decoder=True)
    except DisruptError as error:
        return Refused(error.message)
    except Exception as error:  # noqa: BLE001 its message could quote the media
        return Failed(type(error).__name__)


class _LateImports(MetaPathFinder):
    """Reports a module that is imported after the lock-down, when it cannot be loaded.

    Decoders would take the failure for damaged media. It means that the warm-up lacks something.
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
