"""Read media that callers give as bytes, or as the path of a file."""

from __future__ import annotations

import contextvars
import io
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, TypeVar

from disrupt.client.arguments import buffer, flag, invalid
from disrupt.client.calls import Deadline
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.errors import (
    InvalidMediaError,
    UnimplementedError,
    UnreadableMediaError,
    Violation,
)
from disrupt.extras import DECODERS, install
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.decoding.pictures import DEFAULT_LIMITS
from disrupt.hashing.decoding.sniffing import SNIFFED_BYTES, is_video

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Media: TypeAlias = "bytes | bytearray | memoryview | str | os.PathLike[str]"
"""The bytes of a file, or its path."""

_Prepared = TypeVar("_Prepared")


def open_media(media: Media, field: str = "image") -> BinaryIO:
    """Open media for reading; ``field`` is the name of their argument, for errors.

    Raises UnreadableMediaError for a path of anything but a readable regular file, here and
    whenever the file is read; InvalidRequestError for what is neither bytes nor a path.
    """
    if isinstance(media, bytes | bytearray | memoryview):
        return io.BytesIO(buffer(field, media))
    if not isinstance(media, str | os.PathLike):
        raise invalid(field, f"give the bytes of a file, or its path, not {type(media).__name__}")
    try:
        file = _RegularFile(os.fspath(media), opener=_open)
    except TypeError as error:
        raise invalid(field, f"give a path: {error}") from error
    except OSError as error:
        raise _unreadable(error.strerror or str(error)) from error
    except ValueError as error:  # a null character, or one that the file system cannot encode
        raise _unreadable("its path is not one that a file can have") from error
    return io.BufferedReader(file)


@contextmanager
def decoding() -> Iterator[None]:
    """Say in the error for a missing decoder how to add it, and that the server may hash."""
    try:
        yield
    except UnimplementedError as error:
        command = install(DECODERS[error.metadata["cause"]])
        raise UnimplementedError(
            f"{error.message} Nothing was asked: hold the upload. Install it ({command}), or let"
            " the server hash the file: hash_locally=False, of `disrupt match` --send-pictures.",
            cause=error.metadata["cause"],
        ) from error


def shows_video(file: BinaryIO) -> bool:
    """Tell whether a file begins as a video file does; animations are pictures."""
    head = file.read(SNIFFED_BYTES)
    file.seek(0)
    return is_video(head)


def is_video_file(media: Media) -> bool:
    """Tell whether media are a video, by their first bytes. Errors as of ``open_media``."""
    with open_media(media, "file") as file:
        return shows_video(file)


def read_whole(file: BinaryIO) -> bytes:
    """Read a picture file. Raises InvalidMediaError if it is too large for a picture."""
    limits = DEFAULT_LIMITS
    data = file.read(limits.max_bytes + 1)
    if len(data) > limits.max_bytes:
        most = f"{limits.max_pixels / 1e6:g} megapixels and {limits.max_bytes >> 20} MiB"
        why = f"it is too large; at most {most} are accepted"
        violations = (Violation("image", why),)
        raise InvalidMediaError(f"Not a picture: {why}.", violations=violations, cause="TOO_LARGE")
    return data


def prepare(
    picture: Media, *, effort: Effort, hash_locally: bool
) -> bytes | ImageQuery | LowQuality:
    """Read a picture, and hash it here unless the server does.

    Raises what ``open_media`` and ``read_whole`` do, InvalidRequestError for a video,
    UnimplementedError for HEIC without its extra, and InvalidMediaError for what else is no
    picture.
    """
    flag("hash_locally", hash_locally)
    with open_media(picture) as file:
        if shows_video(file):
            raise invalid("image", "this is a video: look it up with match_video")
        data = picture if isinstance(picture, bytes) else read_whole(file)
    if not hash_locally:
        return data
    with decoding():
        return hash_image(data, effort=effort)


def in_time(prepare: Callable[[], _Prepared], deadline: Deadline) -> _Prepared:
    """Call a function in a thread, and wait for it until the deadline.

    Raises DeadlineExceededError then; the function goes on to its end, and its result is dropped.
    """
    outcome: Future[_Prepared] = Future()

    def work() -> None:
        try:
            outcome.set_result(prepare())
        except BaseException as error:  # noqa: BLE001 raised where it is waited for
            outcome.set_exception(error)

    context = contextvars.copy_context()
    # a daemon: a program that ends does not wait for it
    threading.Thread(target=context.run, args=(work,), name="disrupt-hash", daemon=True).start()
    if wait((outcome,), deadline.remaining_s()).not_done:
        raise deadline.exceeded()
    return outcome.result()


class _RegularFile(io.FileIO):
    """A file whose reads raise UnreadableMediaError: decoders take OSError for bad media."""

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise _unreadable(error.strerror or str(error)) from error


def _open(path: str, _: int) -> int:
    # O_NONBLOCK: opening a pipe must not wait for its writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _unreadable("it is a folder, a pipe or a device, not a file")
    return descriptor


def _unreadable(why: str) -> UnreadableMediaError:
    return UnreadableMediaError(
        f"The file could not be read: {why}. Nothing is known of what it shows; "
        "make it readable, then try again."
    )
