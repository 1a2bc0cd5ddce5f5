"""A page that cannot start says so, and can be left all the same."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.browser.person import Person
from tests.web.browser.site import Site

ELSEWHERE = "https://www.wikipedia.org/"


def _answer_elsewhere(route: Route) -> None:
    route.fulfill(body="<!doctype html><title>elsewhere</title>", content_type="text/html")


@pytest.fixture(autouse=True)
def _elsewhere(tab: Page) -> None:
    """Answer in the place of the site to which the exit leads: no test needs the network."""
    tab.context.route(f"{ELSEWHERE}**", _answer_elsewhere)


def _leaves(page: Page, way: str) -> None:
    if way == "button":
        page.locator("#exit").click()
    else:
        for _ in range(3):
            page.keyboard.press("Escape")
    page.wait_for_url(ELSEWHERE)
    page.go_back()


@pytest.mark.parametrize(
    ("module", "way"), [("main.js", "keys"), ("page.js", "button"), ("views/case.js", "keys")]
)
def test_a_page_without_one_of_its_modules_says_so_and_can_be_left(
    tab: Page, site: Site, module: str, way: str
) -> None:
    tab.route(f"**/flow/{module}", lambda route: route.abort())
    tab.goto(site.url)
    expect(tab.locator("#unusable")).to_be_visible()
    expect(tab.locator("#starting")).to_be_hidden()
    _leaves(tab, way)
    assert site.url not in tab.url


@pytest.mark.parametrize("module", ["page.js", "views/case.js"])
def test_a_module_that_the_browser_cannot_read_is_said(tab: Page, site: Site, module: str) -> None:
    broken = "this is not a script"
    tab.route(
        f"**/flow/{module}",
        lambda route: route.fulfill(body=broken, content_type="text/javascript"),
    )
    tab.goto(site.url)
    expect(tab.locator("#unusable")).to_be_visible()


def test_a_page_that_waits_for_a_module_says_so_after_a_time(tab: Page, site: Site) -> None:
    held: list[Route] = []
    tab.clock.install()
    # Playwright marks its handlers, which a method cannot be.
    tab.route("**/flow/page.js", lambda route: held.append(route))  # noqa: PLW0108
    tab.goto(site.url)
    expect(tab.locator("#unusable")).to_be_hidden()
    tab.clock.run_for(20_000)
    expect(tab.locator("#unusable")).to_be_visible()
    held[0].continue_()
    Person(tab, site.url).sees("welcome")
