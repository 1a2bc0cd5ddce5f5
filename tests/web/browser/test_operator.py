"""The page says who runs it and which platforms are partners, and prints how to come back."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from disrupt.client.connection import DEFAULT_SERVER
from disrupt.v1 import registration_pb2
from disrupt.web.files import Operator, operator_files
from rig.servers.gateway import running, whole_page
from rig.servers.scripted import scripted
from tests.web.browser.person import Person, photograph

NAME, NOTICE = "Un <b>exemple</b>", "https://example.org/mentions-legales"
WHO = Operator(NAME, "aide@example.org", NOTICE)
PARTNERS = registration_pb2.ListPartnersResponse(
    partners=[registration_pb2.Partner(name="Grand Réseau", report_url="https://reseau.example/r")],
    day="2026-12-02",
)


def test_the_page_names_its_operator_and_the_partners_as_of_a_day(
    tab: Page, tmp_path: Path
) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text("<svg xmlns='http://www.w3.org/2000/svg' width='40' height='20'/>")
    files = whole_page() | operator_files(Operator(WHO.name, WHO.contact, WHO.notice, logo))
    partner = tab.get_by_role("link", name="Grand Réseau")
    with scripted(PARTNERS) as server, running(server.address, files) as gateway:
        person = Person(tab, gateway.url).comes().reads("welcome.operator", name=NAME)
        assert tab.locator("main img").evaluate("async (it) => (await it.decode(), it.width)") == 40
        person.reads("partners.day", day="2 décembre 2026")
        expect(partner).to_have_attribute("href", "https://reseau.example/r")
        expect(partner).to_have_attribute("rel", "noopener noreferrer")
        person.switches("en")
        expect(tab.get_by_text("Partner platforms as of 2 December 2026")).to_be_visible()
        person.switches("fr").clicks("Aide et contacts").sees("help").reads("help.operator.title")
        expect(partner).to_be_visible()
        contact = tab.get_by_role("link", name=WHO.contact)
        expect(contact).to_have_attribute("href", "mailto:aide@example.org")
        expect(tab.locator(f"footer a[href='{NOTICE}']")).to_be_visible()


def test_a_page_without_operator_and_partners_says_nothing_of_them(tab: Page) -> None:
    with running(DEFAULT_SERVER, whole_page()) as gateway:
        Person(tab, gateway.url).comes()
        expect(tab.get_by_text("Un service proposé par")).to_have_count(0)
        expect(tab.get_by_text("Plateformes partenaires au")).to_have_count(0)
        expect(tab.get_by_role("link", name="Mentions légales")).to_have_count(0)


def test_what_is_printed_says_how_to_come_back_and_not_what_it_is_about(tab: Page) -> None:
    with running(DEFAULT_SERVER, whole_page() | operator_files(WHO)) as gateway:
        person = Person(tab, gateway.url).comes().says_age()
        person.chooses(photograph("cat")).is_ready().clicks("Continuer").sees("number")
        number, _ = person.number_and_pin()
        tab.emulate_media(media="print")
        printed = tab.locator("body").inner_text()
    for told in (number, gateway.url, NAME, WHO.contact, "J'ai déjà un dossier"):
        assert told in printed, printed
    assert re.search(r" 20\d\d\n", printed)
    assert not re.search(r"image|photo|vidéo|intime|plateforme|3018", printed, re.IGNORECASE)
