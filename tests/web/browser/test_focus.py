"""What has the keyboard's focus is in view."""

from __future__ import annotations

import pytest

from tests.web.browser.person import Person, file

_IS_COVERED = """() => {
  const { top, bottom, left, right } = document.activeElement.getBoundingClientRect();
  const middle = (left + right) / 2;
  const points = [[middle, top + 2], [middle, bottom - 2], [right - 8, bottom - 8]];
  const { activeElement } = document;
  return points.some(([x, y]) => !activeElement.contains(document.elementFromPoint(x, y)));
}"""
"""Whether something lies over an edge of what has the focus."""


@pytest.mark.parametrize(("width_px", "height_px"), [(390, 480), (320, 480), (320, 256)])
def test_neither_header_nor_exit_covers_what_has_the_focus(
    person: Person, width_px: int, height_px: int
) -> None:
    page = person.page
    page.set_viewport_size({"width": width_px, "height": height_px})
    person.says_age().chooses(*(file(f"{n}.txt", b"no picture" * n) for n in range(1, 9)))
    person.is_ready()
    person.button("Retour").focus()
    visited = 0
    while page.evaluate("!document.activeElement.closest('header')"):
        assert not page.evaluate(_IS_COVERED), page.evaluate("document.activeElement.outerHTML")
        page.keyboard.press("Shift+Tab")
        visited += 1
    assert visited > 8
