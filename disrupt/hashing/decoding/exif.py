"""Read the orientation in an Exif block (TIFF 6.0, section 2) as browsers do."""

from __future__ import annotations

import struct
from typing import Literal

from disrupt.core.transforms import Dihedral

_ORIENTATION, _SHORT = 0x0112, 3

_ORDERS: dict[bytes, Literal["<", ">"]] = {b"II*\0": "<", b"MM\0*": ">"}

_SYMMETRIES = {
    2: Dihedral.MIRROR,
    3: Dihedral.ROTATE_180,
    4: Dihedral.MIRROR_ROTATE_180,
    5: Dihedral.MIRROR_ROTATE_270,
    6: Dihedral.ROTATE_90,
    7: Dihedral.MIRROR_ROTATE_90,
    8: Dihedral.ROTATE_270,
}
"""Symmetries that turn the stored pixels upright, by value; 1 and unknown values need none."""


def orientation(block: bytes) -> Dihedral:
    """Return the symmetry that turns the stored pixels upright; IDENTITY if a block states none.

    Only the first entry of type SHORT and count 1 is read. Many programs read other ones.
    """
    order = _ORDERS.get(block[:4])
    if order is None:
        return Dihedral.IDENTITY
    entry = struct.Struct(order + "HHIH2x")
    try:
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for at in range(start + 2, start + 2 + count * entry.size, entry.size):
            tag, kind, length, value = entry.unpack_from(block, at)
            if (tag, kind, length) == (_ORIENTATION, _SHORT, 1):
                return _SYMMETRIES.get(value, Dihedral.IDENTITY)
    except struct.error:
        pass
    return Dihedral.IDENTITY
