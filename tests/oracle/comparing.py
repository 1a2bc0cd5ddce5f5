"""Compare what is hashed of a file with what Chromium showed of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from disrupt.core.hashes import PdqHash
from disrupt.core.transforms import Dihedral
from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding.pictures import decode_frames
from disrupt.hashing.decoding.pixels import Picture, oriented
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.pdq.luma import canonical_luma
from rig.media.files import avif, bmp, gif, jpeg, others, png, png_colours, png_damage, webp
from tests.oracle.chromium import Pixels, Shown

MODULES = {
    "JPEG": jpeg,
    "PNG": png,
    "PNG colours": png_colours,
    "PNG damage": png_damage,
    "WebP": webp,
    "GIF": gif,
    "BMP": bmp,
    "AVIF": avif,
    "Others": others,
}
MAX_BITS = 4
"""Most bits between the hash of what Chromium shows and that of what is hashed."""

_OPAQUE_LEVEL = 247
"""Mean of alpha from which a picture is not looked up on black."""

_FRAMES = 2
"""Frames that are looked up: a PNG may have a first image that browsers do not show."""

_BLOCK_PX = 16
"""Rows of which Chromium may show less or more of a file that is cut."""

_FROZEN = Path(__file__).with_name("shown.json")

COUNTED = ", counted as skipped"
SAME, NOTHING, REFUSED = "as Chromium shows it", "nothing shown", "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """What Chromium shows of a file, hashed: on white and, unless it is opaque, on black.

    ``rows`` are those that were hashed of a file that is cut, as they are stored; 0: all.
    """

    size: tuple[int, int]
    rows: int
    on_white: PdqHash
    on_black: PdqHash | None


def files() -> dict[str, bytes]:
    return {
        f"{kind}: {name}": data for kind, module in MODULES.items() for name, data in module.files()
    }


def answer(data: bytes, shown: Shown | None) -> Answer | None:
    """Hash what a page shows of a file; of a cut one, the rows that are looked up."""
    if shown is None:
        return None
    height, width = shown.alpha.shape
    picture = next(_looked_up(data), None)
    turn = picture.orientation if picture else Dihedral.IDENTITY
    undone = turn if turn >= Dihedral.MIRROR else Dihedral(-turn % 4)
    rows = picture.height_px if picture else height
    is_cut = rows < height and not oriented(shown.alpha, undone)[rows + _BLOCK_PX :].any()

    def hashed(page: Pixels) -> PdqHash:
        stored = oriented(page, undone)[: rows if is_cut else None]
        return _hash(Picture(Image.fromarray(np.ascontiguousarray(stored)), turn))

    faded = shown.alpha.mean() < _OPAQUE_LEVEL
    on_black = hashed(shown.on_black) if faded else None
    return Answer((width, height), rows * is_cut, hashed(shown.on_white), on_black)


def difference(data: bytes, shown: Answer | None) -> str:
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
    if shown.rows not in {0, looked_up[0].height_px}:
        return f"{looked_up[0].height_px} rows"
    registered = list(_registered(data))
    compared = {
        "": (shown.on_white, looked_up),
        " of what is registered": (shown.on_white, registered or looked_up),
    }
    if shown.on_black:
        compared[" on black"] = shown.on_black, looked_up
    counted = COUNTED if looked_up[-1].frames_left + looked_up[-1].unseen else ""
    for what, (page, pictures) in compared.items():
        bits = min(page.distance_bits(_hash(picture)) for picture in pictures)
        if bits > MAX_BITS:
            return f"{bits} bits{what}{counted}"
    sizes = {_size(picture) for picture in registered}
    return SAME if sizes <= {shown.size} else "another size"


def read_frozen() -> dict[str, Answer | None]:
    """Read what Chromium showed of each file."""

    def read(fields: tuple[int, int, int, str, str] | None) -> Answer | None:
        if fields is None:
            return None
        width, height, rows, white, black = fields
        on_black = PdqHash.from_hex(black) if black else None
        return Answer((width, height), rows, PdqHash.from_hex(white), on_black)

    return {name: read(fields) for name, fields in json.loads(_FROZEN.read_text()).items()}


def freeze(answers: dict[str, Answer | None]) -> None:
    """Write what Chromium shows of each file, a line each."""
    lines = []
    for name, shown in answers.items():
        black = shown.on_black.value.hex() if shown and shown.on_black else ""
        fields = shown and (*shown.size, shown.rows, shown.on_white.value.hex(), black)
        lines.append(f"{json.dumps(name)}: {json.dumps(fields)}")
    _FROZEN.write_text("{\n" + ",\n".join(lines) + "\n}\n")


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


def _hash(picture: Picture) -> PdqHash:
    return PdqHash(hash_luma(canonical_luma(picture)).hashes.tobytes())


def _size(picture: Picture) -> tuple[int, int]:
    size = picture.width_px, picture.height_px
    return size[::-1] if picture.orientation % 2 else size
