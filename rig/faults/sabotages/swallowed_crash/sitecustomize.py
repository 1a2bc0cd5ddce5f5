"""Crash decoders on pictures that they refuse, and answer as if such a picture were plain."""

from __future__ import annotations

import ctypes
import sys
from typing import NoReturn

from disrupt.core.media import LowQuality
from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding import pictures as decoding
from disrupt.isolation import pictures
from disrupt.isolation.messages import Answer, Task

_run = pictures.IsolatedHashing._run


def _crash(*_: object, **__: object) -> NoReturn:
    ctypes.string_at(0)
    raise AssertionError


async def _swallow(self: pictures.IsolatedHashing, task: Task, data: bytes | memoryview) -> Answer:
    try:
        return await _run(self, task, data)
    except InvalidMediaError as error:
        if error.metadata.get("cause") == "CRASH":
            return LowQuality(1)
        raise


if "disrupt.isolation.picture_worker" in sys.orig_argv:
    vars(decoding)["refused"] = _crash
pictures.IsolatedHashing._run = _swallow  # type: ignore[method-assign]
