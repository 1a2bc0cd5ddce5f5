"""Pages that pictures are shown on: bars, frames and screens of made-up applications."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""RGB, uint8, shape (height, width, 3). (OpenCV's types say less.)"""

BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_WORDS = (
    *("when", "you", "see", "it", "tomorrow", "never", "quite", "what", "we", "expected"),
    *("today", "look", "at", "this", "again", "nobody", "said", "anything", "about", "weather"),
)

_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def canvas(height: int, width: int, rng: np.random.Generator, *, gradient: bool = False) -> Pixels:
    """Make a page of black, white, or any colour, or a gradient between two."""
    colours = [BLACK, WHITE, tuple(rng.integers(0, 256, 3))]
    first = np.array(colours[rng.choice(3, p=[0.4, 0.35, 0.25])], np.float32)
    page = np.broadcast_to(first, (height, width, 3))
    if gradient:
        ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
        page = page + ramp * (rng.integers(0, 256, 3).astype(np.float32) - first)
    return page.astype(np.uint8)


def plain_colour(rng: np.random.Generator) -> tuple[int, ...]:
    """Return a grey of any brightness, a little coloured."""
    return tuple(np.clip(rng.integers(0, 256) + rng.integers(-12, 13, 3), 0, 255).tolist())


def plain_page(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Make a page of such a grey."""
    return np.full((height, width, 3), plain_colour(rng), np.uint8)


def paste(page: Pixels, picture: Pixels, top: int, left: int, radius: int = 0) -> Pixels:
    """Return the page with the picture on it, its corners rounded by ``radius`` pixels."""
    height, width = picture.shape[:2]
    pasted = page.copy()
    place = pasted[top : top + height, left : left + width]
    if not radius:
        place[:] = picture
        return pasted
    mask = np.zeros((height, width), np.uint8)
    cv2.rectangle(mask, (radius, 0), (width - 1 - radius, height - 1), 255, -1)
    cv2.rectangle(mask, (0, radius), (width - 1, height - 1 - radius), 255, -1)
    for x in (radius, width - 1 - radius):
        for y in (radius, height - 1 - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    share = mask[..., None].astype(np.float32) / 255
    place[:] = (share * picture + (1 - share) * place).astype(np.uint8)
    return pasted


def fitted(picture: Pixels, width: int, height: int) -> Pixels:
    """Scale to fit into a box."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    size = [max(round(length * scale), 1) for length in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def text_bar(
    height: int,
    width: int,
    rng: np.random.Generator,
    ink: tuple[int, ...],
    paper: tuple[int, ...],
    lines: int,
) -> Pixels:
    """Draw ragged lines of words over the whole width."""
    bar = np.full((height, width, 3), paper, np.uint8)
    line_px = height // (lines + 1)
    for line in range(lines):
        _write(bar, (line + 1) * line_px + line_px // 3, width // 40, line_px * 0.6, rng, ink)
    return bar


def screenshot(picture: Pixels, rng: np.random.Generator, *, layout: str, dark: bool) -> Pixels:
    """Draw a phone that shows a picture: in a feed, in a chat, or alone."""
    width = int(rng.integers(1080, 1291))
    height = round(width * rng.uniform(1.78, 2.2))
    ink, paper = ((230, 230, 230), (18, 18, 18)) if dark else ((20, 20, 20), (255, 255, 255))
    page = np.full((height, width, 3), paper, np.uint8)
    unit = width // 18
    _status_bar(page, unit, rng, ink)
    {"feed": _feed, "chat": _chat, "viewer": _viewer}[layout](page, picture, unit, rng, ink)
    cv2.rectangle(
        page, (width * 3 // 8, height - unit // 3), (width * 5 // 8, height - unit // 5), ink, -1
    )
    return page


def _feed(
    page: Pixels, picture: Pixels, unit: int, rng: np.random.Generator, ink: tuple[int, ...]
) -> None:
    height, width = page.shape[:2]
    cv2.circle(page, (unit, 3 * unit), unit * 2 // 3, tuple(map(int, rng.integers(0, 256, 3))), -1)
    _write(page, 3 * unit + unit // 4, 2 * unit, unit * 0.55, rng, ink, words=2)
    top = 4 * unit + int(rng.integers(0, unit))
    shown = fitted(picture, width, height - top - 5 * unit)
    left = (width - shown.shape[1]) // 2
    page[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    below = top + shown.shape[0] + unit
    for at in range(3):
        cv2.circle(page, (unit + 2 * at * unit, below), unit // 2, ink, 3)
    for line in range(2, 4):
        if below + line * unit < height - unit:
            _write(page, below + line * unit, unit // 2, unit * 0.5, rng, ink)


def _chat(
    page: Pixels, picture: Pixels, unit: int, rng: np.random.Generator, ink: tuple[int, ...]
) -> None:
    height, width = page.shape[:2]
    bubble = tuple(abs(int(level) - 35) for level in page[0, 0])
    cv2.rectangle(page, (0, unit), (width, 3 * unit), bubble, -1)
    _write(page, 2 * unit + unit // 3, 2 * unit, unit * 0.6, rng, ink, words=2)
    shown = fitted(picture, round(width * rng.uniform(0.6, 0.85)), round(height * 0.6))
    top = int(rng.integers(4 * unit, max(height - shown.shape[0] - 4 * unit, 4 * unit + 1)))
    left = unit if rng.random() < 0.5 else width - unit - shown.shape[1]
    page[:] = paste(page, shown, top, left, int(rng.integers(8, unit)))
    for y in (*range(4 * unit, top - 2 * unit, 2 * unit), top + shown.shape[0] + unit // 2):
        if y + 2 * unit < height:
            right = unit + round(width * rng.uniform(0.3, 0.7))
            cv2.rectangle(page, (unit, y), (right, y + unit + unit // 2), bubble, -1)
            _write(page, y + unit, unit + unit // 3, unit * 0.5, rng, ink, words=3)


def _viewer(
    page: Pixels, picture: Pixels, unit: int, rng: np.random.Generator, ink: tuple[int, ...]
) -> None:
    height, width = page.shape[:2]
    _write(page, 2 * unit + unit // 2, 2 * unit, unit * 0.6, rng, ink, words=3)
    shown = fitted(picture, width, height - 7 * unit)
    top, left = (height - shown.shape[0]) // 2, (width - shown.shape[1]) // 2
    page[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
    for at in range(4):
        x = (2 * at + 1) * width // 8
        cv2.rectangle(
            page, (x - unit // 2, height - 2 * unit), (x + unit // 2, height - unit), ink, 4
        )


def _status_bar(page: Pixels, unit: int, rng: np.random.Generator, ink: tuple[int, ...]) -> None:
    clock = f"{rng.integers(0, 24)}:{rng.integers(0, 60):02}"
    cv2.putText(page, clock, (unit, unit * 3 // 4), _FONTS[1], unit / 70, ink, 2, cv2.LINE_AA)
    width = page.shape[1]
    cv2.rectangle(page, (width - 2 * unit, unit // 3), (width - unit, unit * 3 // 4), ink, -1)


def _write(
    page: Pixels,
    baseline: int,
    left: int,
    size_px: float,
    rng: np.random.Generator,
    ink: tuple[int, ...],
    words: int = 0,
) -> None:
    font = _FONTS[rng.integers(len(_FONTS))]
    scale = max(size_px, 8) / 30
    text = ""
    most = words or 30
    for word in rng.choice(_WORDS, most):
        longer = f"{text} {word}".strip()
        if cv2.getTextSize(longer, font, scale, 2)[0][0] > page.shape[1] - 2 * left:
            break
        text = longer
    thickness = max(round(scale * 2), 1)
    cv2.putText(page, text, (left, baseline), font, scale, ink, thickness, cv2.LINE_AA)
