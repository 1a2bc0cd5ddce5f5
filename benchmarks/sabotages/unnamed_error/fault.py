"""Report a picture or video that cannot be decoded as an error of the server."""

from __future__ import annotations

from typing import NoReturn

from disrupt.isolation import pictures as isolation
from disrupt.isolation import videos as isolation_videos


def _fail(_reason: str, _cause: str | None = None) -> NoReturn:
    raise ValueError


for room in (isolation, isolation_videos):
    vars(room)["refused"] = _fail
