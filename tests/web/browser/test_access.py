"""For everybody: axe finds nothing, a keyboard is enough, and so are 320 pixels of width."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect

from disrupt.texts import LANGUAGES
from tests.web.browser.obstacles import obstacles, violations
from tests.web.browser.person import Person, photograph
from tests.web.browser.site import Site


@pytest.mark.parametrize(
    ("scheme", "width_px", "height_px", "text_px", "languages"),
    [
        ("light", 320, 640, 16, list(LANGUAGES)[1:]),
        ("dark", 320, 256, 16, ("en", "ar")),
        ("light", 320, 640, 32, ("en", "ar")),
    ],
    ids=["narrow", "dark, at a zoom of 400 %", "narrow, with text of 200 %"],
)
def test_each_step_is_for_everybody_and_tells_nothing_to_others(
    person: Person,
    scheme: Literal["light", "dark"],
    width_px: int,
    height_px: int,
    text_px: int,
    languages: Iterable[str],
) -> None:
    page = person.page
    page.evaluate("(size) => { document.documentElement.style.fontSize = size }", f"{text_px}px")
    page.set_viewport_size({"width": width_px, "height": height_px})
    page.emulate_media(color_scheme=scheme)
    entries = page.evaluate("history.length")
    problems: list[str] = []

    def look(step: str) -> None:
        for language in (*languages, "fr"):
            person.switches(language)
            found = obstacles(page) + violations(page)
            problems.extend(f"{step}, in {language}: {each}" for each in found)

    person.at_each_step(look)
    assert problems == []
    assert page.evaluate("history.length") == entries


def test_axe_would_find_a_picture_without_a_text(person: Person) -> None:
    person.page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    assert any(each.startswith("image-alt") for each in violations(person.page))


def test_a_keyboard_is_enough(person: Person) -> None:
    page = person.page

    def presses(name: str, step: str) -> None:
        """Move the focus by Tab to a button, and press it."""
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.count() and name in focused.inner_text():
                assert focused.evaluate("(it) => getComputedStyle(it).outlineStyle") == "solid"
                page.keyboard.press("Enter")
                person.sees(step)
                expect(page.locator("h1:focus")).to_have_count(1)
                return
        raise AssertionError(name)

    presses("Commencer", "who")
    presses("Moi", "age")
    presses("18 ans ou plus", "choose")
    for _ in range(2):
        page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choisir des fichiers").press("Enter")
    chooser.value.set_files([photograph("rocket")])
    person.is_ready()
    presses("Continuer", "number")
    presses("Je les ai notés", "send")
    presses("Envoyer", "receipt")


def test_without_scripts_the_page_says_whom_to_call(browser: Browser, site: Site) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.url)
    words = page.locator("noscript p").first
    expect(words).to_be_visible()
    expect(words).to_contain_text("elle a besoin de JavaScript. Appelez le 3018")
    context.close()


def test_the_first_view_loads_at_most_150_kilobytes(person: Person) -> None:
    loaded = person.page.evaluate(
        """['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind))
            .reduce((sum, { transferSize }) => sum + transferSize, 0)"""
    )
    assert 10_000 < loaded <= 150_000
