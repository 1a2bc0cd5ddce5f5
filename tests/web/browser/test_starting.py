"""Starting: what does not come at first is fetched again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from starlette.requests import Request
from starlette.responses import Response

from disrupt.web.gateway import Gateway
from rig.servers.gateway import running, whole_page
from rig.waiting import eventually
from tests.web.browser.marionette import firefox
from tests.web.browser.person import Person

FAILS = {"/style.css", "/flow/exit.js", "/1/flow/steps/parts.js"}
HANGS = {"/0/flow/page.js"}
STYLED = "return document.styleSheets[0].cssRules.length > 0"


@dataclass
class Trouble:
    """The page at ``url``, whose requests fail or hang; ``asked`` are their paths."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    is_over: bool = False
    """Set where requests that hang are answered."""


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    """Serve the page, with trouble, without a server behind it."""
    trouble = Trouble()
    answer = Gateway._file

    async def troubled(gateway: Gateway, request: Request) -> Response:
        path = request.url.path
        trouble.asked.append(path)
        while path in HANGS and not trouble.is_over:
            await asyncio.sleep(0.01)
        response = await answer(gateway, request)
        if path in FAILS:
            response.status_code = 503
        return response

    monkeypatch.setattr(Gateway, "_file", troubled)
    with running("127.0.0.1:1", whole_page()) as gateway:
        trouble.url = gateway.url
        yield trouble
        trouble.is_over = True


def test_what_fails_or_hangs_is_fetched_again_and_starts_the_page_once(
    trouble: Trouble, tab: Page
) -> None:
    person = Person(tab, trouble.url).comes()
    assert {*trouble.asked} >= FAILS | HANGS
    assert tab.evaluate(f"() => {{ {STYLED} }}")
    person.clicks("Commencer").sees("who")
    trouble.is_over = True
    fetched = "() => performance.getEntriesByType('resource').map(({ name }) => name)"
    late = f"{trouble.url}/operator.json"
    eventually(lambda: tab.evaluate(fetched).count(late) == 2)
    person.sees("who")


def test_what_fails_or_hangs_is_fetched_again_in_firefox(
    trouble: Trouble, tmp_path: Path, free_port: int
) -> None:
    with firefox(tmp_path, free_port) as browser:
        browser("WebDriver:Navigate", url=trouble.url)
        browser.reads("Commencer")
        assert {*trouble.asked} >= FAILS | HANGS
        eventually(lambda: bool(browser.run(STYLED)))


def test_a_page_that_cannot_start_says_so_after_its_last_attempt(tab: Page) -> None:
    asked: list[str] = []

    def fail(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    with running("127.0.0.1:1", whole_page()) as gateway:
        tab.route("**/texts/page.fr.json", fail)
        tab.goto(gateway.url)
        expect(tab.locator("#unusable")).to_be_visible()
    expect(tab.locator("#starting")).to_be_hidden()
    assert len(asked) == 5
