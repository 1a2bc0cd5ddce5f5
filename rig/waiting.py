"""Wait for a condition of a running system."""

from __future__ import annotations

import time
from collections.abc import Callable

_PAUSE_S = 0.02


def eventually(
    holds: Callable[[], object],
    *,
    within_s: float = 120.0,
    passing: tuple[type[Exception], ...] = (),
) -> None:
    """Wait until a condition holds; raise TimeoutError if it does not.

    The default time is so long that no test depends on it. While a condition raises one of
    ``passing``, it does not hold.
    """
    give_up_s = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except passing:
            pass
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"{holds} did not come to hold within {within_s:g} s")
        time.sleep(_PAUSE_S)
