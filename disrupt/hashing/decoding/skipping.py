"""Find the packets of a video whose frames may be skipped: those shown for a moment only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

_AHEAD = 4
"""Packets read ahead of the decoder, so that the next frame shown is most often known."""

_KNOWN = 32
"""Packets, so far and ahead, whose times are compared: frames are stored less far out of order."""

_Packet = TypeVar("_Packet")


def shown_for_ms(
    packets: Iterable[tuple[_Packet, float | None]],
) -> Iterator[tuple[_Packet, float | None]]:
    """Yield packets with the duration for which each is shown, given its time; both in ms.

    The duration is None without a time, and infinite where no later packet is known.
    """
    waiting = deque[tuple[_Packet, float | None]]()
    known_ms = deque[float](maxlen=_KNOWN)

    def first() -> tuple[_Packet, float | None]:
        packet, at_ms = waiting.popleft()
        if at_ms is None:
            return packet, None
        return packet, min((ms for ms in known_ms if ms > at_ms), default=float("inf")) - at_ms

    for packet, at_ms in packets:
        waiting.append((packet, at_ms))
        if at_ms is not None:
            known_ms.append(at_ms)
        if len(waiting) > _AHEAD:
            yield first()
    while waiting:
        yield first()
