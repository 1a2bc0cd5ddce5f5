"""The part of an AVIF picture that its clean aperture names, which some browsers show alone.

``clap`` is a property of a picture (ISO 14496-12, 12.1.4): width, height, and how far the middle of
the part is from that of the picture. libavif leaves it to programs.
"""

from __future__ import annotations

import struct
from fractions import Fraction

from disrupt.hashing.decoding.heif import boxes_in, first_box, properties_of


def clean_aperture(data: bytes, width: int, height: int) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of the part of the primary picture, None without one."""
    try:
        meta = first_box(b"meta", data, 0, len(data))
        start = meta.content + 4
        primary = first_box(b"pitm", data, start, meta.end)
        item = int.from_bytes(data[primary.content + 4 : primary.end])
        iprp = first_box(b"iprp", data, start, meta.end)
        ipco = first_box(b"ipco", data, iprp.content, iprp.end)
        ipma = first_box(b"ipma", data, iprp.content, iprp.end)
        properties = list(boxes_in(data, ipco.content, ipco.end))
        numbers = dict(properties_of(data[ipma.content : ipma.end]))[item]
        for number in numbers:
            box = properties[(number & 0x7FFF) - 1]
            if box.kind == b"clap":
                return _part(struct.unpack_from(">IIIIiIiI", data, box.content), width, height)
    except (ValueError, ArithmeticError, LookupError, struct.error):
        return None
    return None


def _part(values: tuple[int, ...], width: int, height: int) -> tuple[int, int, int, int] | None:
    across, down, right, below = (Fraction(*values[at : at + 2]) for at in range(0, 8, 2))
    left, top = right + (width - across) / 2, below + (height - down) / 2
    box = round(left), round(top), round(left + across), round(top + down)
    is_within = 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
    return box if is_within and box != (0, 0, width, height) else None
