"""Write the tables by which the web page hashes as Python does.

disrupt/web/page/hashing/tables.js are the plans and the limits, and shapes.bin, packed by gzip, the
hashes of simple shapes. With --check only compare, and fail if they are stale.
"""

import gzip
import json
import sys
from pathlib import Path

from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.media import Profile
from disrupt.core.transforms import ENLARGED, PLANS
from disrupt.distinctiveness.shape_distance import REGISTERED_SHAPE_BITS, SHAPE_BITS
from disrupt.distinctiveness.shapes import shapes
from disrupt.hashing import images, variants
from disrupt.hashing.regions.crops import MAX_PLAIN_SHARE

HASHING = Path(__file__).parents[1] / "disrupt" / "web" / "page" / "hashing"
TABLES, SHAPES = HASHING / "tables.js", HASHING / "shapes.bin"

_HEAD = """\
/**
 * Plans and limits of `disrupt/core/transforms.py` and its neighbours, written by
 * `scripts/page_tables.py`. Each version of a plan is [left, top, right, bottom] cut off, in
 * thousandths, and its turn in thousandths of a degree.
 */

"""


def tables() -> str:
    """Return the module of plans and limits."""
    values: dict[str, object] = {
        "PROFILES": {profile.name: profile.value for profile in Profile if profile},
        "ENLARGED_ORDINAL": PLANS[0].index(ENLARGED),
        "VARIANT_PLANS": list(variants.PLANS),
        "MIN_QUALITY": MIN_QUALITY,
        "MAX_UNDECIDED_BITS": images.MAX_UNDECIDED_BITS,
        "MAX_UNDECIDED_BITS_OF_PARTS": variants.MAX_UNDECIDED_BITS,
        "MAX_PLAIN_SHARE": MAX_PLAIN_SHARE,
        "NEAR_BITS": variants.NEAR_BITS,
        "SHAPE_BITS": SHAPE_BITS,
        "REGISTERED_SHAPE_BITS": REGISTERED_SHAPE_BITS,
    }
    constants = "".join(
        f"export const {name} = {json.dumps(value)};\n" for name, value in values.items()
    )
    return f"{_HEAD}{constants}\n{_plans()}"


def _plans() -> str:
    lines = ["/** @type {Record<number, number[][]>} */", "export const PLANS = {"]
    for plan in variants.PLANS:
        lines.append(f"  {plan}: [")
        lines += [
            f"    {json.dumps([*transform.crop, transform.rotation_millidegrees])},"
            for transform in PLANS[plan]
        ]
        lines.append("  ],")
    return "\n".join([*lines, "};", ""])


def main(arguments: list[str]) -> int:
    """Write the files, or compare them; return the exit status."""
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    if arguments:
        stale = TABLES.read_text() != tables() or (
            gzip.decompress(SHAPES.read_bytes()) != shapes().tobytes()
        )
        if stale:
            print("the page's tables are stale; run scripts/page_tables.py", file=sys.stderr)
        return int(stale)
    TABLES.write_text(tables())
    SHAPES.write_bytes(gzip.compress(shapes().tobytes(), mtime=0))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
