"""Parse vPDQ's text form of a video: a line for each frame, ``number,quality,hash,seconds``.

facebook/ThreatExchange's vpdq writes it. It says neither where a frame's time ends nor what was
done to the frame.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MIN_QUALITY, PdqHash
from disrupt.core.videos import FRAME
from disrupt.errors import InvalidRequestError, Violation

_COLUMNS = 4
_QUALITY_MAX = 100
_TIME_MAX_MS = 2**32 - 1


def parse_vpdq(text: str) -> NDArray[np.void]:
    """Parse frames, dtype FRAME, ascending; InvalidRequestError names the line that is wrong.

    A frame's time ends where the next one begins, the last one's after as long as the one before.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    rows = np.zeros(len(lines), FRAME)
    for at, line in enumerate(lines):
        try:
            _, quality, hexadecimal, seconds = line.split(",", _COLUMNS - 1)
            rows[at]["hash"] = np.frombuffer(PdqHash.from_hex(hexadecimal).value, np.uint8)
            rows[at]["quality"] = _within(int(quality), _QUALITY_MAX)
            rows[at]["start_ms"] = _within(round(float(seconds) * 1000), _TIME_MAX_MS)
        except (ValueError, OverflowError, InvalidRequestError) as error:
            raise InvalidRequestError.of(
                Violation("frames", f"line {at + 1} is not `number,quality,hash,seconds`")
            ) from error
    rows = rows[np.argsort(rows["start_ms"], kind="stable")]
    rows["usable"] = rows["quality"] >= MIN_QUALITY
    if len(rows):
        rows["end_ms"][:-1] = rows["start_ms"][1:]
        steps = np.diff(rows["start_ms"].astype(np.int64))
        last_ms = int(rows["start_ms"][-1]) + int(steps[-1] if len(steps) else 0)
        rows["end_ms"][-1] = min(last_ms, _TIME_MAX_MS)
    return rows


def _within(value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise ValueError(value)
    return value
