"""What the receipt says of files that are not registered, and of the case, is so."""

from __future__ import annotations

from google.rpc import code_pb2
from playwright.sync_api import Route, expect

from disrupt.v1 import registration_pb2
from tests.web.browser.person import Person, photograph
from tests.web.browser.test_trouble import REGISTER, refusal, refuse
from tests.web.running import headers_for


def _reject_all(route: Route) -> None:
    body = route.request.post_data_buffer or b""
    request = registration_pb2.RegisterHashesRequest.FromString(body)
    response = registration_pb2.RegisterHashesResponse()
    response.receipt.case_number = request.context.access.case_number
    for index in range(len(request.items)):
        response.receipt.rejected.add(index=index).low_quality.minimum_quality = 50
    answer = response.SerializeToString()
    route.fulfill(status=200, body=answer, headers=headers_for(answer))


def _adds(person: Person) -> None:
    """Register a file, then choose another one for the same case."""
    person.registers(photograph("cat"))
    person.clicks("Voir mon dossier").sees("case").clicks("Ajouter des images").sees("age")
    person.clicks("18 ans ou plus").sees("choose").chooses(photograph("rocket")).is_ready()
    person.clicks("Continuer").sees("send")
    expect(person.button("Envoyer")).to_have_attribute("aria-disabled", "false")


def test_a_case_stays_open_though_all_files_added_to_it_are_rejected(person: Person) -> None:
    _adds(person)
    person.page.route(REGISTER, _reject_all)
    person.clicks("Envoyer").reads("Rien n'a été enregistré")
    expect(person.page.get_by_text("n'ouvre aucun dossier")).to_have_count(0)
    person.clicks("Voir mon dossier").sees("case")


def test_files_added_without_an_answer_are_looked_for_in_the_case(person: Person) -> None:
    _adds(person)
    person.page.route(REGISTER, lambda route: route.abort())
    person.clicks("Envoyer").reads("Le service ne répond pas").clicks("Arrêter")
    person.reads("on ne sait pas s'il est enregistré").clicks("Terminer sans envoyer le reste")
    person.reads("ce qui n'y est pas n'est pas enregistré")
    expect(person.page.get_by_text("rien n'est enregistré, et")).to_have_count(0)


def test_files_that_a_limit_refused_were_sent_but_are_not_registered(person: Person) -> None:
    limit = refusal("LIMIT_EXCEEDED", code_pb2.INVALID_ARGUMENT)
    person.page.route(REGISTER, lambda route: refuse(route, 400, limit))
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("1 fichier n'est pas enregistré.")
    expect(person.page.get_by_text("n'a pas été envoyé")).to_have_count(0)
