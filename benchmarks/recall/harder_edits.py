"""Edits that change a picture more than most re-uploads do: cut, turned, photographed, covered.

As in ``edits``: each takes a scene and returns the edited pixels and its strength.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Literal, get_args

import cv2
import numpy as np

from benchmarks.recall.unequal_edits import UNEQUAL
from rig.media.edits import EDITS, Edit, Edited, Scene, cropped, letterbox, sticker, to_aspect
from rig.media.layouts import (
    BLACK,
    WHITE,
    Pixels,
    fitted,
    paste,
    plain_colour,
    plain_page,
    screenshot,
    text_bar,
)

Corners = Literal["black", "white", "blurred", "edge"]

_RATIOS = (1, 4 / 5, 9 / 16, 16 / 9, 2 / 3, 3 / 4)


# Large and lopsided crops


def cut_side(scene: Scene) -> Edited:
    """Cut 16 to 50 % off one side."""
    share, side = scene.rng.uniform(0.16, 0.5), scene.rng.integers(4)
    kept = [0.0, 0.0, 1.0, 1.0]
    kept[side] = share if side < 2 else 1 - share
    return cropped(scene.pixels, *kept), 100 * share


def ratio(scene: Scene) -> Edited:
    """Crop to one of six ratios, as large as fits, anywhere."""
    pixels, kept = to_aspect(
        scene.pixels, _RATIOS[scene.rng.integers(len(_RATIOS))], scene.rng.uniform(0, 1)
    )
    return pixels, 100 * (1 - kept)


def zoom(scene: Scene) -> Edited:
    """Cut 8 to 35 % off each side alike."""
    share = scene.rng.uniform(0.08, 0.35)
    return cropped(scene.pixels, share, share, 1 - share, 1 - share), 100 * share


def share_of(scene: Scene, *, parts: int) -> Edited:
    """Keep one of the ``parts`` of the width, or of the height."""
    at = scene.rng.integers(parts)
    start, stop = at / parts, (at + 1) / parts
    if scene.rng.random() < 0.5:
        return cropped(scene.pixels, start, 0, stop, 1), 100 * (1 - 1 / parts)
    return cropped(scene.pixels, 0, start, 1, stop), 100 * (1 - 1 / parts)


# Turned, tilted, photographed


def turn_on_page(scene: Scene) -> Edited:
    """Turn by 3 to 30 degrees, with all corners on a plain page."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    degrees = rng.uniform(3, 30) * rng.choice([-1, 1])
    sine, cosine = math.sin(math.radians(abs(degrees))), math.cos(math.radians(degrees))
    margin = rng.uniform(1.0, 1.15)
    wide = round((width * cosine + height * sine) * margin)
    tall = round((height * cosine + width * sine) * margin)
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    matrix[:, 2] += (wide - width) / 2, (tall - height) / 2
    turned = cv2.warpAffine(
        scene.pixels, matrix, (wide, tall), flags=cv2.INTER_AREA, borderValue=plain_colour(rng)
    )
    return turned, abs(degrees)


