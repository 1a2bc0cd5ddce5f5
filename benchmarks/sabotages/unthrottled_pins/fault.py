"""Check each PIN cheaply, as it arrives."""

from __future__ import annotations

from disrupt.services import pins
from disrupt.services.throttle import Asked, Throttle


def _ask(self: Throttle, asked: Asked, pin_hash: str | None, _now_s: float) -> bool:
    return pin_hash is not None and self._verify(pin_hash, asked.proof)


Throttle.ask = _ask  # type: ignore[assignment,method-assign]
pins._MEMORY_KIB = 1024
