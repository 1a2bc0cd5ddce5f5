"""For everybody: axe finds nothing at the desk, a keyboard is enough, and so are 320 pixels."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import expect

from tests.desk.browsing import Analyst
from tests.desk.staff import People
from tests.web.browser.obstacles import violations


def problems(at_desk: Analyst, where: str) -> list[str]:
    """Return what keeps somebody from using what is shown."""
    page = at_desk.page
    wide = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    found = violations(page) + (["it scrolls sideways"] if wide else [])
    return [f"{where}: {each}" for each in found]


@pytest.mark.parametrize(
    ("language", "scheme", "width_px"), [("fr", "light", 1280), ("en", "dark", 320)]
)
def test_each_view_is_for_everybody(
    at_desk: Analyst,
    people: People,
    language: str,
    scheme: Literal["light", "dark"],
    width_px: int,
) -> None:
    (write,) = people.register(items=6)
    people.dispute(write)
    page = at_desk.page
    page.set_viewport_size({"width": width_px, "height": 800})
    page.emulate_media(color_scheme=scheme)
    page.locator("#language").select_option(language)
    found: list[str] = []
    for link in page.locator("header nav a").all():
        name = link.inner_text()
        link.click()
        at_desk.sees(name)
        for details in page.locator("details").all():
            details.locator("summary").click()
        found += problems(at_desk, f"{name} ({language})")
    page.goto(f"{at_desk.site.url}/#decide")
    expect(page.locator("main table")).to_be_visible()
    page.locator("tbody button").first.click()
    found += problems(at_desk, "an item")
    page.keyboard.press("Escape")
    page.locator("tbody input").first.check()
    page.get_by_role("button", name="Rejeter" if language == "fr" else "Reject").click()
    found += problems(at_desk, "a question")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sortir" if language == "fr" else "Sign out").click()
    expect(page.locator("#field-secret")).to_be_visible()
    found += problems(at_desk, "signing in")
    assert found == []


def test_a_keyboard_is_enough(at_desk: Analyst, people: People) -> None:
    people.register()
    at_desk.opens("Tous")
    page = at_desk.page
    expect(page.locator("h1:focus")).to_have_count(1)

    def to(name: str) -> None:
        """Move the focus by Tab to what has this name."""
        for _ in range(900):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            said = focused.evaluate("(it) => it.getAttribute('aria-label') ?? it.innerText")
            if name in said:
                return
        raise AssertionError(name)

    to("Cocher")
    page.keyboard.press("Space")
    to("Confirmer")
    page.keyboard.press("Enter")
    to("Oui")
    page.keyboard.press("Enter")
    at_desk.reads("Confirmer : fait. Éléments : 1.")
