"""Draw pictures of the kinds that people upload, of which those of one kind resemble each other.

Each kind has a template, as an application or a form has, and each picture its own content.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from benchmarks.recall.content import Content, any_colour, blank, text, word
from benchmarks.recall.extents import before
from benchmarks.recall.sources import page_of_text
from benchmarks.recall.templates import TEMPLATES
from rig.media.edits import to_aspect
from rig.media.layouts import BLACK, WHITE, Pixels, fitted, screenshot, text_bar

_WIDE, _TALL = 720, 1440
_GREY = (120, 120, 120)


def _lines(
    page: Pixels, content: Content, top: int, bottom: int, left: int, right: int, lines: int
) -> None:
    shown = text_bar(bottom - top, right - left, content.rng, BLACK, WHITE, lines=lines)
    page[top:bottom, left:right] = shown


def chat(content: Content) -> Pixels:
    """Draw a chat above a keyboard, which fills the lowest third of all."""
    shown = screenshot(content.photograph, content.rng, layout="chat", dark=False)
    page = cv2.resize(shown, (_WIDE, _TALL), interpolation=cv2.INTER_AREA)
    ground, key_colour = any_colour(content.look, 90), any_colour(content.look, 190)
    gap, size = int(content.look.integers(2, 9)), content.look.uniform(0.7, 1.3)
    page[960:] = ground
    for row, keys in enumerate(("qwertyuiop", "asdfghjkl", "zxcvbnm")):
        for at, key in enumerate(keys):
            x, top = round(_WIDE / 2 + (at - len(keys) / 2) * 71), 985 + 110 * row
            corner = (x + 70 - gap, top + 96 - gap)
            cv2.rectangle(page, (x + gap, top), corner, key_colour, -1)
            text(page, key, x + 35, top + 46, size, BLACK)
    cv2.rectangle(page, (160, 1315), (560, 1410), key_colour, -1)
    return page


def keypad(content: Content) -> Pixels:
    """Draw the keypad of a lock screen under a heading."""
    page = blank(_TALL, _WIDE, (30, 34, 48))
    text(page, f"Enter {word(content.rng)} PIN", _WIDE // 2, 260, 1.2, WHITE)
    for at, digit in enumerate("123456789*0#"):
        x, y = 160 + 200 * (at % 3), 520 + 210 * (at // 3)
        cv2.circle(page, (x, y), 80, (70, 76, 96), -1, cv2.LINE_AA)
        text(page, digit, x, y, 1.8, WHITE)
    return page


def sensitive_screen(content: Content) -> Pixels:
    """Blur a photograph under a notice of sensitive content."""
    shown = cv2.resize(to_aspect(content.photograph, 4 / 5, 0.5)[0], (_WIDE, 900))
    page = (cv2.GaussianBlur(shown, (0, 0), 45) * 0.45).astype(np.uint8)
    cv2.ellipse(page, (360, 300), (80, 46), 0, 0, 360, WHITE, 7, cv2.LINE_AA)
    cv2.circle(page, (360, 300), 24, WHITE, -1, cv2.LINE_AA)
    cv2.line(page, (280, 370), (440, 230), WHITE, 9, cv2.LINE_AA)
    text(page, "Sensitive content", 360, 450, 1.5, WHITE)
    text(page, "This photo may contain something", 360, 520, 0.9, WHITE)
    text(page, "that some people find upsetting.", 360, 560, 0.9, WHITE)
    cv2.rectangle(page, (220, 720), (500, 790), WHITE, 3)
    text(page, "See photo", 360, 755, 1.0, WHITE)
    return page


def placeholder(content: Content) -> Pixels:
    """Draw the picture of a picture that is not available, with a word that differs."""
    page = blank(600, 800, (232, 232, 232))
    cv2.rectangle(page, (280, 170), (520, 350), _GREY, 8)
    cv2.circle(page, (340, 220), 20, _GREY, -1)
    hills = np.array([[290, 340], [370, 250], [420, 300], [460, 260], [510, 340]])
    cv2.fillPoly(page, [hills.astype(np.int32)], _GREY)
    text(page, f"{word(content.rng)} is not available", 400, 430, 1.0, _GREY)
    return page


def meme(content: Content) -> Pixels:
    """Write another caption above and below one photograph."""
    rng, picture = content.rng, fitted(content.template, 800, 800)
    bars = [
        text_bar(int(rng.integers(90, 200)), picture.shape[1], rng, BLACK, WHITE, lines=lines)
        for lines in rng.integers(1, 4, 2).tolist()
    ]
    return np.concatenate([bars[0], picture, bars[1]])


def document(content: Content) -> Pixels:
    """Draw a page of paragraphs."""
    return page_of_text(content.rng)


def letterhead(content: Content) -> Pixels:
    """Draw a document under one letterhead, above one footer."""
    page, look = document(content), content.look
    ink, name = any_colour(look, 0, 150), f"{word(look, 7)} & {word(look)} {word(look, 8)}"
    page[:240] = page[1030:] = 255
    for _ in range(int(look.integers(2, 4))):
        middle, radius = look.integers(70, 160, 2).tolist(), int(look.integers(25, 65))
        cv2.circle(page, middle, radius, any_colour(look), -1, cv2.LINE_AA)
    text(page, name, 490, int(look.integers(70, 110)), look.uniform(0.9, 1.3), ink)
    text(page, f"12 {word(look)} Street, at the {word(look)}", 490, 150, 0.8, ink)
    cv2.line(page, (50, 220), (750, 220), ink, int(look.integers(2, 8)))
    cv2.line(page, (50, 1050), (750, 1050), ink, 3)
    text(page, f"Registered in the register of {word(look)}", 400, 1085, 0.6, _GREY)
    return page


def call(content: Content) -> Pixels:
    """Draw a call of four people whose cameras are off."""
    rng, page = content.rng, blank(720, 1280, (32, 33, 36))
    wide, tall = 620, 295
    for at in range(4):
        left, top = 20 + wide * (at % 2), 20 + tall * (at // 2)
        cv2.rectangle(page, (left, top), (left + wide - 16, top + tall - 16), (60, 64, 67), -1)
        middle = (left + wide // 2 - 8, top + tall // 2 - 8)
        cv2.circle(page, middle, tall // 4, any_colour(rng), -1, cv2.LINE_AA)
        text(page, word(rng, 1), *middle, tall / 160, WHITE)
        text(page, word(rng), left + 80, top + tall - 45, 0.7, WHITE)
    for at in range(5):
        colour = (220, 60, 50) if at == 4 else (90, 94, 98)
        cv2.circle(page, (480 + 80 * at, 665), 30, colour, -1, cv2.LINE_AA)
    return page


def person(content: Content) -> Pixels:
    """Draw a person before one background."""
    return before(content.template, content.rng)


def slide(content: Content) -> Pixels:
    """Draw a slide of one template: title, bullets, a logo."""
    rng, look, page = content.rng, content.look, blank(720, 1280)
    dark, head, first = any_colour(look, 0, 150), int(look.integers(90, 160)), any_colour(look)
    cv2.rectangle(page, (0, 0), (1280, head), dark, -1)
    text(page, " ".join(word(rng) for _ in range(3)), 560, head // 2, 1.6, WHITE)
    logo = (int(look.integers(1100, 1200)), head // 2)
    cv2.circle(page, logo, head // 3, first, -1, cv2.LINE_AA)
    cv2.circle(page, logo, head // 6, any_colour(look), -1, cv2.LINE_AA)
    for at in range(int(rng.integers(3, 7))):
        y = 190 + 80 * at
        cv2.circle(page, (90, y + 25), 9, dark, -1, cv2.LINE_AA)
        _lines(page, content, y, y + 56, 110, int(rng.integers(500, 1200)), 1)
    cv2.line(page, (40, 680), (1240, 680), dark, int(look.integers(2, 8)))
    return page


def feed(content: Content) -> Pixels:
    """Draw a feed of one app that shows a photograph."""
    shown = screenshot(content.photograph, content.rng, layout="feed", dark=False)
    return cv2.resize(shown, (_WIDE, _TALL), interpolation=cv2.INTER_AREA)


def product(content: Content) -> Pixels:
    """Cut a thing out of a photograph's texture, on white, with a soft shadow."""
    rng, page = content.rng, blank(900, 900)
    mask = np.zeros((900, 900), np.uint8)
    wide, tall = (int(length) for length in rng.integers(150, 330, 2))
    cv2.ellipse(mask, (450, 450), (wide, tall), float(rng.uniform(0, 180)), 0, 360, 255, -1)
    for _ in range(int(rng.integers(1, 4))):
        middle = (int(rng.integers(300, 600)), int(rng.integers(300, 600)))
        size = tuple(int(length) for length in rng.integers(60, 200, 2))
        cv2.ellipse(mask, middle, size, float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA)
    shadow = cv2.GaussianBlur(np.roll(mask, 30, axis=0), (0, 0), 25).astype(np.float32)[..., None]
    lit = page - shadow * np.float32(0.35)
    weight = mask[..., None].astype(np.float32) / 255
    shown = cv2.resize(content.photograph, (900, 900), interpolation=cv2.INTER_AREA)
    return np.asarray(shown * weight + lit * (1 - weight), np.uint8)


