"""Show picture files in Debian's Chromium, and read what a page shows."""

from __future__ import annotations

import base64
import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

PROGRAM = "/usr/bin/chromium"

_BATCH = 20

_SHOW = """
async (files) => {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
  const painted = (image, colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    return new Uint8Array(data.buffer).toBase64();
  };
  const show = async (file) => {
    const image = new Image();
    const loaded = new Promise((resolve) => {
      image.onload = () => resolve(true);
      image.onerror = () => resolve(false);
    });
    image.src = `data:application/octet-stream;base64,${file}`;
    if (!(await loaded)) return null;
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const [onWhite, onBlack] = ['white', 'black'].map((colour) => painted(image, colour));
    const pages = onWhite === onBlack ? [onWhite] : [onWhite, onBlack];
    return { width: canvas.width, height: canvas.height, pages };
  };
  const shown = [];
  for (const file of files) shown.push(await show(file));
  return shown;
}
"""


Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows of a file: RGB on white and on black, (height, width, 3), and alpha."""

    on_white: Pixels
    on_black: Pixels
    alpha: Pixels


@contextlib.contextmanager
def page() -> Iterator[Page]:
    """Start a browser with an empty page."""
    with sync_playwright() as playwright:
        options = ["--force-color-profile=srgb", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=options)
        try:
            yield browser.new_page()
        finally:
            browser.close()


def show(page: Page, files: Sequence[bytes]) -> Iterator[Shown | None]:
    """Yield what the page shows of each file; None where it shows nothing."""
    for start in range(0, len(files), _BATCH):
        sent = [base64.b64encode(data).decode() for data in files[start : start + _BATCH]]
        for shown in page.evaluate(_SHOW, sent):
            yield _read(shown) if shown else None


def _read(shown: dict[str, Any]) -> Shown | None:
    """Return what was shown; None if all of it is transparent."""
    shape = shown["height"], shown["width"], 4
    pages = [
        np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)[..., :3]
        for text in shown["pages"]
    ]
    on_white, on_black = pages[0], pages[-1]
    # What a white page adds, never less than nothing; rounding may differ between the bands.
    added = (on_white[..., band] - on_black[..., band] for band in range(3))
    alpha = 255 - functools.reduce(np.maximum, added)
    return Shown(on_white, on_black, alpha) if alpha.any() else None
