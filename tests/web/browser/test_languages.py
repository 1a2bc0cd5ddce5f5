"""The page speaks the browser's language, from right to left too, and a switch loses nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from disrupt.texts import LANGUAGES, read_texts
from disrupt.web.files import text_files
from rig.servers.gateway import running, whole_page
from tests.web.browser.person import Person, photograph


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve the page in some languages, without a server behind it."""
    files = whole_page() | text_files(["es", "ar"])
    with running("127.0.0.1:1", files) as gateway:
        yield gateway.url


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("['ca-ES', 'es-MX', 'en']", "es"),
        ("['ar-MA']", "ar"),
        ("['tr-TR', 'EN-us']", "en"),
        ("['de']", "fr"),
        ("[]", "fr"),
    ],
)
def test_the_browser_s_first_language_that_is_offered_is_shown(
    browser: Browser, url: str, wanted: str, shown: str
) -> None:
    page = browser.new_page()
    page.add_init_script(
        f"Object.defineProperty(navigator, 'languages', {{ get: () => {wanted} }})"
    )
    page.goto(url)
    language = LANGUAGES[shown]
    expect(page.locator(f"html[lang={shown}][dir={language.direction}]")).to_have_count(1)
    expect(page.locator("h1")).to_have_text(read_texts("page", shown)["welcome.title"])
    unread = page.locator(".unread")
    expect(unread).to_have_count(0 if language.is_read else 1)
    if not language.is_read:
        expect(unread.get_by_role("link", name="3018")).to_have_attribute("href", "tel:3018")
    assert page.locator("option").all_inner_texts() == ["Français", "English", "Español", "العربية"]
    page.close()


def test_a_switch_loses_nothing_and_says_where_a_language_cannot_be_had(
    tab: Page, url: str
) -> None:
    asked: list[str] = []

    def fail(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    tab.route("**/texts/*.ar.json", fail)
    person = Person(tab, url).comes().says_age().chooses(photograph("cat")).is_ready()
    assert asked == []
    person.page.locator("#language").select_option("ar")
    person.reads("language.not_loaded").reads("choose.ready.one").sees("choose")
    tab.unroute("**/texts/*.ar.json")
    person.switches("ar")
    expect(tab.locator(".files strong")).to_have_text("cat.png")
    person.switches("fr").clicks("Continuer").sees("number")
    shown = person.number_and_pin()
    person.switches("ar")
    assert person.number_and_pin() == shown
    for value in tab.locator(".card bdi").all():
        assert value.evaluate("(it) => getComputedStyle(it).direction") == "ltr"
        expect(value).to_have_attribute("translate", "no")


def test_the_catalogues_have_the_plural_forms_of_the_browser(tab: Page, url: str) -> None:
    tab.goto(url)
    forms = tab.evaluate(
        """(tags) => tags.map((tag) => {
            const rules = new Intl.PluralRules(tag);
            return [...new Set(Array.from({ length: 1000 }, (_, count) => rules.select(count)))];
        })""",
        list(LANGUAGES),
    )
    assert list(map(set, forms)) == [set(each.plural_forms) for each in LANGUAGES.values()]