def turn_and_crop(scene: Scene) -> Edited:
    """Turn by 5 to 20 degrees, and crop the corners off."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    degrees = rng.uniform(5, 20) * rng.choice([-1, 1])
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    turned = cv2.warpAffine(scene.pixels, matrix, (width, height))
    sine, cosine = math.sin(math.radians(abs(degrees))), math.cos(math.radians(degrees))
    kept = 1 / (cosine + sine * max(width, height) / min(width, height))
    return cropped(turned, *([(1 - kept) / 2] * 2), *([(1 + kept) / 2] * 2)), abs(degrees)


def tilt(scene: Scene) -> Edited:
    """Tilt by 3 to 8 % of its sides, on a plain page of any brightness."""
    return _tilted(scene, scene.pixels, plain_page(scene.rng, *_sides(scene.pixels)))


def photographed_screen(scene: Scene) -> Edited:
    """Photograph a screen that shows the picture: dark edge, uneven light, grain, plain wall."""
    return _photographed(scene, plain_page(scene.rng, *_sides(scene.pixels)))


def tilted_letterbox(scene: Scene) -> Edited:
    """Tilt the picture between bars."""
    bars = letterbox(scene)[0]
    return _tilted(scene, bars, plain_page(scene.rng, *_sides(bars)))


def tilted_screenshot(scene: Scene) -> Edited:
    """Tilt a screenshot that shows the picture."""
    rng = scene.rng
    layout = ("feed", "chat", "viewer")[rng.integers(3)]
    shot = screenshot(scene.pixels, rng, layout=layout, dark=bool(rng.random() < 0.5))
    return _tilted(scene, shot, plain_page(rng, *_sides(shot)))


def patterned_surround(scene: Scene) -> Edited:
    """Tilt it on another picture, sharp or blurred."""
    height, width = _sides(scene.pixels)
    page = cv2.resize(scene.other(), (width, height), interpolation=cv2.INTER_AREA)
    if scene.rng.random() < 0.5:
        page = cv2.GaussianBlur(page, (0, 0), scene.rng.uniform(0.004, 0.02) * width)
    return _tilted(scene, scene.pixels, page)


def cut_screen(scene: Scene) -> Edited:
    """Photograph a screen whose picture has lost up to 15 % at each side."""
    left, top, right, bottom = scene.rng.uniform(0, 0.15, 4)
    pixels = cropped(scene.pixels, left, top, 1 - right, 1 - bottom)
    return _photographed(replace(scene, pixels=pixels), plain_page(scene.rng, *_sides(pixels)))


# Covered


def band(scene: Scene) -> Edited:
    """Cover 8 to 20 % of the height, anywhere, with a band of text."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    share = rng.uniform(0.08, 0.2)
    tall = round(share * height)
    ink, paper = (BLACK, WHITE) if rng.random() < 0.5 else (WHITE, BLACK)
    shown = text_bar(tall, width, rng, ink, paper, lines=int(rng.integers(1, 3)))
    pixels, top = scene.pixels.copy(), int(rng.integers(0, height - tall + 1))
    under, opacity = pixels[top : top + tall], rng.uniform(0.6, 1)
    under[:] = cv2.addWeighted(shown, opacity, np.ascontiguousarray(under), 1 - opacity, 0)
    return pixels, 100 * share


def stickers(scene: Scene) -> Edited:
    """Put two to four stickers on it, each of 1 to 4 % of the area."""
    strength = 0.0
    for _ in range(int(scene.rng.integers(2, 5))):
        pixels, share = sticker(scene, blurred=False, most=0.04)
        scene, strength = replace(scene, pixels=pixels), strength + share
    return scene.pixels, strength


