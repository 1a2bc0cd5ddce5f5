"""A real server, a real gateway and Debian's Chromium, for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from benchmarks.harness.deployment import Deployment
from disrupt.web.files import PAGE
from tests.web.browser.chromium import chromium
from tests.web.browser.person import Person
from tests.web.browser.site import Site
from tests.web.running import HOST, Web


@pytest.fixture(scope="session")
def site(server: Deployment, key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    gateway = Web.start(tmp_path_factory.mktemp("site"), PAGE, server.address, key=key)
    yield Site(f"http://{HOST}:{gateway.port}", server, server.make_key("platform", "match"))
    gateway.stop()


@pytest.fixture(scope="module")
def driver() -> Iterator[Playwright]:
    """Run the driver, whose event loop keeps tests of other modules from running theirs."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="module")
def browser(driver: Playwright) -> Iterator[Browser]:
    browser = chromium(driver)
    yield browser
    browser.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """Open a page whose errors fail the test."""
    context = browser.new_context(viewport={"width": 390, "height": 780}, locale="fr-FR")
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.extend(_mistakes(line.type, line.text)))
    yield page
    context.close()
    assert errors == []


_NO_MISTAKES = ("Failed to load resource", "Error with Permissions-Policy header: Unrecognized")
"""What the network did, as tests bring about; and features that only other browsers know."""


def _mistakes(kind: str, text: str) -> list[str]:
    is_mistake = kind in {"error", "warning"} and not text.startswith(_NO_MISTAKES)
    return [text] if is_mistake else []


@pytest.fixture
def person(tab: Page, site: Site) -> Person:
    """Return somebody who has opened the page."""
    return Person(tab, site.url).comes()
