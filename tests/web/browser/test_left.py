"""A change of a case that is left before its answer: the page says that it does not know."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from disrupt.v1 import registration_pb2
from tests.web.browser.person import Person, photograph
from tests.web.running import headers_for

UNCLEAR = "On ne sait pas si votre dernière demande est prise en compte"


def _with_erasure(route: Route) -> None:
    """Answer as if the erasure of the case had been asked for."""
    response = registration_pb2.GetCaseResponse.FromString(route.fetch().body())
    response.case.erasure.requested_on = "2026-01-02"
    body = response.SerializeToString()
    route.fulfill(status=200, body=body, headers=headers_for(body))


def test_a_withdrawal_that_is_left_but_was_done_is_shown(person: Person) -> None:
    person.registers(photograph("cat"))
    done: list[int] = []
    person.page.route("**/v1/WithdrawCase", lambda route: done.append(route.fetch().status))
    person.clicks("Voir mon dossier").sees("case").clicks("Retirer tout le dossier")
    with person.page.expect_request("**/v1/WithdrawCase"):
        person.clicks("Oui, retirer tout le dossier")
    while not done:
        person.page.wait_for_timeout(50)
    person.clicks("Non, ne rien changer").sees("case").reads("retiré")
    assert done == [200]
    expect(person.page.get_by_text(UNCLEAR)).to_have_count(0)


@pytest.mark.parametrize(
    ("call", "button", "sure", "back"),
    [
        ("WithdrawCase", "Retirer tout le dossier", "Oui, retirer", "Non, ne rien changer"),
        ("WithdrawItems", "Retirer : Image", "Oui, retirer", "Non, ne rien changer"),
        ("KeepCase", "Garder le dossier", "Garder le dossier", "Retour"),
    ],
)
def test_a_change_that_is_left_without_an_answer_is_not_known(
    person: Person, call: str, button: str, sure: str, back: str
) -> None:
    page = person.page
    page.route("**/v1/GetCase", _with_erasure)
    person.registers(photograph("cat"))
    person.clicks("Voir mon dossier").sees("case").clicks(button)
    held: list[Route] = []
    # Playwright marks its handlers, which a method cannot be.
    page.route(f"**/v1/{call}", lambda route: held.append(route))  # noqa: PLW0108
    with page.expect_request(f"**/v1/{call}"):
        person.clicks(sure)
    with page.expect_response("**/v1/GetCase"):
        person.clicks(back)
    person.sees("case").reads(UNCLEAR)
