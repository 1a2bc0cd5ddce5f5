"""Register videos unfolded, and compare two of them however much work that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from disrupt.services import registration, video_matching


def _as_they_are(fingerprints: NDArray[np.void]) -> NDArray[np.void]:
    return np.ascontiguousarray(fingerprints)


def _none_at_once(fingerprints: NDArray[np.void]) -> int:
    return 0


video_matching._MOST_WORK = 10**18
registration.folded = _as_they_are  # type: ignore[attr-defined]
registration.most_at_once = _none_at_once  # type: ignore[attr-defined]
