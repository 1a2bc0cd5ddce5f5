"""What goes wrong is said in plain words, and nothing is lost or registered twice."""

from __future__ import annotations

import io
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from PIL import Image
from playwright.sync_api import Route, expect

from benchmarks.harness.videos import footage
from disrupt.submission.client import SubmissionClient
from tests.hashing.pictures import PHOTOS, encode
from tests.web.browser.person import Person, file, photograph
from tests.web.browser.site import Site
from tests.web.running import headers_for
from tests.web.videos.files import FRAGMENTED, muxed

REGISTER = "**/v1/RegisterHashes"


def plain(width_px: int = 200, height_px: int = 200) -> bytes:
    data = io.BytesIO()
    Image.new("1", (width_px, height_px)).save(data, "PNG")
    return data.getvalue()


def refusal(reason: str, code: int, *more: Message) -> bytes:
    """Return the body of an error."""
    status = status_pb2.Status(code=code)
    for detail in (error_details_pb2.ErrorInfo(reason=reason, domain="disrupt"), *more):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status.SerializeToString()


def refuse(route: Route, http_status: int, body: bytes, **headers: str) -> None:
    route.fulfill(status=http_status, body=body, headers=headers_for(body) | headers)


def items(site: Site, number: str, pin: str) -> int:
    """Count the items of a case."""
    with SubmissionClient(site.server.address, key=site.server.make_key("k", "register")) as client:
        return len(client.case(number, pin).items)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: b"no picture", "ni une image ni une vidéo"),
        (bytes, "Ce fichier est vide"),
        (lambda: encode(PHOTOS["cat"])[:5000], "incomplet, abîmé"),
        (plain, "beaucoup d'autres images auraient la même empreinte"),
        (lambda: plain(20_000, 10_000), "trop grand pour cet appareil"),
    ],
    ids=["no picture", "empty", "cut short", "featureless", "200 megapixels"],
)
def test_a_file_that_cannot_be_registered_is_explained_and_the_others_go_on(
    person: Person, make: Callable[[], bytes], words: str
) -> None:
    person.says_age().chooses(file("a.png", make()), photograph("cat")).is_ready()
    person.reads(words).reads("1 fichier est prêt.")
    person.goes_to_send().clicks("Envoyer").sees("receipt").reads(words)


def test_a_large_file_that_is_no_video_is_refused_without_being_read(
    person: Person, tmp_path: Path
) -> None:
    large = tmp_path / "a.mp4"
    with large.open("wb") as stream:
        stream.truncate(4 * 2**30)
    person.says_age()
    person.page.locator("#files").set_input_files(large)
    person.is_ready().reads("Aucun de ces fichiers ne peut être enregistré.")
    expect(person.button("Continuer")).to_have_attribute("aria-disabled", "true")


def test_a_video_of_4_gigabytes_is_registered(person: Person, site: Site, tmp_path: Path) -> None:
    data = muxed(list(footage(3, seconds=2, fps=25)), tmp_path / "small.mp4", FRAGMENTED)
    middle = data.index(b"moof") - 4
    large = tmp_path / "large.mp4"
    with large.open("wb") as stream:
        stream.write(data[:middle] + struct.pack(">I4sQ", 1, b"free", 16 + 4 * 2**30))
        stream.seek(4 * 2**30, os.SEEK_CUR)
        stream.write(data[middle:])
    person.says_age()
    person.page.locator("#files").set_input_files(large)
    person.is_ready().reads("1 fichier est prêt.")
    person.goes_to_send().clicks("Envoyer").sees("receipt")
    assert items(site, *person.number_and_pin()) == 1


def test_a_double_click_sends_once(person: Person, site: Site) -> None:
    sent: list[str] = []
    person.page.on("request", lambda request: sent.append(request.method))
    person.says_age().chooses(photograph("coffee")).is_ready().goes_to_send()
    person.button("Envoyer").dblclick()
    person.sees("receipt")
    assert sent.count("POST") == 1
    assert items(site, *person.number_and_pin()) == 1


def test_offline_in_the_middle_it_waits_and_goes_on_by_itself(person: Person, site: Site) -> None:
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send()
    person.page.context.set_offline(True)
    person.clicks("Envoyer").reads("Cet appareil n'est plus connecté")
    person.page.context.set_offline(False)
    person.sees("receipt")
    assert items(site, *person.number_and_pin()) == 1


def test_offline_between_two_requests_it_says_what_is_registered_and_goes_on(
    person: Person, site: Site
) -> None:
    context = person.page.context

    def answer_and_break(route: Route) -> None:
        response = route.fetch()
        context.set_offline(True)
        route.fulfill(response=response)

    person.page.route(REGISTER, answer_and_break, times=1)
    person.says_age().chooses(*map(photograph, ("astronaut", "coffee", "rocket"))).is_ready()
    person.goes_to_send().clicks("Envoyer").reads("Cet appareil n'est plus connecté")
    person.clicks("Arrêter").sees("send")
    person.reads("1 fichier est enregistré.").reads("2 fichiers ne sont pas enregistrés.")
    context.set_offline(False)
    person.clicks("Reprendre l'envoi").sees("receipt").reads("3 fichiers sont enregistrés.")
    assert items(site, *person.number_and_pin()) == 3


