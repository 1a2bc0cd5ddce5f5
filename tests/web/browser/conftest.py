"""A real server, the gateway and Debian's Chromium, for all tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from disrupt.texts import LANGUAGES
from disrupt.web.files import text_files
from rig.servers.deployment import Deployment
from rig.servers.gateway import running, whole_page
from tests.web.browser.chromium import chromium
from tests.web.browser.person import Person
from tests.web.browser.site import Site


@pytest.fixture(scope="session")
def site(deployment: Deployment) -> Iterator[Site]:
    key = deployment.make_key("page", "register")
    files = whole_page() | text_files(list(LANGUAGES))
    with running(deployment.address, files, key=key) as gateway:
        yield Site(gateway.url, deployment, deployment.make_key("platform", "match"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser for a module; its event loop keeps others from running theirs."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """Open a page whose errors fail the test."""
    context = browser.new_context(viewport={"width": 360, "height": 740}, locale="fr-FR")
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