def mosaic(scene: Scene) -> Edited:
    """Show 4 to 15 % of it, anywhere, in coarse squares."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    share, aspect = rng.uniform(0.04, 0.15), math.exp(rng.uniform(-0.5, 0.5))
    wide = min(round(math.sqrt(share * height * width * aspect)), width)
    tall = min(round(share * height * width / wide), height)
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    pixels = scene.pixels.copy()
    part = np.ascontiguousarray(pixels[top : top + tall, left : left + wide])
    few = int(rng.integers(4, 12))
    coarse = cv2.resize(part, (few, max(few * tall // wide, 2)), interpolation=cv2.INTER_AREA)
    shown = cv2.resize(coarse, (wide, tall), interpolation=cv2.INTER_NEAREST)
    pixels[top : top + tall, left : left + wide] = shown
    return pixels, 100 * share


# Grids, frames, negatives


def even_collage(scene: Scene, *, gutters: bool = False, crops: bool = False) -> Edited:
    """Place it in an even grid of 2 x 2 to 4 x 4 others.

    Its cells have its shape; with ``crops`` they are square or 4:5, and show a middle that is up
    to 8 % smaller on each side.
    """
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    columns, rows = rng.integers(2, 5, 2)
    aspect = (1, 4 / 5)[rng.integers(2)] if crops else width / height
    wide = round(1920 / columns)
    tall = round(wide / aspect)
    gutter = int(rng.integers(3, 24)) if gutters else 0
    page = plain_page(rng, rows * (tall + gutter) + gutter, columns * (wide + gutter) + gutter)
    mine = rng.integers(rows * columns)
    for at in range(rows * columns):
        pixels = scene.pixels if at == mine else scene.other()
        part, _ = to_aspect(pixels, wide / tall, 0.5)
        if crops:
            cut = rng.uniform(0, 0.08)
            part = cropped(part, cut, cut, 1 - cut, 1 - cut)
        shown = cv2.resize(part, (wide, tall), interpolation=cv2.INTER_AREA)
        row, column = divmod(int(at), int(columns))
        page = paste(page, shown, gutter + row * (tall + gutter), gutter + column * (wide + gutter))
    scene.encoding["side_px"] = int(rng.integers(1280, 1921))
    return page, float(rows * columns)


def short_video(scene: Scene) -> Edited:
    """Show it mirrored, less 8 % on each side, in a tall frame with a caption."""
    rng = scene.rng
    pixels = np.ascontiguousarray(cropped(scene.pixels, 0.08, 0.08, 0.92, 0.92)[:, ::-1])
    if rng.random() < 0.5:
        page = cv2.resize(to_aspect(pixels, 9 / 16, 0.5)[0], (1080, 1920))
        page = cv2.GaussianBlur(page, (0, 0), rng.uniform(18, 60))
    else:
        page = plain_page(rng, 1920, 1080)
    shown = fitted(pixels, 1080, 1500)
    top, left = (1920 - shown.shape[0]) // 2, (1080 - shown.shape[1]) // 2
    page = paste(page, shown, top, left)
    tall = int(rng.integers(100, 200))
    page[1920 - 2 * tall : 1920 - tall] = text_bar(tall, 1080, rng, WHITE, BLACK, lines=1)
    return page, 8


def negative(scene: Scene) -> Edited:
    """Invert all levels."""
    return 255 - scene.pixels, 0


def cropped_negative(scene: Scene) -> Edited:
    """Invert all levels, and cut up to 15 % off each side."""
    left, top, right, bottom = scene.rng.uniform(0, 0.15, 4)
    return 255 - cropped(scene.pixels, left, top, 1 - right, 1 - bottom), 0


# Listed after plans, crops and regions had been chosen: nothing was tuned to these


def turn_in_frame(scene: Scene, *, corners: Corners) -> Edited:
    """Turn by 5 to 20 degrees within the picture's own frame.

    Its corners are cut off; the empty corners are black or white, show it enlarged and blurred, or
    continue its edges.
    """
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    degrees = rng.uniform(5, 20) * rng.choice([-1, 1])
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    page = np.full_like(scene.pixels, 255 if corners == "white" else 0)
    if corners == "blurred":
        page = cv2.resize(cropped(scene.pixels, 0.15, 0.15, 0.85, 0.85), (width, height))
        page = cv2.GaussianBlur(page, (0, 0), rng.uniform(0.02, 0.05) * max(height, width))
    border = cv2.BORDER_REPLICATE if corners == "edge" else cv2.BORDER_TRANSPARENT
    turned = cv2.warpAffine(
        scene.pixels,
        matrix,
        (width, height),
        dst=page,
        flags=cv2.INTER_LINEAR,
        borderMode=border,
    )
    return turned, abs(degrees)


def band_across(scene: Scene) -> Edited:
    """Cover 10 to 25 % of the height, in the middle third, with an opaque band of text."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    share = rng.uniform(0.1, 0.25)
    tall = round(share * height)
    top = round(rng.uniform(1 / 3, 2 / 3) * height - tall / 2)
    ink, paper = (BLACK, WHITE) if rng.random() < 0.5 else (WHITE, BLACK)
    shown = text_bar(tall, width, rng, ink, paper, lines=int(rng.integers(1, 4)))
    return paste(scene.pixels, shown, top, 0), 100 * share


def other_ratio(scene: Scene) -> Edited:
    """Crop to any ratio of 1:2 to 2:1, as large as fits, anywhere."""
    aspect = 2 ** scene.rng.uniform(-1, 1)
    pixels, kept = to_aspect(scene.pixels, aspect, scene.rng.uniform(0, 1))
    return pixels, 100 * (1 - kept)


