"""Pictures as callers have them: bytes, or the path of a file, which is read whole."""

from __future__ import annotations

import os
import stat

from disrupt.errors import InvalidMediaError, Violation

MAX_FILE_BYTES = 256 * 2**20
"""Larger files are not read: no picture of 50 megapixels needs so much."""


def read_picture(picture: bytes | str | os.PathLike[str]) -> bytes:
    """Bytes of a picture; InvalidMediaError for a path of anything but a readable regular file."""
    if isinstance(picture, bytes):
        return picture
    try:
        # O_NONBLOCK: opening a pipe must not wait for its writer
        with os.fdopen(os.open(picture, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _refused("it is not a file")
            if found.st_size > MAX_FILE_BYTES:
                raise _refused(
                    f"it has {found.st_size} bytes; files over {MAX_FILE_BYTES} are not read"
                )
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise _refused(f"it cannot be read ({error.strerror})") from error
    except ValueError as error:  # a null character
        raise _refused("its name is no file name") from error


def _refused(why: str) -> InvalidMediaError:
    return InvalidMediaError(f"Not a picture: {why}.", violations=(Violation("image", why),))
