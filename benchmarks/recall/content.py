"""Numbers, photographs, pages and words, of which the drawn kinds of pictures are made."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from rig.media.layouts import WHITE, Pixels


@dataclass(frozen=True, slots=True)
class Content:
    """Numbers and photograph of one picture; ``look`` and ``template`` are those of its template.

    Pictures of one template draw the same numbers from ``look``.
    """

    rng: np.random.Generator
    look: np.random.Generator
    photograph: Pixels
    template: Pixels


def blank(height: int, width: int, colour: tuple[int, ...] = WHITE) -> Pixels:
    """Make a page of one colour."""
    return np.full((height, width, 3), colour, np.uint8)


def any_colour(rng: np.random.Generator, least: int = 0, most: int = 255) -> tuple[int, ...]:
    """Return a colour of levels from ``least`` to ``most``."""
    return tuple(int(level) for level in rng.integers(least, most + 1, 3))


def text(page: Pixels, words: str, x: int, y: int, size: float, ink: tuple[int, ...]) -> None:
    """Write words centred at x, y."""
    thickness = max(round(2 * size), 1)
    (width, height), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, size, thickness)
    place = (x - width // 2, y + height // 2)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(page, words, place, font, size, ink, thickness, cv2.LINE_AA)


def word(rng: np.random.Generator, letters: int = 6) -> str:
    """Make a word up."""
    return "".join(rng.choice(list("abcdefghiklmnoprstuvwz"), letters)).title()


def blended(over: Pixels, under: Pixels, mask: Pixels) -> Pixels:
    """Show one picture where a mask is 255 and another where it is 0, both of its size."""
    weight = mask[..., None].astype(np.float32) / 255
    return np.asarray(over * weight + under * (1 - weight), np.uint8)
