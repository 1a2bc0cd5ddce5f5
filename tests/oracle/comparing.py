"""Compare what Chromium shows of a file with what is hashed of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
from PIL import Image

from disrupt.core.transforms import Dihedral
from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding.pictures import decode_frames
from disrupt.hashing.decoding.pixels import Picture, oriented
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.pdq.luma import canonical_luma
from tests.oracle.chromium import Pixels, Shown

MAX_BITS = 4
"""Most bits between the hash of what Chromium shows and that of what is hashed."""

_OPAQUE_LEVEL = 247
"""Mean of alpha from which a picture is not looked up on black."""

_FRAMES = 2
"""Frames that are looked up: a PNG may have a first image that browsers do not show."""

_BLOCK_PX = 16
"""Rows of which Chromium may show less or more of a file that is cut."""

COUNTED = ", counted as skipped"
SAME, NOTHING, REFUSED = "as Chromium shows it", "nothing shown", "refused"


def difference(data: bytes, shown: Shown | None) -> str:
    """Return how what is hashed of a file differs from what Chromium shows.

    Distances end with COUNTED where the answer to a lookup says that something was not looked at.
    SAME, REFUSED where only Chromium shows something, or NOTHING where it does not: such a file
    is no danger, whether it is hashed or not.
    """
    if shown is None:
        return NOTHING
    looked_up = list(_looked_up(data))
    if not looked_up:
        return REFUSED
    registered = list(_registered(data))
    compared = {
        "": (shown.on_white, looked_up),
        " of what is registered": (shown.on_white, registered or looked_up),
    }
    if shown.alpha.mean() < _OPAQUE_LEVEL:
        compared[" on black"] = shown.on_black, looked_up
    counted = COUNTED if looked_up[-1].frames_left + looked_up[-1].unseen else ""
    for what, (page, pictures) in compared.items():
        bits = min(_distance_bits(page, shown.alpha, picture) for picture in pictures)
        if bits > MAX_BITS:
            return f"{bits} bits{what}{counted}"
    sizes = {_size(picture) for picture in registered}
    return SAME if sizes <= {shown.on_white.shape[1::-1]} else "another size"


def _registered(data: bytes) -> Iterator[Picture]:
    """Yield the picture that is registered of a file; none if it is refused."""
    try:
        yield next(decode_frames(data))
    except InvalidMediaError:
        return


def _looked_up(data: bytes) -> Iterator[Picture]:
    """Yield the readings that are looked up of a file; none if it is refused."""
    try:
        for picture in islice(decode_frames(data, scaled=True, colours=True), _FRAMES):
            yield replace(picture, image=picture.image.copy())
            yield from (replace(picture, image=image) for image in picture.others)
    except InvalidMediaError:
        return


def _distance_bits(page: Pixels, alpha: Pixels, picture: Picture) -> int:
    """Return the distance of a page to a reading; of a cut file, of the rows that it has."""
    turn = picture.orientation
    undone = turn if turn >= Dihedral.MIRROR else Dihedral(-turn % 4)
    page, alpha = oriented(page, undone), oriented(alpha, undone)
    rows = picture.height_px
    if not alpha[rows + _BLOCK_PX :].any():
        page = page[:rows]
    shown = Picture(Image.fromarray(page), Dihedral.IDENTITY)
    stored = replace(picture, orientation=Dihedral.IDENTITY)
    return int((_bits(shown) != _bits(stored)).sum())


def _bits(picture: Picture) -> Pixels:
    return np.unpackbits(hash_luma(canonical_luma(picture)).hashes)


def _size(picture: Picture) -> tuple[int, int]:
    size = picture.width_px, picture.height_px
    return size[::-1] if picture.orientation % 2 else size
