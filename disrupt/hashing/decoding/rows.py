"""Count the rows of a picture that its decoder wrote: of a file that is cut short not all.

Neither Pillow nor the decoders below it say so. So the last two rows are filled with noise before a
file is decoded, and it is whole if nothing of that is left.
"""

from __future__ import annotations

import random

from PIL import Image, ImageFile, _imaging

_MARKED_ROWS = 2
"""Rows that are filled. One of two is odd, and so in the last pass of an interlaced file."""

_NOISE = random.Random(1).randbytes(_MARKED_ROWS * 65_535)  # noqa: S311 no secret
"""Noise for these rows of the widest picture."""


class CountsRows(ImageFile.ImageFile):
    """A file whose first image is loaded as far as its decoder comes; ``rows`` is how far.

    ``load`` raises the error of the decoder where that writes no row.
    """

    rows: int
    """Rows from the top that have pixels, once the first image is loaded."""

    def load(self) -> _imaging.PixelAccess | None:
        """Load the pixels that there are."""
        if not self.tile or self.tell():
            return super().load()
        try:
            return super().load()
        except MemoryError:
            raise
        except Exception:  # Pillow's parsers raise almost anything when a file is damaged
            self.tile = []
            self.rows = self._written() if self._im else 0
            if not self.rows:
                raise
            return super().load()

    def load_prepare(self) -> None:
        """Fill the last rows that are to be decoded with noise."""
        super().load_prepare()
        if self.tell():
            return
        left, top, right, bottom = self._area = self.tile[0].extents or (0, 0, *self.size)
        first, width = max(bottom - _MARKED_ROWS, top), right - left
        self._blank = Image.new(self.mode, (width, 1), self.im.getpixel((left, first))).tobytes()
        noise = _NOISE[: width * (bottom - first)]
        mark = Image.frombytes("L", (width, bottom - first), noise).convert(self.mode)
        self.im.paste(mark.im, (left, first, right, bottom))
        self._marks = {
            row: mark.crop((0, row - first, width, row - first + 1)).tobytes()
            for row in range(first, bottom)
        }

    def load_end(self) -> None:
        """Count the rows before anything is painted on them; ValueError where there is none."""
        if not self.tell():
            self.rows = self._written()
            if not self.rows:
                raise ValueError("no row has pixels")
        super().load_end()

    def _written(self) -> int:
        """Return after how many rows the pixels end: all where no mark is left.

        Before the last row that has any, since it may not have all. Rows that are blank before that
        count as missing, too.
        """
        if all(self._row(row) != mark for row, mark in self._marks.items()):
            return self.height
        _, top, _, bottom = self._area
        odd_rows = reversed(range(top + 1, bottom, 2))
        written = (row for row in odd_rows if self._row(row) != self._marks.get(row, self._blank))
        return next(written, 0)

    def _row(self, row: int) -> bytes:
        left, _, right, _ = self._area
        return self.crop((left, row, right, row + 1)).tobytes()
