"""Let a worker die of the first picture or video that is refused."""

from __future__ import annotations

import os
from typing import NoReturn

from disrupt.isolation import pictures as isolation
from disrupt.isolation import videos as isolation_videos


def _die(_reason: str, _cause: str | None = None) -> NoReturn:
    os._exit(1)


for room in (isolation, isolation_videos):
    vars(room)["refused"] = _die
