"""Let a worker die of the first video that is refused."""

from __future__ import annotations

import os
from typing import NoReturn

from disrupt.isolation import videos


def _die(_reason: str, _cause: str | None = None) -> NoReturn:
    os._exit(1)


vars(videos)["refused"] = _die
