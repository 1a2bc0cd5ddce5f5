"""Animated PNG files are painted as the specification has it: on a page that has alpha."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.errors import InvalidMediaError
from disrupt.hashing.decoding.pictures import decode_frames
from disrupt.hashing.decoding.pixels import Picture
from rig.media.files import png_damage
from rig.media.files.png import (
    COLOURS,
    COLOURS_ALPHA,
    GREY_ALPHA,
    GREYS,
    INDICES,
)
from rig.media.pictures import chunk

KEEP, TO_PAGE, TO_PREVIOUS = range(3)
SOURCE, OVER = range(2)
BANDS = {GREYS: 1, COLOURS: 3, INDICES: 1, GREY_ALPHA: 2, COLOURS_ALPHA: 4}
SIZE = WIDTH, HEIGHT = 70, 50

KINDS = [
    (GREYS, 4),
    *((colour, depth) for colour in BANDS for depth in (8, 16) if (colour, depth) != (INDICES, 16)),
]


@dataclass(frozen=True)
class Frame:
    """Samples as they are stored, shape (height, width, bands), and how they are painted."""

    samples: NDArray[np.uint16]
    place: tuple[int, int] = (0, 0)
    disposal: int = KEEP
    blend: int = SOURCE

    @property
    def box(self) -> tuple[slice, slice]:
        (left, top), (height, width, _) = self.place, self.samples.shape
        return slice(top, top + height), slice(left, left + width)


@dataclass(frozen=True)
class Animation:
    """Frames of a type and depth of colours; ``hidden`` is the image that is no frame."""

    colour: int
    depth: int
    frames: tuple[Frame, ...]
    hidden: NDArray[np.uint16] | None = None
    palette: bytes = b""
    transparency: bytes = b""

    def file(self, declared: int | None = None) -> bytes:
        before = chunk(b"PLTE", self.palette) if self.palette else b""
        before += chunk(b"tRNS", self.transparency) if self.transparency else b""
        return png_damage.animation(
            *((frame.samples, frame.place, frame.disposal, frame.blend) for frame in self.frames),
            colour=self.colour,
            depth=self.depth,
            size=SIZE,
            before=before,
            hidden=self.hidden,
            count=declared,
            first_bytes=9,
        )

    def rgba(self, samples: NDArray[np.uint16]) -> NDArray[np.float64]:
        """Return colours as 8 bits and alpha from 0 to 1."""
        most = 2**self.depth - 1
        if self.colour == INDICES:
            alphas = self.transparency.ljust(len(self.palette) // 3, b"\xff")
            entries = np.frombuffer(self.palette, np.uint8).reshape(-1, 3)
            table = np.column_stack([entries, np.frombuffer(alphas, np.uint8) / 255])
            return table[samples[..., 0]]
        colours, alpha = samples, np.ones((*samples.shape[:2], 1))
        if self.colour in {GREY_ALPHA, COLOURS_ALPHA}:
            colours, alpha = samples[..., :-1], samples[..., -1:] / most
        elif self.transparency:
            key = np.frombuffer(self.transparency, ">u2")
            alpha = (samples != key).any(axis=-1, keepdims=True).astype(float)
        levels = colours >> 8 if self.depth == 16 else colours * (255 // most)
        return np.concatenate([np.broadcast_to(levels, (*levels.shape[:2], 3)), alpha], axis=-1)

    def pages(self, behind: int = 255) -> Iterator[NDArray[np.float64]]:
        """Paint the frames, each pixel by itself (PNG, section 11.3.6.2)."""
        page = np.zeros((HEIGHT, WIDTH, 4))
        for at, frame in enumerate(self.frames):
            before, painted = page.copy(), self.rgba(frame.samples)
            if frame.blend == OVER:
                painted = over(painted, page[frame.box])
            page[frame.box] = painted
            yield page[..., :3] * page[..., 3:] + behind * (1 - page[..., 3:])
            if frame.disposal == TO_PAGE or (at == 0 and frame.disposal == TO_PREVIOUS):
                page[frame.box] = 0
            elif frame.disposal == TO_PREVIOUS:
                page = before


def over(upper: NDArray[np.float64], lower: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = upper[..., 3:], lower[..., 3:] * (1 - upper[..., 3:])
    alpha = sum(shares)
    colours = upper[..., :3] * shares[0] + lower[..., :3] * shares[1]
    return np.concatenate([colours / np.where(alpha, alpha, 1), alpha], axis=-1)


def animation(colour: int, depth: int, seed: int) -> Animation:
    """Return frames anywhere on the page, of few levels so that transparent ones are met."""
    choice, noise = Random(seed), np.random.default_rng(seed)
    levels = np.array([0, 60, 128, 255]) * (2**depth - 1) // 255
    key = struct.pack(f">{BANDS[colour]}H", *levels[noise.integers(0, 4, BANDS[colour])])

    def samples(width: int, height: int) -> NDArray[np.uint16]:
        coarse = levels[noise.integers(0, 4, (-(-height // 5), -(-width // 5), BANDS[colour]))]
        if depth == 16 and colour in {GREYS, COLOURS}:
            coarse = coarse + noise.integers(0, 2, coarse.shape) * (coarse < 60_000)
        return np.asarray(coarse.repeat(5, 0).repeat(5, 1)[:height, :width], np.uint16)

    def frame(*, whole: bool) -> Frame:
        width, height = SIZE if whole else (choice.randint(1, WIDTH), choice.randint(1, HEIGHT))
        place = choice.randint(0, WIDTH - width), choice.randint(0, HEIGHT - height)
        return Frame(samples(width, height), place, choice.randrange(3), choice.randrange(2))

    hidden = samples(*SIZE) if choice.random() < 0.3 else None
    frames = tuple(frame(whole=at == 0 and hidden is None) for at in range(6))
    if colour == INDICES:
        palette, key = noise.bytes(768), bytes(levels[noise.integers(0, 4, 256)].tolist())
        return Animation(colour, depth, frames, hidden, palette, choice.choice([key, b""]))
    has_key = colour in {GREYS, COLOURS} and choice.random() < 0.6
    return Animation(colour, depth, frames, hidden, transparency=key if has_key else b"")


def rgb(picture: Picture) -> NDArray[np.float64]:
    return picture.rgb(0, picture.height_px).astype(float)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_frames_are_painted_as_a_naive_painter_does(colour: int, depth: int, seed: int) -> None:
    source = animation(colour, depth, seed)
    pictures = [rgb(picture) for picture in decode_frames(source.file())]
    assert len(pictures) == len(source.frames)
    for picture, page in zip(pictures, source.pages(), strict=True):
        assert np.abs(picture - page).max() <= 2


def plain(level: int, **options: Any) -> Frame:
    return Frame(np.full((HEIGHT, WIDTH, 3), level, np.uint16), **options)


@pytest.mark.parametrize("disposal", [TO_PAGE, TO_PREVIOUS])
def test_what_no_frame_covers_shows_what_is_behind_a_page(disposal: int) -> None:
    part = Frame(np.full((20, 30, 3), 77, np.uint16), (15, 25))
    source = Animation(COLOURS, 8, (plain(9, disposal=disposal), part))
    *_, picture = decode_frames(source.file(), scaled=True)
    assert picture.image.getchannel("A").histogram()[255] == 20 * 30
    *_, page = source.pages(behind=0)
    (black,) = picture.others
    assert (np.asarray(black) == page[..., 0]).all()


def test_a_first_image_that_is_no_frame_is_looked_up_and_not_painted_on() -> None:
    drawn = animation(COLOURS_ALPHA, 8, 2)
    source = replace(drawn, hidden=np.full((HEIGHT, WIDTH, 4), 200, np.uint16))
    looked_up, *pictures = map(rgb, decode_frames(source.file(), scaled=True))
    assert (looked_up == looked_up[0, 0]).all()
    for picture, page in zip(pictures, source.pages(), strict=True):
        assert np.abs(picture - page).max() <= 2


@pytest.mark.parametrize("right", [WIDTH - 1, WIDTH])
def test_a_first_image_is_as_large_as_its_page(right: int) -> None:
    first = plain(9)
    source = Animation(COLOURS, 8, (replace(first, samples=first.samples[:, :right]), first))
    if right == WIDTH:
        assert len(list(decode_frames(source.file()))) == 2
        return
    with pytest.raises(InvalidMediaError, match="damaged"):
        list(decode_frames(source.file()))


@pytest.mark.parametrize(
    "frame",
    [
        plain(1, place=(1, 0)),
        plain(1, disposal=3),
        plain(1, blend=2),
        Frame(np.empty((HEIGHT, 0, 3), np.uint16)),
    ],
    ids=["beyond the page", "unknown disposal", "unknown blend", "no pixels"],
)
def test_a_frame_that_browsers_do_not_show_is_refused(frame: Frame) -> None:
    pictures = decode_frames(Animation(COLOURS, 8, (plain(0), frame)).file())
    next(pictures)
    with pytest.raises(InvalidMediaError, match="damaged"):
        next(pictures)


def test_frames_out_of_order_or_missing_are_refused() -> None:
    source = Animation(COLOURS, 8, (plain(0), plain(1)))
    control = struct.pack(">4I2H2B", *SIZE, 0, 0, 1, 10, KEEP, SOURCE)
    right, wrong = (chunk(b"fcTL", struct.pack(">I", number) + control) for number in (1, 2))
    swapped = source.file().replace(right, wrong)
    assert swapped != source.file()
    for data in (swapped, source.file(declared=3)):
        with pytest.raises(InvalidMediaError, match="damaged"):
            list(decode_frames(data))
