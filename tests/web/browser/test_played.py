"""The element that plays a video for the worker is freed, whatever becomes of the file."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.hashing.pictures import PHOTOS
from tests.web.browser.person import Person, file
from tests.web.videos.files import with_alpha

SHORT_MS = 250
LONG_MS = 15 * 60_000
"""Time that a frame is shown. Of three long ones the page asks for ten thousand pictures."""

_WATCH = """() => {
  window.urls = new Set();
  window.videos = [];
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (file) => {
    const url = createObjectURL.call(URL, file);
    urls.add(url);
    return url;
  };
  URL.revokeObjectURL = (url) => {
    urls.delete(url);
    revokeObjectURL.call(URL, url);
  };
  const { createElement } = document;
  document.createElement = (...how) => {
    const made = createElement.apply(document, how);
    if (made instanceof HTMLVideoElement) videos.push(made);
    return made;
  };
}"""
"""Keep the video elements that the page makes, and the URLs of files that it has not revoked."""
_PLAYED = """async () => {
  while (!videos.some(({ currentTime }) => currentTime > 0))
    await new Promise((resolve) => setTimeout(resolve, 5));
  return urls.size;
}"""
"""Wait until an element shows frames; return how many files have a URL."""
_FREED = """async () => {
  while (urls.size || videos.some((video) => video.hasAttribute('src') || video.networkState))
    await new Promise((resolve) => setTimeout(resolve, 5));
  return videos.length;
}"""
"""Wait until no element has a file any more; return how many there are."""


def _video(period_ms: int) -> bytes:
    """Return a video that only an element plays."""
    shown = [PHOTOS[name][:240, :320] for name in ("cat", "coffee", "rocket")]
    opaque = np.full((240, 320), 255, np.uint8)
    return with_alpha([np.dstack([pixels, opaque]) for pixels in shown], period_ms)


def _plays(person: Person, period_ms: int) -> Page:
    person.page.evaluate(_WATCH)
    person.says_age().chooses(file("a.webm", _video(period_ms)))
    assert person.page.evaluate(_PLAYED) == 1
    return person.page


def test_a_video_that_is_hashed_is_freed(person: Person) -> None:
    person.page.evaluate(_WATCH)
    person.says_age().chooses(file("a.webm", _video(SHORT_MS))).is_ready()
    person.reads("1 fichier est prêt.")
    assert person.page.evaluate(_FREED) == 1


def test_a_video_that_is_cancelled_is_freed(person: Person) -> None:
    page = _plays(person, LONG_MS)
    person.clicks("Annuler")
    assert page.evaluate(_FREED) == 1


@pytest.mark.parametrize("way", ["button", "keys"])
def test_by_the_quick_exit_a_video_is_freed(person: Person, way: str) -> None:
    page = _plays(person, LONG_MS)
    # The page stays, as the site to which the exit leads has nothing to show.
    page.context.route("https://www.wikipedia.org/**", lambda route: route.fulfill(status=204))
    if way == "button":
        page.evaluate("document.getElementById('exit').click()")
    else:
        for _ in range(3):
            page.keyboard.press("Escape")
    assert page.evaluate(_FREED) == 1
