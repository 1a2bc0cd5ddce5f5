"""Write disrupt/web/page/hashing/tables.js: the plans and limits by which the web page hashes.

With --check compare only; the status is 1 if the file is stale.
"""

import json
import sys
from pathlib import Path

from disrupt.core import variant_plan_1, variant_plan_2
from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.media import Profile
from disrupt.core.transforms import ENLARGED, PLANS, Transform
from disrupt.distinctiveness.shape_distance import REGISTERED_SHAPE_BITS, SHAPE_BITS
from disrupt.hashing import images, variants
from disrupt.hashing.regions.crops import MAX_PLAIN_SHARE

TABLES = Path(__file__).parents[1] / "disrupt" / "web" / "page" / "hashing" / "tables.js"

_HEAD = """\
/**
 * Limits and variant plans, written by `scripts/page_tables.py`.
 *
 * A variant is left, top, right and bottom cut off, in thousandths, and a turn in thousandths of a
 * degree, of a picture at least as wide as tall. The other half of a plan has the axes exchanged.
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
        "MAX_UNDECIDED_BITS": images.MAX_UNDECIDED_BITS,
        "MAX_UNDECIDED_BITS_OF_PARTS": variants.MAX_UNDECIDED_BITS,
        "MAX_PLAIN_SHARE": MAX_PLAIN_SHARE,
        "NEAR_BITS": variants.NEAR_BITS,
        "SHAPE_BITS": SHAPE_BITS,
        "REGISTERED_SHAPE_BITS": REGISTERED_SHAPE_BITS,
    }
    lines = [f"export const {name} = {value};" for name, value in constants.items()]
    lines += ["", "/** @type {Record<number, number[][]>} */", "export const PLANS = {"]
    plans = (variant_plan_1.VARIANTS, variant_plan_2.VARIANTS)
    for plan, rows in zip(variants.PLANS, plans, strict=True):
        texts = [json.dumps(row) for row in rows]
        lines += [f"  {plan}: ["]
        lines += [f"    {', '.join(texts[at : at + 3])}," for at in range(0, len(texts), 3)]
        lines += ["  ],"]
    return _HEAD + "\n".join([*lines, "};", ""])


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(TABLES.read_text() != tables())
    TABLES.write_text(tables())
