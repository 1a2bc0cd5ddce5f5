"""Read how players turn and mirror a video: its display matrix, as FFmpeg gives it."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, NamedTuple, cast

from disrupt.core.transforms import Dihedral

if TYPE_CHECKING:
    from collections.abc import Iterable

    import av
    from av.sidedata.sidedata import SideData

with contextlib.suppress(ImportError):  # as in decoding.videos
    from av.sidedata.sidedata import SideDataContainer

_QUARTERS = ((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))
"""a, b, c, d of x' = ax + cy, y' = bx + dy, of clockwise quarter turns; y points down."""

_MATRICES = {
    **{Dihedral(turn): matrix for turn, matrix in enumerate(_QUARTERS)},
    **{Dihedral(4 + turn): (-a, -b, c, d) for turn, (a, b, c, d) in enumerate(_QUARTERS)},
}
_ONE = 1 << 16
_MATRIX = struct.Struct("=9i")


class Orientation(NamedTuple):
    """The symmetry that is nearest to a display matrix.

    ``disputed``: browsers differ in whether they apply it, as all apply only plain quarter turns.
    """

    symmetry: Dihedral = Dihedral.IDENTITY
    disputed: bool = False


def orientation_of(frame: av.VideoFrame) -> Orientation:
    """Return the orientation that the container of a frame states; if none, that of its codec."""
    # Where both state one, the container's comes first, which is what browsers go by.
    # frame.side_data would be kept by the frame, and keep the frame until garbage is collected.
    every = cast("Iterable[SideData]", SideDataContainer(frame))  # type: ignore[call-arg]
    stated = next((data for data in every if data.type.name == "DISPLAYMATRIX"), None)
    if stated is None:
        return Orientation()
    a, b, _, c, d, *_ = _MATRIX.unpack(bytes(stated))
    matrix = a, b, c, d
    symmetry = max(_MATRICES, key=lambda turn: _product(matrix, _MATRICES[turn]))
    is_exact = matrix == tuple(_ONE * value for value in _MATRICES[symmetry])
    is_turn = symmetry < Dihedral.MIRROR
    return Orientation(symmetry, disputed=not (is_turn and is_exact))


def _product(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    return sum(x * y for x, y in zip(left, right, strict=True))
