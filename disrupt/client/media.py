"""Media as callers have them: bytes, or the path of a file."""

from __future__ import annotations

import io
import os
import stat
from typing import BinaryIO

from disrupt.errors import InvalidMediaError, Violation
from disrupt.hashing.video_decode import SNIFFED_BYTES, is_video

MAX_FILE_BYTES = 256 * 2**20
"""Larger files are not read whole: no picture of 50 megapixels needs so much."""


def open_media(media: bytes | str | os.PathLike[str]) -> BinaryIO:
    """A file to read; InvalidMediaError for a path of anything but a readable regular file."""
    if isinstance(media, bytes):
        return io.BytesIO(media)
    try:
        # O_NONBLOCK: opening a pipe must not wait for its writer
        file = os.fdopen(os.open(media, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise _refused(f"it cannot be read ({error.strerror})") from error
    except ValueError as error:  # a null character
        raise _refused("its name is no file name") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _refused("it is not a file")
    return file


def shows_video(file: BinaryIO) -> bool:
    """Whether it begins as a video file does; animations are pictures."""
    head = file.read(SNIFFED_BYTES)
    file.seek(0)
    return is_video(head)


def read_whole(file: BinaryIO) -> bytes:
    """All bytes of a picture file; InvalidMediaError for one that is too large for a picture."""
    try:
        data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _refused(f"it cannot be read ({error.strerror})") from error
    if len(data) > MAX_FILE_BYTES:
        raise _refused(f"it has more than {MAX_FILE_BYTES} bytes; such files are not read")
    return data


def read_picture(picture: bytes | str | os.PathLike[str]) -> bytes:
    """Bytes of a picture; errors as of ``open_media`` and ``read_whole``."""
    if isinstance(picture, bytes):
        return picture
    with open_media(picture) as file:
        return read_whole(file)


def _refused(why: str) -> InvalidMediaError:
    return InvalidMediaError(f"Not a picture: {why}.", violations=(Violation("image", why),))
