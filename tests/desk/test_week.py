"""An analyst's week in Debian's Chromium, on a real server."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from rig.servers.deployment import Deployment
from tests.desk.browsing import Analyst, Site, page_of
from tests.desk.staff import People


def test_who_signs_out_signs_in_again_by_the_passkey(at_desk: Analyst) -> None:
    at_desk.page.reload()
    at_desk.sees("À décider")
    at_desk.clicks("Sortir")
    at_desk.sees("Entrer au bureau")
    at_desk.clicks("Entrer par une clé d'accès")
    at_desk.sees("À décider")


def test_a_flood_is_seen_hidden_and_undone(at_desk: Analyst, people: People) -> None:
    people.register(items=31)
    page = at_desk.page
    at_desk.opens("Afflux")
    flood = page.locator("tr", has_text="Dossier").filter(has_text="31")
    flood.get_by_role("button", name="Lister").click()
    at_desk.sees("Tous")
    page.get_by_label("Sur", exact=True).select_option("all")
    at_desk.fills("Raison, en un code", "flood")
    at_desk.clicks("Rejeter")
    expect(page.get_by_role("dialog")).to_contain_text("Éléments : 31, dossiers : 1")
    at_desk.clicks("Oui")
    at_desk.reads("Rejeter : fait. Éléments : 31.")
    page.locator("#said").get_by_role("button").click()
    at_desk.reads("Éléments qui ont repris leur état : 31")
    at_desk.opens("Journal")
    expect(page.locator("tbody tr").first).to_contain_text("annulé")


def test_a_dispute_is_settled(at_desk: Analyst, people: People) -> None:
    (write,) = people.register()
    people.dispute(write)
    page, item = at_desk.page, write.item_ids[0].hex()[:8]
    page.reload()
    row = page.locator("tr", has_text=item)
    row.get_by_role("button", name=f"Ouvrir {item}").click()
    expect(page.get_by_role("dialog")).to_contain_text("faux positif")
    at_desk.clicks("Fermer")
    row.get_by_role("checkbox").check()
    at_desk.clicks("Élargir")
    at_desk.clicks("Oui")
    at_desk.reads("Élargir : fait. Éléments : 1.")
    expect(page.locator("tr", has_text=item)).to_have_count(0)


def test_a_lost_pin_takes_a_second_person(
    at_desk: Analyst, browser: Browser, site: Site, deployment: Deployment, people: People
) -> None:
    (write,) = people.register()
    number = write.receipt.case_number if write.receipt else ""
    other = page_of(browser)
    second = Analyst(other, site).comes().enrols(deployment.make_key("second person", "review"))
    for person, words in ((at_desk, "Quelqu'un d'autre doit le demander"), (second, "sera effacé")):
        person.opens("PIN perdu")
        person.fills("Numéro du dossier", number)
        person.clicks("Demander l'effacement")
        person.clicks("Oui")
        person.reads(words)
    other.context.close()


def test_a_wrong_bank_is_put_right_and_what_is_stale_is_refused(
    at_desk: Analyst, browser: Browser, site: Site, deployment: Deployment, people: People
) -> None:
    (write,) = people.register()
    item = write.item_ids[0].hex()[:8]
    other = page_of(browser)
    second = Analyst(other, site).comes().enrols(deployment.make_key("third person", "review"))
    for person in (second, at_desk):
        person.opens("Tous")
        person.page.locator("tr", has_text=item).get_by_role("checkbox").check()
    at_desk.fills("Banque d'arrivée, pour déplacer", "minors")
    at_desk.clicks("Déplacer")
    at_desk.clicks("Oui")
    at_desk.reads("Déplacer : fait. Éléments : 1.")
    expect(at_desk.page.locator("tr", has_text=item)).to_contain_text("minors")
    second.clicks("Rejeter")
    second.clicks("Oui")
    second.reads("quelqu'un d'autre a décidé")
    other.context.close()
