"""The page says who runs it where the installation does, and nothing of it elsewhere."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from disrupt.client.connection import DEFAULT_SERVER
from disrupt.web.files import operator_file
from rig.servers.gateway import running, whole_page
from tests.web.browser.person import Person

NOTICE = "https://example.org/mentions-legales"


def test_the_page_names_its_operator_and_links_the_notice_where_they_are_set(tab: Page) -> None:
    link = tab.get_by_role("link", name="Mentions légales et confidentialité")
    files = whole_page()
    with running(DEFAULT_SERVER, files | operator_file("Un <b>exemple</b>", NOTICE)) as gateway:
        person = (
            Person(tab, gateway.url).comes().reads("welcome.operator", name="Un <b>exemple</b>")
        )
        expect(link).to_have_attribute("href", NOTICE)
        expect(link).to_have_attribute("rel", "noopener noreferrer")
        person.clicks("English")
        expect(tab.get_by_text("A service by Un <b>exemple</b>")).to_be_visible()
    with running(DEFAULT_SERVER, files) as gateway:
        Person(tab, gateway.url).comes()
        expect(tab.get_by_text("Un service proposé par")).to_have_count(0)
        expect(link).to_have_count(0)
