"""Write disrupt/web/page/hashing/tables.js: the plans and limits by which the web page hashes.

With --check compare only; the status is 1 if the file is stale.
"""

import json
import sys
from pathlib import Path

from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.media import Profile
from disrupt.core.transforms import (
    ANCHORED_MOST,
    ANCHORED_WIDTHS,
    ENLARGED,
    PARTS_PLAN,
    PLANS,
    REGISTERED_MOST,
    Transform,
)
from disrupt.core.variant_plan import VARIANTS
from disrupt.distinctiveness.shape_distance import REGISTERED_SHAPE_BITS, SHAPE_BITS
from disrupt.hashing import selection, variants
from disrupt.hashing.regions.crops import MAX_PLAIN_SHARE

TABLES = Path(__file__).parents[1] / "disrupt" / "web" / "page" / "hashing" / "tables.js"

_HEAD = """\
/**
 * Limits and the variant plan, written by `scripts/page_tables.py`.
 *
 * A variant is left, top, right and bottom cut off, in thousandths, and a turn in thousandths of a
 * degree, of a picture at least as wide as tall. Those of a taller one have the axes exchanged.
 */

"""


def tables() -> str:
    """Return the text of the module."""
    constants = {
        "PDQ_512": Profile.PDQ_512.value,
        "PDQ_FULL": Profile.PDQ_FULL.value,
        "ENLARGED": PLANS[0].index(ENLARGED),
        "PLAIN_EDGES_CUT": PLANS[0].index(Transform(plain_edges_cut=True)),
        "MIN_QUALITY": MIN_QUALITY,
        "MAX_UNDECIDED_BITS": selection.MAX_UNDECIDED_BITS,
        "MAX_UNDECIDED_BITS_OF_PARTS": variants.MAX_UNDECIDED_BITS,
        "MAX_PLAIN_SHARE": MAX_PLAIN_SHARE,
        "NEAR_BITS": variants.NEAR_BITS,
        "SHAPE_BITS": SHAPE_BITS,
        "REGISTERED_SHAPE_BITS": REGISTERED_SHAPE_BITS,
        "PARTS_PLAN": PARTS_PLAN,
        "REGISTERED_MOST": REGISTERED_MOST,
        "ANCHORED_WIDTHS": json.dumps(ANCHORED_WIDTHS),
        "ANCHORED_MOST": json.dumps(ANCHORED_MOST),
    }
    lines = [f"export const {name} = {value};" for name, value in constants.items()]
    texts = [json.dumps(row) for row in VARIANTS]
    lines += ["", "/** @type {number[][]} */", "export const VARIANTS = ["]
    lines += [f"  {', '.join(texts[at : at + 3])}," for at in range(0, len(texts), 3)]
    return _HEAD + "\n".join([*lines, "];", ""])


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TABLES.read_text() != tables())
    TABLES.write_text(tables())
