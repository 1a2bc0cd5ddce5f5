"""The cosine transform of PDQ along one axis: 16 coefficients of 64 samples, none constant."""

from __future__ import annotations

import numpy as np

SAMPLES, COEFFICIENTS = 64, 16

COSINES = (
    np.sqrt(2 / SAMPLES)
    * np.cos(
        np.pi / (2 * SAMPLES) * np.outer(np.arange(1, COEFFICIENTS + 1), 2 * np.arange(SAMPLES) + 1)
    )
).astype(np.float32)
"""Shape (COEFFICIENTS, SAMPLES)."""
