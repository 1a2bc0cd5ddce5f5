"""Let a worker die of the first video that is refused."""

from __future__ import annotations

import os
from typing import Any

from disrupt.isolation.videos import IsolatedVideos


def _die(_pool: Any, _of: Any) -> Any:
    os._exit(1)


IsolatedVideos._error_of_answer = _die  # type: ignore[assignment, method-assign]
IsolatedVideos._error_of_death = _die  # type: ignore[assignment, method-assign]
