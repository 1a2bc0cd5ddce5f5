"""Leaving: at once and without a trace by the quick exit, with a question otherwise."""

from __future__ import annotations

import pytest
from playwright.sync_api import Dialog, Page, Route

from tests.web.browser.person import Person, photograph

ELSEWHERE = "https://www.wikipedia.org/"
DIALLED_WITHIN_MS = 1000


@pytest.fixture(autouse=True)
def _elsewhere(tab: Page) -> None:
    """Answer in the place of the site to which the exit leads: no test needs the network."""

    def answer(route: Route) -> None:
        route.fulfill(body="<!doctype html><title>elsewhere</title>", content_type="text/html")

    tab.context.route(f"{ELSEWHERE}**", answer)


@pytest.fixture
def dialogs(tab: Page) -> list[str]:
    """Return the kinds of the questions that the browser asks; each is answered with no."""
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


def test_the_exit_is_there_on_every_step_and_before_the_page_has_started(person: Person) -> None:
    def look(_step: str) -> None:
        box = person.button("Quitter vite").bounding_box()
        assert box
        viewport = person.page.viewport_size
        assert viewport
        assert 0 <= box["y"] <= viewport["height"] - box["height"]

    person.at_each_step(look)
    person.page.route("**/texts/*", lambda _route: None)
    person.page.goto(person.url, wait_until="commit")
    person.page.locator("#exit").click()
    person.page.wait_for_url(ELSEWHERE)


def test_escape_once_or_twice_leaves_nothing(person: Person, dialogs: list[str]) -> None:
    person.says_age()
    for _ in range(2):
        person.page.keyboard.press("Escape")
    person.sees("choose")
    assert dialogs == []


def test_the_back_button_in_the_middle_asks_and_then_loses_nothing(
    person: Person, dialogs: list[str]
) -> None:
    person.says_age().chooses(photograph("cat")).is_ready()
    person.page.evaluate("setTimeout(() => history.back())")
    person.page.wait_for_timeout(100)
    person.sees("choose").reads("cat.png")
    assert dialogs == ["beforeunload"]


def test_a_telephone_number_is_tapped_without_a_question_and_leaving_later_asks(
    person: Person, dialogs: list[str]
) -> None:
    person.says_age().chooses(photograph("cat")).is_ready()
    for number in ("3018", "17", "112"):
        link = person.page.locator("footer").get_by_role("link", name=number, exact=True)
        assert link.get_attribute("href") == f"tel:{number}"
        link.click()
    person.page.wait_for_timeout(DIALLED_WITHIN_MS)
    person.sees("choose").reads("cat.png")
    assert dialogs == []
    person.page.evaluate("setTimeout(() => history.back())")
    person.page.wait_for_timeout(100)
    assert dialogs == ["beforeunload"]


def test_a_page_that_the_browser_kept_aside_begins_anew_when_it_is_shown_again(
    person: Person, dialogs: list[str]
) -> None:
    person.says_age().chooses(photograph("cat")).is_ready()
    person.page.evaluate(
        """setTimeout(() => {
            for (const name of ['pagehide', 'pageshow'])
                dispatchEvent(new PageTransitionEvent(name, { persisted: true }));
        })"""
    )
    person.sees("welcome")
    assert dialogs == []


def test_steps_add_no_history_entry(person: Person) -> None:
    entries = person.page.evaluate("history.length")
    person.at_each_step(lambda _step: None)
    assert person.page.evaluate("history.length") == entries


def test_title_and_address_tell_nothing_on_any_step(person: Person) -> None:
    def look(_step: str) -> None:
        assert person.page.title() == "Accueil"
        assert person.page.url == f"{person.url}/"

    person.at_each_step(look)


def test_nothing_is_kept_on_the_device(person: Person) -> None:
    person.registers(photograph("coffee"))
    kept = person.page.evaluate(
        """async () => ({
            local: localStorage.length,
            session: sessionStorage.length,
            cookies: document.cookie,
            databases: (await indexedDB.databases()).length,
            caches: (await caches.keys()).length,
            workers: (await navigator.serviceWorker.getRegistrations()).length,
            state: history.state,
        })"""
    )
    assert kept == {
        "local": 0,
        "session": 0,
        "cookies": "",
        "databases": 0,
        "caches": 0,
        "workers": 0,
        "state": None,
    }
    assert person.page.context.cookies() == []
