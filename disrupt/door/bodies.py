"""Read the files of requests as they come: bounded in size and memory, and never on a disk."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from disrupt.errors import (
    InvalidRequestError,
    LimitExceededError,
    OverloadedError,
    Violation,
)
from disrupt.hashing.decoding.videos import DEFAULT_LIMITS as VIDEOS
from disrupt.http_server import in_time

FILE_BYTES_MAX = VIDEOS.max_bytes
JSON_BYTES_MAX = 1 << 20
BODY_S = 60.0
"""Longest time to wait for a body; what comes of it extends that by this rate:"""
_LEAST_BYTES_PER_S = 64 * 1024
_HEADERS_BYTES_MAX = 4096
_UPLOADS_MAX = 64
"""Files that are read and hashed at once; each holds at most a picture's bytes in memory."""
_FORM = "multipart/form-data"


class Room:
    """Counts the files under way, so that all together have a bound in memory."""

    def __init__(self, most: int = _UPLOADS_MAX) -> None:
        self._free = most

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place. Raises OverloadedError where there is none."""
        if not self._free:
            raise OverloadedError(
                "The door is busy with other uploads. Try again in a moment.", retry_after_s=1.0
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


async def raw(request: Request, most_bytes: int = FILE_BYTES_MAX) -> AsyncIterator[bytes]:
    """Yield the body of a request.

    Raises LimitExceededError beyond ``most_bytes``, DeadlineExceededError where it comes too slowly
    while it is waited for.
    """
    total_bytes, left_s = 0, BODY_S
    parts = request.stream()
    while True:
        began_s = time.monotonic()
        async with in_time(left_s):
            chunk = await anext(parts, None)
        if chunk is None:
            return
        total_bytes += len(chunk)
        if total_bytes > most_bytes:
            raise LimitExceededError(f"At most {most_bytes} bytes.", limit=str(most_bytes))
        left_s += len(chunk) / _LEAST_BYTES_PER_S - (time.monotonic() - began_s)
        if chunk:
            yield chunk


async def whole(request: Request, most_bytes: int = JSON_BYTES_MAX) -> bytes:
    """Return a small body. Raises as ``raw``."""
    return b"".join([chunk async for chunk in raw(request, most_bytes)])


@dataclass
class _Form:
    """State of a form's parser: the name of the file's field, bytes to yield, number of parts."""

    name: str = ""
    parts: int = 0
    waiting: bytearray = field(default_factory=bytearray)
    in_headers: bool = False
    is_over: bool = False
    _header: list[bytearray] = field(default_factory=lambda: [bytearray(), bytearray()])

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._of_header(0, data[start:end]),
            "on_header_value": lambda data, start, end: self._of_header(1, data[start:end]),
            "on_header_end": self._end_of_header,
            "on_headers_finished": self._end_of_headers,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self.parts += 1
        self.in_headers = True
        if self.parts > 1:
            raise _bad("send one file in a form, and nothing beside it")

    def _of_header(self, which: int, data: bytes) -> None:
        self._header[which] += data
        if len(self._header[which]) > _HEADERS_BYTES_MAX:
            raise _bad("a part's headers are too long")

    def _end_of_header(self) -> None:
        name, value = (bytes(text) for text in self._header)
        self._header = [bytearray(), bytearray()]
        if name.lower() == b"content-disposition":
            _, options = parse_options_header(value)
            self.name = options.get(b"name", b"").decode("latin-1")

    def _end_of_headers(self) -> None:
        self.in_headers = False

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.waiting += data[start:end]

    def _end(self) -> None:
        self.is_over = True


class FormFile:
    """The one file of a form, as multipart/form-data has it."""

    def __init__(self, request: Request) -> None:
        """Raise InvalidRequestError for what is no form."""
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != _FORM.encode() or b"boundary" not in options:
            raise _bad(f"send {_FORM}, with the file in a field named photo or video")
        self._body = raw(request)
        self._form = _Form()
        callbacks = self._form.callbacks()
        self._parser = MultipartParser(options[b"boundary"], callbacks)  # type: ignore[arg-type]

    async def field(self) -> str:
        """Read as far as to the file's bytes, and return the name of its field."""
        read_bytes = 0
        while not self._form.parts or self._form.in_headers:
            read_bytes += await self._more()
            if read_bytes > FILE_BYTES_MAX:
                raise _bad("there is no part in it")
        return self._form.name

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file's bytes. Raises InvalidRequestError where the form ends before its end."""
        while True:
            if self._form.waiting:
                chunk, self._form.waiting = bytes(self._form.waiting), bytearray()
                yield chunk
            elif self._form.is_over:
                return
            else:
                await self._more()

    async def _more(self) -> int:
        chunk = await anext(self._body, None)
        if chunk is None:
            raise _bad("the form ends before its last boundary")
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise _bad("it is no form that can be read") from None
        return len(chunk)


def _bad(why: str) -> InvalidRequestError:
    return InvalidRequestError.of(Violation("body", why))
