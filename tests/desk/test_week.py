"""An analyst's week in Debian's Chromium, on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from rig.ports import free_port
from rig.servers.deployment import Deployment
from tests.desk.browsing import Analyst, Site, page_of, serving
from tests.desk.staff import People
from tests.web.browser.chromium import chromium


@pytest.fixture(scope="module")
def site(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(deployment.address, tmp_path_factory.mktemp("desk"), free_port()) as site:
        yield site


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Browser]:
    with chromium(f"--ignore-certificate-errors-spki-list={site.certificate_hash}") as browser:
        yield browser


@pytest.fixture
def people(deployment: Deployment) -> People:
    return People(deployment)


@pytest.fixture
def analyst(browser: Browser, site: Site, review_key: str) -> Iterator[Analyst]:
    page = page_of(browser)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Analyst(page, site).comes().enrols(review_key)
    page.context.close()
    assert errors == []


def test_who_signs_out_signs_in_again_by_the_passkey(analyst: Analyst) -> None:
    analyst.page.reload()
    analyst.sees("À décider")
    analyst.clicks("Sortir")
    analyst.sees("Entrer au bureau")
    analyst.clicks("Entrer par une clé d'accès")
    analyst.sees("À décider")


def test_a_flood_is_seen_hidden_and_undone(analyst: Analyst, people: People) -> None:
    people.register(items=31)
    page = analyst.page
    analyst.opens("Afflux")
    flood = page.locator("tr", has_text="Dossier").filter(has_text="31")
    flood.get_by_role("button", name="Lister").click()
    analyst.sees("Tous")
    page.get_by_label("Sur", exact=True).select_option("all")
    analyst.fills("Raison, en un code", "flood")
    analyst.clicks("Rejeter")
    expect(page.get_by_role("dialog")).to_contain_text("Éléments : 31, dossiers : 1")
    analyst.clicks("Oui")
    analyst.reads("Rejeter : fait pour 31 éléments.")
    page.locator("#said").get_by_role("button").click()
    analyst.reads("31 éléments ont repris leur état")
    analyst.opens("Journal")
    expect(page.locator("tbody tr").first).to_contain_text("annulé")


def test_a_dispute_is_settled(analyst: Analyst, people: People) -> None:
    (write,) = people.register()
    people.dispute(write)
    page, item = analyst.page, write.item_ids[0].hex()[:8]
    page.reload()
    row = page.locator("tr", has_text=item)
    row.get_by_role("button", name=f"Ouvrir {item}").click()
    expect(page.get_by_role("dialog")).to_contain_text("faux positif")
    analyst.clicks("Fermer")
    row.get_by_role("checkbox").check()
    analyst.clicks("Élargir")
    analyst.clicks("Oui")
    analyst.reads("Élargir : fait pour 1 éléments.")
    expect(page.locator("tr", has_text=item)).to_have_count(0)


def test_a_lost_pin_takes_a_second_person(
    analyst: Analyst, browser: Browser, site: Site, deployment: Deployment, people: People
) -> None:
    (write,) = people.register()
    number = write.receipt.case_number if write.receipt else ""
    other = page_of(browser)
    second = Analyst(other, site).comes().enrols(deployment.make_key("second person", "review"))
    for person, words in ((analyst, "Quelqu'un d'autre doit le demander"), (second, "sera effacé")):
        person.opens("PIN perdu")
        person.fills("Numéro du dossier", number)
        person.clicks("Demander l'effacement")
        person.clicks("Oui")
        person.reads(words)
    other.context.close()


def test_a_wrong_bank_is_put_right_and_what_is_stale_is_refused(
    analyst: Analyst, browser: Browser, site: Site, deployment: Deployment, people: People
) -> None:
    (write,) = people.register()
    item = write.item_ids[0].hex()[:8]
    other = page_of(browser)
    second = Analyst(other, site).comes().enrols(deployment.make_key("third person", "review"))
    for person in (second, analyst):
        person.opens("Tous")
        person.page.locator("tr", has_text=item).get_by_role("checkbox").check()
    analyst.fills("Banque d'arrivée, pour déplacer", "minors")
    analyst.clicks("Déplacer")
    analyst.clicks("Oui")
    analyst.reads("Déplacer : fait pour 1 éléments.")
    expect(analyst.page.locator("tr", has_text=item)).to_contain_text("minors")
    second.clicks("Rejeter")
    second.clicks("Oui")
    second.reads("quelqu'un d'autre a décidé")
    other.context.close()
