"""Draw pictures of one template among many, each of which has a look of its own.

As in ``kinds``: each takes a content and returns pixels. What a template's pictures share is drawn
from the content's ``look``, all else from its ``rng``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from benchmarks.recall.content import Content, any_colour, blank, blended, text, word
from benchmarks.recall.extents import covered
from rig.media.edits import to_aspect
from rig.media.layouts import BLACK, WHITE, Pixels, fitted, paste

_SIDE = 900
_GREY = (120, 120, 120)


def _photograph(content: Content) -> Pixels:
    return fitted(content.photograph, _SIDE, _SIDE)


def watermarked(content: Content) -> Pixels:
    """Lay one watermark in rows over a photograph."""
    look, shown = content.look, _photograph(content)
    words, size = word(look, int(look.integers(5, 12))), look.uniform(0.7, 1.6)
    wide, tall = round(30 * size * len(words)), round(look.uniform(90, 180))
    layer = blank(2 * _SIDE, 2 * _SIDE, BLACK)
    for row, y in enumerate(range(0, 2 * _SIDE, tall)):
        for x in range(-(row % 2) * wide // 2, 2 * _SIDE + wide, wide):
            text(layer, words, x, y, size, WHITE)
    turn = cv2.getRotationMatrix2D((_SIDE, _SIDE), look.uniform(-45, 45), 1)
    height, width = shown.shape[:2]
    mask = cv2.warpAffine(layer, turn, (2 * _SIDE, 2 * _SIDE))[500 : 500 + height, 500:, 0]
    ink = blank(height, width, WHITE if look.random() < 0.7 else BLACK)
    return blended(ink, shown, (mask[:, :width] * look.uniform(0.2, 0.55)).astype(np.uint8))


def _logo(look: np.random.Generator, side: int) -> tuple[Pixels, Pixels]:
    """Return a logo of three shapes and a letter, and the mask of where it is."""
    shown, mask = blank(240, 240), np.zeros((240, 240), np.uint8)
    for _ in range(3):
        colour, middle = any_colour(look), look.integers(80, 160, 2).tolist()
        if look.random() < 0.5:
            axes = look.integers(30, 80, 2).tolist()
            for page, ink in ((shown, colour), (mask, (255,))):
                cv2.ellipse(page, middle, axes, 0, 0, 360, ink, -1, cv2.LINE_AA)
        else:
            corners = np.array(middle) + look.integers(-80, 80, (int(look.integers(3, 6)), 2))
            for page, ink in ((shown, colour), (mask, (255,))):
                cv2.fillPoly(page, [corners.astype(np.int32)], ink)
    text(shown, word(look, 1), 120, 120, 3, any_colour(look))
    return np.asarray(cv2.resize(shown, (side, side))), np.asarray(cv2.resize(mask, (side, side)))


def _stamped(page: Pixels, mark: tuple[Pixels, Pixels], left: int, top: int) -> None:
    shown, mask = mark
    height, width = mask.shape
    place = page[top : top + height, left : left + width]
    place[:] = blended(shown, place, mask)


def logo(content: Content) -> Pixels:
    """Put one logo into a corner of a photograph."""
    look, page = content.look, _photograph(content).copy()
    side = round(look.uniform(0.14, 0.28) * min(page.shape[:2]))
    left, top = ((page.shape[axis] - side - 20, 20)[look.integers(2)] for axis in (1, 0))
    _stamped(page, _logo(look, side), left, top)
    return page


def framed_by_logos(content: Content) -> Pixels:
    """Put a photograph into a frame on which one logo is repeated."""
    look, shown = content.look, to_aspect(content.photograph, 1, 0.5)[0]
    side = round(look.uniform(90, 150))
    count = _SIDE // side
    page, mark = blank(count * side, count * side, any_colour(look)), _logo(look, side)
    for at in range(count):
        for left, top in ((at, 0), (at, count - 1), (0, at), (count - 1, at)):
            _stamped(page, mark, left * side, top * side)
    inner = (count - 2) * side
    return paste(page, fitted(shown, inner, inner), side, side)


def _emoji(look: np.random.Generator, side: int) -> tuple[Pixels, Pixels]:
    """Return a face of its own expression, and the mask of where it is."""
    mask = np.zeros((400, 400), np.uint8)
    cv2.circle(mask, (200, 200), 190, (255,), -1, cv2.LINE_AA)
    yellow = (255, int(look.integers(180, 225)), int(look.integers(20, 90)))
    shown, dark = blank(400, 400, yellow), any_colour(look, 20, 90)
    apart, high = int(look.integers(50, 90)), int(look.integers(120, 180))
    eye = tuple(look.integers(15, 45, 2).tolist())
    for side_of in (-1, 1):
        cv2.ellipse(shown, (200 + side_of * apart, high), eye, 0, 0, 360, dark, -1, cv2.LINE_AA)
    bent, wide = int(look.integers(20, 90)), int(look.integers(50, 120))
    filled = -1 if look.random() < 0.5 else 16
    start = 0 if look.random() < 0.7 else 180
    mouth = (200, int(look.integers(240, 290)))
    cv2.ellipse(shown, mouth, (wide, bent), 0, start, start + 180, dark, filled, cv2.LINE_AA)
    if look.random() < 0.5:
        for side_of in (-1, 1):
            cheek = (200 + side_of * 130, 250)
            cv2.circle(shown, cheek, 32, any_colour(look, 90), -1, cv2.LINE_AA)
    return np.asarray(cv2.resize(shown, (side, side))), np.asarray(cv2.resize(mask, (side, side)))


def emoji(content: Content, *, plain: bool) -> Pixels:
    """Put one emoji anywhere on a plain ground or on a photograph."""
    rng, page = content.rng, _photograph(content).copy()
    if plain:
        page[:] = any_colour(rng)
    share = rng.uniform(0.4, 0.8) if plain else rng.uniform(0.25, 0.45)
    mark = _emoji(content.look, round(share * min(page.shape[:2])))
    top, left = (int(rng.integers(page.shape[axis] - len(mark[0]) + 1)) for axis in (0, 1))
    _stamped(page, mark, left, top)
    return page


def letter(content: Content) -> Pixels:
    """Write a single large letter in one type and colour, anywhere on one ground."""
    look, rng = content.look, content.rng
    font, thickness = int(look.choice([0, 2, 3, 4, 6, 7])), int(look.integers(15, 60))
    page = blank(700, 700, any_colour(look, 128))
    size = float(rng.uniform(9, 18))
    place = (int(rng.integers(60, 300)), int(rng.integers(450, 640)))
    shown = str(rng.choice(list("ABCDEFGHKLMNPRSTUVXZ")))
    cv2.putText(page, shown, place, font, size, any_colour(look, 0, 127), thickness, cv2.LINE_AA)
    return page


def app_chat(content: Content) -> Pixels:
    """Draw a chat of one app: a header, bubbles of words on both sides, a field to write in."""
    look, rng = content.look, content.rng
    dark = look.random() < 0.4
    least, most = (0, 70) if dark else (190, 255)
    ground, mine, other = (any_colour(look, least, most) for _ in range(3))
    ink, page = WHITE if dark else BLACK, blank(1440, 720, ground)
    head, radius = int(look.integers(90, 150)), int(look.integers(4, 28))
    cv2.rectangle(page, (0, 0), (720, head), any_colour(look), -1)
    cv2.circle(page, (head, head // 2), head // 3, any_colour(look), -1, cv2.LINE_AA)
    text(page, word(rng), 2 * head + 60, head // 2, 1.1, ink)
    size, y = look.uniform(0.7, 1.0), head + 40
    while y < 1280:
        lines, wide = int(rng.integers(1, 5)), int(rng.integers(200, 520))
        tall, left = 30 + 36 * lines, (24, 696 - wide)[rng.integers(2)]
        bubble = blank(tall, wide, other if left == 24 else mine)
        for line in range(lines):
            words = " ".join(word(rng, int(rng.integers(2, 9))) for _ in range(wide // 130))
            text(bubble, words, wide // 2, 30 + 36 * line, size, ink)
        page = paste(page, bubble[: 1300 - y], y, left, radius if y + tall < 1300 else 0)
        y += tall + int(rng.integers(12, 40))
    cv2.rectangle(page, (20, 1330), (600, 1410), other, -1)
    cv2.circle(page, (660, 1370), 40, mine, -1, cv2.LINE_AA)
    return page


def app_window(content: Content) -> Pixels:
    """Draw a window of one app: tools, a list at the side, settings with other names and states."""
    look, rng, page = content.look, content.rng, blank(760, 1120, any_colour(content.look, 200))
    accent, bar, side = any_colour(look), int(look.integers(50, 100)), int(look.integers(160, 320))
    row, tools = int(look.integers(40, 70)), int(look.integers(4, 10))
    cv2.rectangle(page, (0, 0), (1120, bar), any_colour(look), -1)
    for at in range(tools):
        left, shape = 30 + at * bar, look.integers(3)
        if shape == 0:
            cv2.circle(page, (left + bar // 3, bar // 2), bar // 4, any_colour(look), -1)
        else:
            corner = (left + bar // 2, bar // 2 + bar // 4)
            filled = -1 if shape == 1 else 3
            cv2.rectangle(page, (left, bar // 4), corner, any_colour(look), filled)
    cv2.rectangle(page, (0, bar), (side, 760), any_colour(look, 170), -1)
    for y in range(bar + row, 740, row):
        text(page, word(rng, int(rng.integers(4, 10))), side // 2, y, 0.7, BLACK)
    chosen = bar + row * int(rng.integers(1, (700 - bar) // row))
    cv2.rectangle(page, (4, chosen - row // 2), (side - 4, chosen + row // 2), accent, 3)
    for y in range(bar + row, 700, row):
        at, state = side + 60, rng.random()
        text(page, word(rng, int(rng.integers(5, 14))), at + 200, y, 0.7, BLACK)
        if state < 0.4:
            cv2.rectangle(page, (at, y - 12), (at + 24, y + 12), _GREY, 2)
            if state < 0.2:
                cv2.line(page, (at, y), (at + 24, y - 12), accent, 4)
        elif state < 0.8:
            cv2.rectangle(page, (at + 420, y - 16), (at + 660, y + 16), _GREY, 2)
            text(page, word(rng), at + 520, y, 0.6, BLACK)
    cv2.rectangle(page, (960, 700), (1090, 744), accent, -1)
    text(page, "OK", 1025, 722, 0.8, WHITE)
    return page


def chart(content: Content) -> Pixels:
    """Draw a chart of one style with other values: bars, a line, or points."""
    look, rng, page = content.look, content.rng, blank(640, 960, any_colour(content.look, 225))
    style, count = look.integers(3), int(look.integers(6, 14))
    colours = [any_colour(look, 0, 200) for _ in range(int(look.integers(1, 4)))]
    for y in np.linspace(90, 560, int(look.integers(4, 9))).astype(int).tolist():
        cv2.line(page, (90, y), (920, y), (200, 200, 200), 2)
        text(page, str(rng.integers(1, 900)), 50, y, 0.6, _GREY)
    text(page, " ".join(word(rng) for _ in range(3)), 480, 45, 1.2, BLACK)
    step = 830 / count
    for series, colour in enumerate(colours):
        tops = (560 - 470 * rng.uniform(0.05, 1, count)).astype(int).tolist()
        across = [round(90 + step * (at + 0.5)) for at in range(count)]
        if style == 0:
            wide = round(0.8 * step / len(colours))
            for x, top in zip(across, tops, strict=True):
                left = x - round(0.4 * step) + series * wide
                cv2.rectangle(page, (left, top), (left + wide, 560), colour, -1)
        elif style == 1:
            way = np.array([across, tops]).T.astype(np.int32)
            cv2.polylines(page, [way], isClosed=False, color=colour, thickness=5)
        else:
            for x, top in zip(across, tops, strict=True):
                cv2.circle(page, (x, top), 9, colour, -1, cv2.LINE_AA)
    cv2.polylines(page, [np.array([[90, 80], [90, 560], [920, 560]])], isClosed=False, color=BLACK)
    return page


def comic(content: Content) -> Pixels:
    """Draw panels in which one character stands elsewhere, says other things, sees other things."""
    look, rng, page = content.look, content.rng, blank(_SIDE, _SIDE)
    (columns, rows), gutter = look.integers(1, 4, 2).tolist(), int(look.integers(8, 24))
    skin, hair, cloth = any_colour(look, 120), any_colour(look, 0, 160), any_colour(look)
    shape, spikes = look.uniform(0.75, 1.3), int(look.integers(3, 9))
    for at in range(columns * rows):
        wide, tall = _SIDE // columns - gutter, _SIDE // rows - gutter
        panel = blank(tall, wide, any_colour(rng, 130))
        for _ in range(int(rng.integers(2, 7))):
            corners = rng.integers(0, max(wide, tall), 2) + rng.integers(-150, 150, (4, 2))
            cv2.fillPoly(panel, [cv2.convexHull(corners.astype(np.int32))], any_colour(rng))
        head = rng.uniform(0.12, 0.2) * min(wide, tall)
        x, y = int(rng.uniform(0.25, 0.75) * wide), int(rng.uniform(0.45, 0.65) * tall)
        cv2.ellipse(
            panel, (x, y + int(3 * head)), (int(1.2 * head), int(2 * head)), 0, 0, 360, cloth, -1
        )
        angles = np.linspace(math.pi, 2 * math.pi, 2 * spikes + 1)
        reach = head * np.where(np.arange(len(angles)) % 2, 1.7, 1.1)
        crown = np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)
        cv2.fillPoly(panel, [crown.astype(np.int32)], hair)
        face = (int(head * shape), int(head))
        cv2.ellipse(panel, (x, y), face, 0, 0, 360, skin, -1, cv2.LINE_AA)
        cv2.ellipse(panel, (x, y), face, 0, 0, 360, BLACK, 3, cv2.LINE_AA)
        for side in (-1, 1):
            eye = (x + side * int(0.35 * head), y - int(0.15 * head))
            cv2.circle(panel, eye, max(int(0.14 * head), 2), BLACK, -1)
        cv2.ellipse(panel, (x, y + int(0.4 * head)), (int(0.4 * head), 6), 0, 0, 180, BLACK, 3)
        bubble = (wide // 2, int(0.13 * tall))
        cv2.ellipse(panel, bubble, (int(0.42 * wide), int(0.11 * tall)), 0, 0, 360, WHITE, -1)
        text(panel, f"{word(rng)} {word(rng, 4)}", *bubble, wide / 520, BLACK)
        cv2.rectangle(panel, (0, 0), (wide - 1, tall - 1), BLACK, 4)
        top, left = at // columns * (tall + gutter), at % columns * (wide + gutter)
        page = paste(page, panel, top, left)
    return page


def background(content: Content, *, share: float) -> Pixels:
    """Cover a share of one photograph with a person cut out of another."""
    return covered(content.template, content.photograph, content.rng, share)


def _brickwork(look: np.random.Generator, rng: np.random.Generator) -> Pixels:
    """Draw bricks or tiles of one measure and colour, each of which differs a little."""
    wide, tall = int(look.integers(40, 160)), int(look.integers(25, 90))
    colour, joint = np.array(any_colour(look)), int(look.integers(2, 10))
    shift, uneven = look.uniform(0, 0.5), look.uniform(8, 40)
    page = blank(_SIDE + 200, _SIDE + 200, any_colour(look))
    for row in range(len(page) // tall + 1):
        for column in range(-1, len(page) // wide + 1):
            left, top = round((column + row % 2 * shift) * wide), row * tall
            level = (colour + rng.normal(0, uneven, 3)).clip(0, 255).astype(int).tolist()
            corner = (left + wide - joint, top + tall - joint)
            cv2.rectangle(page, (left, top), corner, level, -1)
    coarse = rng.normal(0, look.uniform(4, 20), (len(page) // 4, len(page) // 4))
    grain = cv2.resize(coarse.astype(np.float32), page.shape[1::-1])[..., None]
    top, left = rng.integers(0, 200, 2)
    return (page + grain).clip(0, 255).astype(np.uint8)[top : top + _SIDE, left : left + _SIDE]


def texture(content: Content) -> Pixels:
    """Draw another patch of one kind of wall."""
    return _brickwork(content.look, content.rng)


def before_wall(content: Content) -> Pixels:
    """Put a thing, cut out of a photograph, before one wall."""
    rng, wall = content.rng, _brickwork(content.look, content.look)
    mask, middle = np.zeros(wall.shape[:2], np.uint8), rng.integers(250, 650, 2).tolist()
    axes = rng.integers(120, 330, 2).tolist()
    cv2.ellipse(mask, middle, axes, float(rng.uniform(0, 180)), 0, 360, (255,), -1, cv2.LINE_AA)
    return blended(cv2.resize(content.photograph, wall.shape[1::-1]), wall, mask)


def other_angle(content: Content) -> Pixels:
    """Show one flat thing before a photograph, from another angle and in another light."""
    rng, page = content.rng, cv2.resize(content.photograph, (_SIDE, _SIDE))
    thing, side = cv2.resize(to_aspect(content.template, 1, 0.5)[0], (500, 500)), 500
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    moved = (corners - side / 2) * rng.uniform(0.8, 1.3) + rng.uniform(400, 500, 2)
    moved += rng.uniform(-0.15, 0.15, (4, 2)) * side
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    light = np.linspace(rng.uniform(0.5, 1), rng.uniform(1, 1.4), side)[:, None, None]
    lit = (thing * light).clip(0, 255).astype(np.uint8)
    mask = cv2.warpPerspective(np.full((side, side), 255, np.uint8), matrix, (_SIDE, _SIDE))
    return blended(cv2.warpPerspective(lit, matrix, (_SIDE, _SIDE)), page, mask)


TEMPLATES: dict[str, Callable[[Content], Pixels]] = {
    "photographs, one watermark": watermarked,
    "photographs, one logo": logo,
    "photographs, one frame of logos": framed_by_logos,
    "one emoji, plain ground": partial(emoji, plain=True),
    "one emoji, photographs": partial(emoji, plain=False),
    "letters of one type": letter,
    "chats of one app": app_chat,
    "windows of one app": app_window,
    "charts of one style": chart,
    "comics of one character": comic,
    **{
        f"one background, {percent} % covered": partial(background, share=percent / 100)
        for percent in (30, 50, 70)
    },
    "patches of one texture": texture,
    "things before one wall": before_wall,
    "one thing, other angles": other_angle,
}
"""Functions that draw the kinds, by their names."""
