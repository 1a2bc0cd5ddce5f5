"""Leaving: at once, without a question and without a trace."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, Page, Route

from tests.web.browser.person import Person, photograph
from tests.web.browser.site import Site

ELSEWHERE = "https://fr.wikipedia.org/"


@pytest.fixture(autouse=True)
def _elsewhere(tab: Page) -> None:
    """Answer in the place of the site to which the exit leads: no test needs the network."""

    def answer(route: Route) -> None:
        route.fulfill(body="<!doctype html><title>elsewhere</title>", content_type="text/html")

    tab.context.route(f"{ELSEWHERE}**", answer)


@pytest.fixture
def dialogs(tab: Page) -> list[str]:
    """Return the kinds of the questions that the browser asks."""
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    tab.on("dialog", refuse)
    return asked


@pytest.mark.parametrize("way", ["button", "keys"])
def test_the_quick_exit_replaces_the_page_without_a_question(
    person: Person, dialogs: list[str], way: str
) -> None:
    page = person.page
    entries = page.evaluate("history.length")
    person.says_age().chooses(photograph("cat")).clicks("Continuer").sees("number")
    if way == "button":
        person.button("Quitter vite").click()
    else:
        for _ in range(3):
            page.keyboard.press("Escape")
    page.wait_for_url(ELSEWHERE)
    assert dialogs == []
    assert page.evaluate("history.length") == entries
    page.go_back()
    assert person.url not in page.url


def test_escape_twice_leaves_nothing(person: Person) -> None:
    person.says_age()
    for _ in range(2):
        person.page.keyboard.press("Escape")
    person.sees("choose")


def test_the_page_can_be_left_before_it_has_started(tab: Page, person: Person) -> None:
    tab.route("**/texts/*", lambda _route: None)
    tab.goto(person.url, wait_until="commit")
    tab.locator("#exit").click()
    tab.wait_for_url(ELSEWHERE)


def test_the_exit_is_there_where_its_own_script_did_not_come(tab: Page, site: Site) -> None:
    tab.route(f"{site.url}/flow/exit.js", lambda route: route.abort())
    entries = Person(tab, site.url).comes().page.evaluate("history.length")
    for _ in range(3):
        tab.keyboard.press("Escape")
    tab.wait_for_url(ELSEWHERE)
    assert tab.evaluate("history.length") == entries


def test_the_back_button_asks_nothing_and_number_and_pin_open_what_was_sent(
    person: Person, dialogs: list[str]
) -> None:
    number, pin = person.registers(photograph("cat"))
    person.page.go_back()
    assert person.url not in person.page.url
    assert dialogs == []
    person.page.go_forward()
    person.sees("welcome").reads("welcome.reloaded").opens(number, pin).sees("case")


def test_a_phones_back_stays_in_the_flow_from_the_pin_on_and_adds_no_history_entry(
    tab: Page, site: Site
) -> None:
    # Escape asks to close as the gesture does on Android, which no key comes with.
    tab.add_init_script(
        "addEventListener('keydown', (event) => event.stopImmediatePropagation(), true)"
    )
    person = Person(tab, site.url).comes()
    entries = tab.evaluate("history.length")

    def goes_back() -> None:
        tab.keyboard.press("Escape")

    person.prepares("cat")
    goes_back()
    person.sees("number")
    shown = person.number_and_pin()
    goes_back()
    person.sees("choose").reads("choose.ready.one").goes_to_send()
    person.clicks("Envoyer").sees("receipt")
    assert person.number_and_pin() == shown
    goes_back()
    person.sees("receipt").reads("back.stays")
    goes_back()
    person.sees("receipt").clicks("Voir le dossier").sees("case").clicks("Retirer Image 1")
    goes_back()
    person.sees("case").reads("case.image", number=1)
    assert tab.evaluate("history.length") == entries
    person.button("Quitter vite").click()
    tab.wait_for_url(ELSEWHERE)
    assert tab.evaluate("history.length") == entries


def test_nothing_is_kept_on_the_device(person: Person) -> None:
    person.registers(photograph("coffee"))
    kept = person.page.evaluate(
        """async () => [
            localStorage.length,
            sessionStorage.length,
            document.cookie.length,
            (await indexedDB.databases()).length,
            (await caches.keys()).length,
            (await navigator.serviceWorker.getRegistrations()).length,
            history.state,
        ]"""
    )
    assert kept == [0, 0, 0, 0, 0, 0, None]
    assert person.page.context.cookies() == []