def _uneven(rng: np.random.Generator, cells: int, height: int, width: int) -> Pixels:
    """Return smooth noise, float32 of about 0 to 1."""
    coarse = rng.random((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def night(content: Content) -> Pixels:
    """Draw a street at night: dark houses with lit windows under a moon, in grain."""
    rng, page, left = content.rng, np.full((700, 1000, 3), 22, np.float32), 0
    while left < 1000:
        right, top = left + int(rng.integers(90, 260)), int(rng.integers(150, 560))
        page[top:, left:right] = 9
        for x in range(left + 15, right - 20, 32):
            for y in range(top + 20, 680, 46):
                if rng.random() < 0.3:
                    page[y : y + 24, x : x + 14] = rng.uniform(60, 230) * np.array([1, 0.8, 0.5])
        left = right
    moon = (int(rng.integers(50, 950)), int(rng.integers(40, 140)))
    cv2.circle(page, moon, int(rng.integers(12, 40)), (240, 240, 220), -1, cv2.LINE_AA)
    lit = cv2.GaussianBlur(page, (0, 0), 1.2)
    return np.asarray((lit + rng.normal(0, 5, page.shape)).clip(0, 255), np.uint8)


def sky(content: Content) -> Pixels:
    """Draw a sky with clouds above a dark horizon."""
    rng = content.rng
    clouds = sum((_uneven(rng, 2**size, 700, 1000) / size for size in range(2, 6)), np.float32(0))
    share = ((clouds - 0.6) * 2).clip(0, 1)[..., None]
    blue = np.linspace(0.6, 1, 700, dtype=np.float32)[:, None, None] * np.array([120, 170, 235])
    page = blue * (1 - share) + 245 * share
    horizon = rng.uniform(0.7, 1) * 700 + 60 * _uneven(rng, 9, 1, 1000)[0]
    page[np.arange(700)[:, None] > horizon] = (40, 55, 40)
    return np.asarray(page.clip(0, 255), np.uint8)


def street_map(content: Content) -> Pixels:
    """Draw a map: parks, a river, streets, names."""
    rng, look = content.rng, content.look
    page = blank(900, 900, any_colour(look, 225))
    park, water, road = any_colour(look, 150), any_colour(look, 150), any_colour(look, 180)
    for _ in range(int(rng.integers(2, 6))):
        corners = rng.integers(0, 900, 2) + rng.integers(-160, 160, (5, 2))
        cv2.fillPoly(page, [cv2.convexHull(corners.astype(np.int32))], park)
    for wide, colour, count in ((45, water, 1), (9, WHITE, 28), (16, road, 4)):
        for _ in range(count):
            start, angle = rng.uniform(0, 900, 2), rng.uniform(0, math.pi)
            along = 1300 * np.array([math.cos(angle), math.sin(angle)])
            bent = start + rng.uniform(-60, 60, 2)
            way = np.array([start - along, bent, start + along]).astype(np.int32)
            cv2.polylines(page, [way], isClosed=False, color=colour, thickness=wide)
    for _ in range(int(rng.integers(6, 14))):
        x, y = rng.integers(60, 840, 2).tolist()
        text(page, word(rng, int(rng.integers(4, 10))), x, y, 0.7, (80, 80, 80))
    return page


def qr_code(content: Content) -> Pixels:
    """Draw the QR code of a page of one site."""
    site, page = word(content.look, 8).lower(), content.rng.integers(10**7, 10**8)
    code = cv2.QRCodeEncoder.create().encode(f"https://{site}.example.org/{page}")
    square = cv2.resize(code, (600, 600), interpolation=cv2.INTER_NEAREST)
    return np.repeat(np.pad(square, 40, constant_values=255)[..., None], 3, 2)


def chess_diagram(content: Content) -> Pixels:
    """Draw a position on a chessboard."""
    rng, page = content.rng, blank(800, 800, (238, 216, 181))
    for place in range(64):
        row, column = divmod(place, 8)
        x, y = 100 * column, 100 * row
        if (row + column) % 2:
            cv2.rectangle(page, (x, y), (x + 99, y + 99), (181, 136, 99), -1)
        if rng.random() < 0.35:
            cv2.circle(page, (x + 50, y + 50), 36, WHITE if rng.random() < 0.5 else BLACK, -1)
            text(page, rng.choice(list("KQRBNP")), x + 50, y + 50, 1.5, _GREY)
    return page


def calendar(content: Content) -> Pixels:
    """Draw a month."""
    rng, page = content.rng, blank(760, 900)
    text(page, f"{word(rng)} {rng.integers(2020, 2030)}", 450, 60, 1.6, BLACK)
    first, days = int(rng.integers(0, 7)), int(rng.integers(28, 32))
    for at in range(42):
        x, y = 30 + 120 * (at % 7), 130 + 100 * (at // 7)
        cv2.rectangle(page, (x, y), (x + 120, y + 100), _GREY, 2)
        if 0 <= at - first < days:
            text(page, str(at - first + 1), x + 28, y + 28, 0.9, BLACK)
    return page


KINDS: dict[str, Callable[[Content], Pixels]] = {
    "chats with one keyboard": chat,
    "sensitive-content screens": sensitive_screen,
    "memes of one template": meme,
    "letterheads": letterhead,
    "calls, cameras off": call,
    "people, one background": person,
    "slides of one template": slide,
    "feeds of one app": feed,
    "products on white": product,
    "nights": night,
    "skies": sky,
    "documents": document,
    "maps": street_map,
    "keypads of one lock screen": keypad,
    "placeholders of one site": placeholder,
    "QR codes of one site": qr_code,
    "chess diagrams": chess_diagram,
    "months of one calendar": calendar,
    **TEMPLATES,
}
"""Functions that draw the kinds, by their names."""

MANY_LOOKS = {
    *("chats with one keyboard", "memes of one template", "letterheads", "people, one background"),
    *("slides of one template", "maps", "QR codes of one site", *TEMPLATES),
}
"""Kinds of which each template has its own look; the others have one look."""

OF_ONE_PHOTOGRAPH = {
    *("memes of one template", "people, one background", "one thing, other angles"),
    *(kind for kind in TEMPLATES if kind.startswith("one background")),
}
"""Kinds of which each template has a photograph; the same one in all these kinds."""


def drawn(kind: str, number: int, photographs: Sequence[Pixels]) -> Pixels:
    """Return picture ``number`` of a kind: the same every time; no two show one photograph."""
    place = list(KINDS).index(kind)
    photograph = photographs[(number + 1) % len(photographs)]
    return of_template(kind, 0, number, photograph, photographs[-(place % 2)])


def of_template(
    kind: str, template: int, number: int, photograph: Pixels, of_kind: Pixels
) -> Pixels:
    """Return picture ``number`` of a template: the same every time.

    ``photograph`` is its own, ``of_kind`` is what the template's pictures have in common.
    """
    place = list(KINDS).index(kind)
    numbers = [place, number, template] if template else [place, number]
    rng, look = np.random.default_rng(numbers), np.random.default_rng([place, template, 2**32])
    return KINDS[kind](Content(rng, look, photograph, of_kind))
