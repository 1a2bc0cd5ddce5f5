"""Count how many hashes of a registered picture are over 62 bits from each other.

Lookups that are so far from each other cannot be near to one hash, so this many of its own copies
can be counted as lookups that do not resemble each other (docs/policy.md).
"""

from __future__ import annotations

import argparse
import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.recall.sources import sources
from disrupt.core.hashes import distances_bits
from disrupt.core.media import LowQuality, columns
from disrupt.core.sketches import FAR_BITS
from disrupt.hashing import fingerprint_image

_SIDE_PX = 900
_ORDERS = 10
"""Orders in which hashes are chosen greedily; the most that any gives are counted."""


def apart(data: bytes, chance: random.Random) -> tuple[int, int] | None:
    """Return how many hashes of a picture are far from each other, and how many it has."""
    outcome = fingerprint_image(data)
    if isinstance(outcome, LowQuality):
        return None
    hashes = columns(outcome.fingerprints)["hash"]
    near = distances_bits(hashes[:, None], hashes[None]) <= FAR_BITS
    most = 0
    for _ in range(_ORDERS):
        left, chosen = np.ones(len(hashes), np.bool_), 0
        while left.any():
            left &= ~near[chance.choice(np.flatnonzero(left).tolist())]
            chosen += 1
        most = max(most, chosen)
    return most, len(hashes)


def main() -> None:
    """Print the figures of each kind of picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", default="photograph", help="kind of sources  [photograph]")
    parser.add_argument("--count", type=int, default=100, help="most pictures  [100]")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    chance = random.Random(1)
    counts = []
    for source in [each for each in sources() if each.kind == options.kind][: options.count]:
        picture = Image.fromarray(np.asarray(source.load()).astype(np.uint8)).convert("RGB")
        picture.thumbnail((_SIDE_PX, _SIDE_PX))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=90)
        counts += [count for count in [apart(file.getvalue(), chance)] if count]
    far, hashes = np.array(counts).T
    figures: dict[str, Any] = {
        "kind": options.kind,
        "pictures": len(counts),
        "far_median": float(np.median(far)),
        "far_most": int(far.max()),
        "hashes_most": int(hashes.max()),
    }
    print(json.dumps(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