def test_a_lost_answer_registers_nothing_twice(person: Person, site: Site) -> None:
    lost: list[int] = []

    def lose(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    person.page.route(REGISTER, lose)
    person.says_age().chooses(photograph("rocket")).is_ready().goes_to_send().clicks("Envoyer")
    person.sees("receipt")
    assert lost == [200]
    assert items(site, *person.number_and_pin()) == 1


def test_stopped_without_an_answer_it_says_that_it_does_not_know_and_resumes(
    person: Person, site: Site
) -> None:
    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    person.page.route(REGISTER, lose)
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("Le service ne répond pas").clicks("Arrêter")
    person.sees("send").reads("on ne sait pas s'il est enregistré")
    assert person.button("Retour").count() == 0
    person.page.unroute(REGISTER)
    person.clicks("Reprendre l'envoi").sees("receipt")
    assert items(site, *person.number_and_pin()) == 1


def test_the_receipt_waits_while_help_is_open(person: Person) -> None:
    held: list[Route] = []
    person.page.route(REGISTER, lambda route: held.append(route))  # noqa: PLW0108
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send()
    with person.page.expect_request(REGISTER):
        person.clicks("Envoyer")
    person.clicks("Aide et contacts").sees("help")
    with person.page.expect_response(REGISTER):
        held[0].continue_()
    person.page.wait_for_timeout(500)
    person.sees("help").clicks("Revenir").sees("receipt")


def test_while_the_service_is_busy_the_place_is_kept(person: Person) -> None:
    tickets: list[str | None] = []
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)
    busy = refusal("OVERLOADED", code_pb2.RESOURCE_EXHAUSTED, retry)

    def answer(route: Route) -> None:
        tickets.append(route.request.headers.get("waiting-ticket"))
        if len(tickets) <= 2:
            refuse(route, 429, busy, **{"Waiting-Ticket": f"ticket-{len(tickets)}"})
        else:
            route.continue_()

    person.page.route(REGISTER, answer)
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("Le service est très demandé").reads("Nouvel essai dans").sees("receipt")
    assert tickets == [None, "ticket-1", "ticket-2"]


@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "Le service est très demandé"), (503, "Le service ne répond pas")],
)
def test_a_proxy_that_is_busy_is_asked_again_after_a_while(
    person: Person, site: Site, status: int, words: str
) -> None:
    asked_s: list[float] = []
    is_busy = True

    def answer(route: Route) -> None:
        asked_s.append(time.monotonic())
        if is_busy:
            body = f"<html><body><h1>{status} Busy</h1></body></html>"
            route.fulfill(status=status, body=body, content_type="text/html")
        else:
            route.continue_()

    person.page.route(REGISTER, answer)
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads(words).reads("Nouvel essai dans")
    expect(person.page.get_by_text("Busy")).to_have_count(0)
    is_busy = False
    person.sees("receipt")
    assert asked_s[1] - asked_s[0] >= 5
    assert items(site, *person.number_and_pin()) == 1


def test_a_number_that_is_taken_is_replaced_before_anything_is_registered(
    person: Person, site: Site
) -> None:
    taken = refusal("REQUEST_ID_REUSED", code_pb2.ALREADY_EXISTS)
    person.page.route(REGISTER, lambda route: refuse(route, 409, taken), times=1)
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send()
    person.clicks("Envoyer").sees("number").reads("Le numéro précédent était déjà pris")
    number, pin = person.number_and_pin()
    person.clicks("J'ai noté").clicks("Envoyer").sees("receipt")
    assert person.number_and_pin() == (number, pin)
    assert items(site, number, pin) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda route: route.fulfill(response=(it := route.fetch()), body=it.body() + b"\0"),
            "arrive modifiée",
        ),
        (
            lambda route: route.fulfill(status=200, body="<html>", content_type="text/html"),
            "arrive modifiée",
        ),
        (lambda route: route.continue_(post_data=b"\x0a\x00"), "est modifié en chemin"),
    ],
    ids=["answer", "another page", "request"],
)
def test_a_message_that_is_changed_on_the_way_is_refused(
    person: Person, change: Callable[[Route], None], words: str
) -> None:
    person.page.route("**/v1/GetCase", change)
    person.opens("AVMJ-9P6W-WQA", "123456789012").reads(words).sees("open")


def test_files_whose_registration_is_changed_on_the_way_are_not_lost(
    person: Person, site: Site
) -> None:
    person.page.route(REGISTER, lambda route: route.continue_(post_data=b"\x0a\x00"))
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.sees("send").reads("est modifié en chemin").reads("1 fichier n'est pas enregistré.")
    person.page.unroute(REGISTER)
    person.clicks("Reprendre l'envoi").sees("receipt")
    assert items(site, *person.number_and_pin()) == 1


def test_number_and_pin_that_open_nothing_are_refused_alike(person: Person) -> None:
    number, pin = person.registers(photograph("cat"))
    person.clicks("Terminer").sees("welcome").opens(number, "000000000000")
    person.reads("Aucun dossier avec ce numéro et ce code PIN").clicks("Retour")
    person.opens("AVMJ-9P6W-WQA", pin).reads("Aucun dossier avec ce numéro et ce code PIN")


def test_a_withdrawal_without_an_answer_may_be_repeated(person: Person) -> None:
    person.registers(photograph("cat"))
    person.clicks("Voir mon dossier").sees("case").clicks("Retirer tout le dossier")
    closed = refusal("INTERNAL", code_pb2.INTERNAL)
    person.page.route("**/v1/WithdrawCase", lambda route: refuse(route, 500, closed), times=1)
    person.clicks("Oui, retirer").reads("On ne sait pas si votre dernière demande")
    person.clicks("Oui, retirer").sees("case").reads("Le dossier est retiré")
