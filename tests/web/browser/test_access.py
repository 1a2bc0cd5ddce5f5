"""For everybody: axe finds nothing, a keyboard is enough, and so are 320 pixels of width."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.web.browser.person import Person, photograph
from tests.web.browser.site import Site

_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def _scrolls_sideways(page: Page) -> bool:
    wide: bool = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return wide


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_step_in_either_language(person: Person, scheme: str) -> None:
    page = person.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    violations: list[str] = []

    def look(step: str) -> None:
        for language in ("English", "Français"):
            page.get_by_role("button", name=language).click()
            found = Axe().run(page, options=_RULES).response["violations"]
            violations.extend(f"{step}, then {language}: {each['id']}" for each in found)

    person.at_each_step(look)
    assert violations == []


def test_axe_would_find_a_picture_without_a_text(person: Person) -> None:
    person.page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    found = Axe().run(person.page, options=_RULES).response["violations"]
    assert "image-alt" in {each["id"] for each in found}


@pytest.mark.parametrize(
    ("width_px", "height_px"), [(320, 640), (320, 256)], ids=["narrow", "zoom of 400 %"]
)
def test_nothing_is_beside_the_view(person: Person, width_px: int, height_px: int) -> None:
    person.page.set_viewport_size({"width": width_px, "height": height_px})
    beside: list[str] = []

    def look(step: str) -> None:
        if _scrolls_sideways(person.page):
            beside.append(step)

    person.at_each_step(look)
    assert beside == []


def test_a_keyboard_is_enough(person: Person) -> None:
    page = person.page

    def presses(name: str) -> None:
        """Move the focus by Tab to a button, and press it."""
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.count() and name in focused.inner_text():
                assert focused.evaluate("(it) => getComputedStyle(it).outlineStyle") == "solid"
                page.keyboard.press("Enter")
                return
        raise AssertionError(name)

    presses("Commencer")
    person.sees("who")
    presses("C'est moi")
    person.sees("age")
    presses("18 ans ou plus")
    person.sees("choose")
    with page.expect_file_chooser() as chooser:
        presses("Choisir des fichiers")
    chooser.value.set_files([photograph("rocket")])
    person.is_ready()
    presses("Continuer")
    person.sees("number")
    presses("J'ai noté")
    person.sees("send")
    presses("Envoyer")
    person.sees("receipt")


def test_each_step_begins_at_its_heading(person: Person) -> None:
    def look(step: str) -> None:
        if step not in {"welcome", "choose", "open"}:
            expect(person.page.locator("h1:focus")).to_have_count(1)

    person.at_each_step(look)


def test_nothing_moves(person: Person) -> None:
    """Nobody needs to ask for less motion: there is none, whatever is preferred."""
    moving = "document.getAnimations().length"

    def look(_step: str) -> None:
        assert person.page.evaluate(moving) == 0

    person.at_each_step(look)


def test_without_scripts_the_page_says_whom_to_call(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url)
    words = page.locator("noscript p").first
    expect(words).to_be_visible()
    expect(words).to_contain_text("elle a besoin de JavaScript. Appelez le 3018")
    context.close()
