"""An analyst in Debian's Firefox: a flood, a dispute, a wrong bank, a lost PIN."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rig.ports import free_port
from rig.waiting import eventually
from tests.desk.browsing import Site
from tests.desk.staff import People
from tests.web.browser.marionette import Firefox, firefox

CLICK = """
    const [selector, words] = arguments;
    const element = [...document.querySelectorAll(selector)]
        .find((each) => each.innerText.replace(/\\s+/g, ' ').includes(words));
    element?.click();
    return Boolean(element);
"""
TICK = """
    const row = [...document.querySelectorAll('tr')]
        .find((each) => each.innerText.includes(arguments[0]));
    row?.querySelector('input[type=checkbox]').click();
    return Boolean(row);
"""
LIST = """
    const row = [...document.querySelectorAll('tr')]
        .find((each) => each.innerText.includes('Dossier') && each.cells[2].innerText === '33');
    row?.querySelector('button').click();
    return Boolean(row);
"""
ALL = """
    const choice = [...document.querySelectorAll('select')]
        .find((each) => [...each.options].some((option) => option.value === 'all'));
    choice.value = 'all';
    choice.dispatchEvent(new Event('change', { bubbles: true }));
"""


@pytest.fixture(scope="module")
def analyst(
    site: Site, review_key: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Firefox]:
    with firefox(tmp_path_factory.mktemp("firefox"), free_port()) as browser:
        browser(
            "WebAuthn:AddVirtualAuthenticator",
            protocol="ctap2",
            transport="internal",
            hasResidentKey=True,
            hasUserVerification=True,
            isUserConsenting=True,
            isUserVerified=True,
        )
        browser("WebDriver:Navigate", url=site.url)
        browser.reads("Secret de votre clé")
        browser.fills("input[type=password]", review_key)
        browser.clicks("Créer une clé d'accès")
        browser.reads("À décider")
        yield browser


def opens(browser: Firefox, view: str) -> None:
    """Open a view, and wait for it."""
    eventually(lambda: bool(browser.run(CLICK, "nav a", view)))
    browser.reads(view, "h1")
    eventually(lambda: browser.run("return !document.querySelector('main[aria-busy]')"))


def test_who_signs_out_signs_in_again_by_the_passkey(analyst: Firefox) -> None:
    analyst.clicks("Sortir")
    analyst.reads("Entrer au bureau", "h1")
    analyst.clicks("Entrer par une clé d'accès")
    analyst.reads("À décider", "h1")


def test_a_flood_is_seen_hidden_and_undone(analyst: Firefox, people: People) -> None:
    people.register(items=33)
    opens(analyst, "Afflux")
    eventually(lambda: bool(analyst.run(LIST)))
    analyst.reads("Tous", "h1")
    eventually(lambda: analyst.run("return !document.querySelector('main[aria-busy]')"))
    analyst.run(ALL)
    analyst.fills("[name=reason]", "flood")
    analyst.clicks("Rejeter")
    analyst.reads("Éléments : 33, dossiers : 1", "dialog")
    analyst.clicks("Oui")
    analyst.reads("Rejeter : fait. Éléments : 33.", "#said")
    eventually(lambda: bool(analyst.run(CLICK, "#said button", "")))
    analyst.reads("Éléments qui ont repris leur état : 33", "#said")
    opens(analyst, "Journal")
    analyst.reads("annulé", "tbody tr")


def test_a_dispute_is_settled_and_a_wrong_bank_put_right(analyst: Firefox, people: People) -> None:
    (write,) = people.register()
    people.dispute(write)
    item = write.item_ids[0].hex()[:8]
    opens(analyst, "À décider")
    for act, bank in (("Élargir", ""), ("Déplacer", "minors")):
        eventually(lambda: bool(analyst.run(TICK, item)))
        if bank:
            analyst.fills("[name=to]", bank)
        analyst.clicks(act)
        analyst.clicks("Oui")
        analyst.reads(f"{act} : fait. Éléments : 1.", "#said")
        opens(analyst, "Tous")
    analyst.reads("minors")


def test_a_lost_pin_is_asked_for(analyst: Firefox, people: People) -> None:
    (write,) = people.register()
    opens(analyst, "PIN perdu")
    analyst.fills("main input", write.receipt.case_number if write.receipt else "")
    analyst.clicks("Demander l'effacement")
    analyst.clicks("Oui")
    analyst.reads("Quelqu'un d'autre doit le demander", "#said")
