"""Solve challenges as a device does."""

from __future__ import annotations

import json

from altcha import v2 as altcha


def solved(challenge: str) -> str:
    """Return the proof for a challenge."""
    asked = altcha.Challenge.from_dict(json.loads(challenge))
    solution = altcha.solve_challenge(asked, timeout=0)
    assert solution
    return altcha.Payload(asked, solution).to_base64()
