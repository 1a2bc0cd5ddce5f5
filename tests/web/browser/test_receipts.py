"""A receipt of a withdrawal: shown where it is asked for, checked later, and never kept."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, Route, expect

from disrupt.audit.files import CHECKPOINT
from disrupt.audit.notes import Verifier
from disrupt.audit.receipts import WithdrawalReceipt, verify
from disrupt.texts import LANGUAGES
from disrupt.v1 import registration_pb2
from rig.callers.shell import typed
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.servers.gateway import running, whole_page
from rig.waiting import eventually
from tests.web.browser.obstacles import obstacles, violations
from tests.web.browser.person import Person, photograph, words


def withdrawn(person: Person) -> str:
    """Register two pictures and withdraw the first; return the code of the receipt."""
    person.registers(photograph("cat"), photograph("coffee"))
    person.clicks("Voir le dossier").sees("case").clicks("Retirer Image 1")
    person.clicks("Oui, retirer").sees("case")
    code = person.page.locator("#receipt-code")
    expect(code).to_be_hidden()
    opens(person, "erasure.receipt")
    expect(code).to_be_visible()
    return code.inner_text()


def opens(person: Person, title: str) -> None:
    """Open a part that is closed."""
    person.page.locator("summary").get_by_text(words(title)).click()


def checks(person: Person, code: str) -> None:
    """Type a code where receipts are checked."""
    opens(person, "erasure.check")
    person.page.get_by_label(words("erasure.code"), exact=True).fill(code)
    asks(person)


def asks(person: Person) -> None:
    person.page.locator("details").get_by_role("button", name="Vérifier").click()


def test_a_receipt_is_shown_checked_and_saved(tab: Page, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    checkpoint = data_dir / "audit" / CHECKPOINT
    server = Deployment.start(data_dir, workers=1, settings=FEW_DECODERS)
    key = server.make_key("page", "register")
    # The next one is signed in an hour, or by the next start.
    eventually(lambda: checkpoint.exists() and checkpoint.read_bytes())
    with running(server.address, whole_page(), key=key) as gateway:
        person = Person(tab, gateway.url).comes()
        code = withdrawn(person)
        person.ends().clicks("J'ai déjà un dossier").sees("open")
        checks(person, code[:-1])
        person.reads("erasure.bad")
        tab.get_by_label(words("erasure.code"), exact=True).fill(code.replace(code[-8:], "0" * 8))
        asks(person)
        person.reads("error.receipt.NOT_FOUND")
        tab.get_by_label(words("erasure.code"), exact=True).fill(code)
        tab.keyboard.press("Enter")
        person.reads("error.receipt.NOT_SIGNED_YET")
        server.stop()
        signed = checkpoint.read_bytes()
        with Deployment.start(data_dir, listen=server.address, workers=1, settings=FEW_DECODERS):
            eventually(lambda: checkpoint.read_bytes() != signed)
            asks(person)
            person.reads("erasure.logged")
            with tab.expect_download() as download:
                person.clicks("Télécharger")
            assert download.value.suggested_filename == "receipt.json"
            receipt = WithdrawalReceipt.parse(download.value.path().read_text("utf-8"))
            verifier = Verifier.parse(typed("audit", "key", "--data-dir", data_dir).out)
            assert verify(receipt, verifier) is None
            assert str(receipt.withdrawal) == code.replace(" ", "")


def test_a_receipt_says_by_whom_all_is_erased_and_who_does_not_say(person: Person) -> None:
    def erased(route: Route, mirrors: int, silent: int) -> None:
        shown = registration_pb2.GetReceiptResponse(
            document="{}", erased_on="2026-11-17", mirrors=mirrors, silent=silent
        )
        route.fulfill(body=shown.SerializeToString(), content_type="application/proto")

    person.clicks("J'ai déjà un dossier").sees("open")
    person.page.route("**/GetReceipt", lambda route: erased(route, 2, 1))
    checks(person, f"7-{bytes(32).hex()}")
    person.reads("erasure.done", day="17 novembre 2026").reads("erasure.mirrors.other", count=2)
    person.reads("erasure.silent.one")
    person.page.unroute("**/GetReceipt")
    person.page.route("**/GetReceipt", lambda route: erased(route, 0, 0))
    asks(person)
    answer = person.page.locator("details [role=status] p")
    expect(answer).to_have_count(1)
    expect(answer).to_have_text(words("erasure.done"))


def test_receipts_are_for_everybody_and_forgotten_with_the_step(person: Person) -> None:
    page = person.page
    page.set_viewport_size({"width": 320, "height": 640})
    problems: list[str] = []

    def look() -> None:
        for language in (*list(LANGUAGES)[1:], "fr"):
            person.switches(language)
            expect(page.locator("details")).to_have_attribute("open", "")
            found = obstacles(page) + violations(page)
            problems.extend(f"{page.locator('h1').inner_text()}: {each}" for each in found)

    code = withdrawn(person)
    look()
    person.ends()
    assert code not in page.content()
    person.clicks("J'ai déjà un dossier").sees("open")
    checks(person, code)
    typed_code = page.get_by_label(words("erasure.code"), exact=True)
    look()
    expect(typed_code).to_have_value(code)
    person.clicks("Retour").sees("welcome").clicks("J'ai déjà un dossier").sees("open")
    expect(typed_code).to_be_hidden()
    opens(person, "erasure.check")
    expect(typed_code).to_have_value("")
    assert problems == []