HARDER: dict[str, dict[str, Edit]] = {
    "cut_side": {"cut_side": cut_side},
    "ratio": {"ratio": ratio},
    "large_crop": {
        "zoom": zoom,
        "half": partial(share_of, parts=2),
        "third": partial(share_of, parts=3),
    },
    "turn_on_page": {"turn_on_page": turn_on_page},
    "turn_and_crop": {"turn_and_crop": turn_and_crop},
    "tilted": {"tilt": tilt, "photographed_screen": photographed_screen},
    "tilt_within": {
        "tilted_letterbox": tilted_letterbox,
        "tilted_screenshot": tilted_screenshot,
    },
    "covered": {"band": band, "stickers": stickers, "mosaic": mosaic},
    "even_collage": {"even_collage": even_collage},
    "gutters": {"even_collage_gutters": partial(even_collage, gutters=True)},
    "cropped_cells": {"even_collage_crops": partial(even_collage, crops=True)},
    "short_video": {"short_video": short_video},
    "negative": {"negative": negative},
    "cropped_negative": {"cropped_negative": cropped_negative},
    "patterned_surround": {"patterned_surround": patterned_surround},
    "cut_screen": {"cut_screen": cut_screen},
    "turn_in_frame": {
        f"turn_in_frame_{corners}": partial(turn_in_frame, corners=corners)
        for corners in get_args(Corners)
    },
    "band_across": {"band_across": band_across},
    "other_ratio": {"other_ratio": other_ratio},
    **UNEQUAL,
}
"""Edits by the row of the table of harder edits that they belong to."""

EVERY_EDIT: dict[str, tuple[str, Edit]] = EDITS | {
    name: (group, edit) for group, edits in HARDER.items() for name, edit in edits.items()
}
"""Group and function of each edit, of these and of ``edits``, by its name."""


def _sides(pixels: Pixels) -> tuple[int, int]:
    """Return height and width of a page that leaves room around a picture."""
    height, width = pixels.shape[:2]
    return round(1.3 * height), round(1.3 * width)


def _tilted(scene: Scene, pixels: Pixels, page: Pixels) -> Edited:
    """Show pixels on a page, each corner moved by up to the tilt, and turned by up to 4 degrees."""
    rng, (height, width) = scene.rng, pixels.shape[:2]
    share = rng.uniform(0.03, 0.08)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    # one side is farther away, so shorter; the rest is a hand that does not hold level
    moved = corners.copy()
    side, inward = rng.integers(4), np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    size = np.array([width, height], np.float32)
    moved[side] += inward[side] * share * size
    moved[(side + 1) % 4] -= inward[side] * share * size
    moved += rng.uniform(-0.01, 0.01, (4, 2)).astype(np.float32) * size
    angle = math.radians(rng.uniform(-4, 4))
    turn = np.array(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32
    )
    middle = size / 2
    shown_at = np.array(page.shape[1::-1]) * rng.uniform(0.47, 0.53, 2)
    places = (moved - middle) @ turn.T * rng.uniform(0.85, 1.0) + shown_at
    matrix = cv2.getPerspectiveTransform(corners, places.astype(np.float32))
    target = page.shape[1::-1]
    shown = cv2.warpPerspective(pixels, matrix, target, flags=cv2.INTER_AREA)
    cover = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, target)
    weight = cover[..., None].astype(np.float32) / 255
    return (shown * weight + page * (1 - weight)).astype(np.uint8), 100 * share


def _photographed(scene: Scene, page: Pixels) -> Edited:
    """Tilt a screen with a dark edge; add uneven light, blur and grain."""
    rng, (height, width) = scene.rng, scene.pixels.shape[:2]
    edge = round(rng.uniform(0.01, 0.04) * min(height, width))
    screen = np.full((height + 2 * edge, width + 2 * edge, 3), rng.integers(5, 40), np.uint8)
    pixels, share = _tilted(scene, paste(screen, scene.pixels, edge, edge), page)
    tall, wide = pixels.shape[:2]
    y, x = np.mgrid[0:tall, 0:wide].astype(np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    across = (x / wide - 0.5) * math.cos(angle) + (y / tall - 0.5) * math.sin(angle)
    light = (1 + across * rng.uniform(0.1, 0.5))[..., None]
    lit = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.3, 1.2)).astype(np.float32) * light
    lit += rng.normal(0, rng.uniform(1, 6), lit.shape).astype(np.float32)
    return lit.clip(0, 255).astype(np.uint8), share
