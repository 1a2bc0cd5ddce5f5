"""Trouble: in the victim's words, with nothing lost and nothing registered twice."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2
from playwright.sync_api import Route, expect

from disrupt.core.media import MediaKind
from disrupt.v1 import registration_pb2
from rig.media.pictures import PHOTOS, chunk, encode
from rig.media.videos import encode as encode_video
from rig.media.videos import footage
from tests.web.browser.person import Person, file, photograph
from tests.web.browser.site import Site
from tests.web.hashing import videos

REGISTER = "**/RegisterHashes"


def refuse(route: Route, status: int, reason: str, retry_after_s: int = 0) -> None:
    """Answer a call as the gateway says an error."""
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=retry_after_s))
    details = [
        {
            "type": f"google.rpc.{type(detail).__name__}",
            "value": base64.b64encode(detail.SerializeToString()).decode().rstrip("="),
        }
        for detail in (error_details_pb2.ErrorInfo(reason=reason), retry)
    ]
    body = json.dumps({"code": "unavailable", "details": details})
    route.fulfill(status=status, body=body, content_type="application/json")


def lose(route: Route) -> None:
    """Let a call reach the service, and lose its answer."""
    route.fetch()
    route.abort()


def items(site: Site, person: Person) -> int:
    """Return how many pictures the person's case has."""
    return len(site.case(*person.number_and_pin()).items)


def of_200_megapixels() -> bytes:
    """Return the beginning of a picture that says how large it is."""
    start = encode(PHOTOS["cat"])
    header = np.array([20_000, 10_000], ">u4").tobytes() + start[24:29]
    return start[:8] + chunk(b"IHDR", header) + start[33:]


BAD_FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "no picture": (lambda: b"no picture", "n'est ni une image ni une vidéo"),
    "empty": (lambda: b"", "Ce fichier est vide"),
    "cut short": (lambda: encode(PHOTOS["cat"], "JPEG")[:600], "incomplet, abîmé"),
    "featureless": (
        lambda: encode(np.full((300, 300, 3), 90, np.uint8)),
        "trop unie ou trop floue",
    ),
    "200 megapixels": (of_200_megapixels, "trop grand pour cet appareil"),
}


def test_files_that_cannot_be_registered_are_explained_and_the_others_go_on(
    person: Person, site: Site
) -> None:
    bad = [file(name, make()) for name, (make, _) in BAD_FILES.items()]
    person.says_age().chooses(*bad, photograph("cat")).is_ready()
    person.reads("1 fichier est prêt. 5 fichiers ne peuvent pas être enregistrés")

    def is_explained() -> None:
        for name, (_, words) in BAD_FILES.items():
            row = person.page.get_by_role("listitem").filter(has_text=name)
            expect(row).to_contain_text(words)

    is_explained()
    person.goes_to_send().reads("5 fichiers ne peuvent pas être enregistrés, et ne seront pas")
    is_explained()
    person.clicks("Envoyer").reads("Tout n'est pas enregistré")
    person.reads("5 fichiers ne sont pas enregistrés : ils ne sont pas protégés")
    is_explained()
    assert items(site, person) == 1


def test_two_taps_at_one_place_withdraw_nothing(person: Person) -> None:
    person.registers(photograph("cat"))
    person.clicks("Voir le dossier").sees("case").clicks("Retirer tout le dossier")
    person.reads("Retirer tout le dossier ?")
    person.button("Oui, retirer").click(force=True)
    expect(person.button("Oui, retirer")).to_have_attribute("aria-disabled", "false")
    person.reads("Retirer tout le dossier ?")
    person.clicks("Non, ne rien changer").sees("case").reads("Image 1")


def test_videos_are_registered_of_4_gigabytes_and_where_only_the_page_plays_them(
    person: Person, site: Site, tmp_path: Path
) -> None:
    frames = list(footage(3, seconds=1, fps=25))
    unused = struct.pack(">I4sQ", 1, b"free", 4 * 2**30)
    large = {"large.mp4": encode_video(frames, fps=25) + unused, "nothing.mp4": b""}
    for name, data in large.items():
        with (tmp_path / name).open("wb") as stream:
            stream.write(data)
            stream.truncate(len(data) + 4 * 2**30)
    (tmp_path / "played.webm").write_bytes(videos.transparent(frames))
    person.says_age()
    person.page.locator("#files").set_input_files(sorted(tmp_path.iterdir()))
    person.is_ready().reads("2 fichiers sont prêts. 1 fichier ne peut pas être enregistré")
    person.goes_to_send().clicks("Envoyer").reads("Tout n'est pas enregistré")
    kinds = [item.kind for item in site.case(*person.number_and_pin()).items]
    assert kinds == [MediaKind.VIDEO] * 2


def test_a_double_click_sends_once(person: Person, site: Site) -> None:
    sent: list[str] = []
    person.page.on("request", lambda request: sent.append(request.url.rpartition("/")[2]))
    person.says_age().chooses(photograph("coffee")).is_ready().goes_to_send()
    person.button("Envoyer").dblclick()
    person.sees("receipt")
    assert sent.count("RegisterHashes") == 1
    assert items(site, person) == 1


def test_offline_it_waits_and_goes_on_by_itself(person: Person, site: Site) -> None:
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send()
    person.page.context.set_offline(True)
    person.clicks("Envoyer").reads("Cet appareil n'est plus connecté. Rien n'est perdu")
    person.page.context.set_offline(False)
    person.sees("receipt")
    assert items(site, person) == 1


def test_a_lost_answer_registers_nothing_twice(person: Person, site: Site) -> None:
    person.page.route(REGISTER, lose, times=1)
    person.says_age().chooses(photograph("rocket")).is_ready().goes_to_send().clicks("Envoyer")
    person.sees("receipt")
    assert items(site, person) == 1


def test_stopped_without_an_answer_it_says_so_and_resumes(person: Person, site: Site) -> None:
    person.page.route(REGISTER, lose)
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("Le service ne répond pas encore").clicks("Arrêter")
    person.reads("L'envoi est interrompu").reads("Vous avez arrêté l'envoi").reads(
        "on ne sait pas s'il est"
    )
    assert person.button("Retour").count() == 0
    person.page.unroute(REGISTER)
    person.clicks("Reprendre l'envoi").sees("receipt")
    assert items(site, person) == 1


def test_ended_without_an_answer_number_and_pin_tell_what_became_of_it(person: Person) -> None:
    person.page.route(REGISTER, lose)
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("Le service ne répond pas encore").clicks("Arrêter")
    person.reads("L'envoi est interrompu")
    person.clicks("En rester là").reads("On ne sait pas si c'est enregistré")
    person.clicks("Voir le dossier").sees("case").reads("Image 1")


def test_while_the_service_is_busy_the_page_waits_and_says_so(person: Person, site: Site) -> None:
    person.page.route(REGISTER, lambda route: refuse(route, 429, "OVERLOADED", 2), times=2)
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("Le service est très demandé. Rien n'est perdu").reads("Nouvel essai dans")
    person.sees("receipt")
    assert items(site, person) == 1


def test_the_receipt_waits_while_help_is_open(person: Person) -> None:
    held: list[Route] = []
    person.page.route(REGISTER, lambda route: held.append(route))  # noqa: PLW0108
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send()
    with person.page.expect_request(REGISTER):
        person.clicks("Envoyer")
    person.clicks("Aide et contacts").sees("help")
    with person.page.expect_response(REGISTER):
        held[0].continue_()
    person.sees("help").clicks("Fermer l'aide").sees("receipt")


def test_a_request_that_may_have_arrived_stays_so_whatever_its_next_attempts_say(
    person: Person, site: Site
) -> None:
    person.page.route(REGISTER, lose)
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("Le service ne répond pas encore").clicks("Arrêter")
    person.reads("on ne sait pas s'il est")
    person.page.unroute(REGISTER)
    person.page.route(REGISTER, lambda route: refuse(route, 429, "OVERLOADED", 9))
    person.clicks("Reprendre l'envoi").reads("très demandé").clicks("Arrêter")
    person.reads("on ne sait pas s'il est")
    assert person.button("Retour").count() == 0
    person.page.unroute(REGISTER)
    person.page.context.set_offline(True)
    person.clicks("Reprendre l'envoi").reads("n'est plus connecté").clicks("Arrêter")
    person.reads("on ne sait pas s'il est")
    person.page.context.set_offline(False)
    person.clicks("Reprendre l'envoi").sees("receipt")
    assert items(site, person) == 1


def test_a_request_id_that_was_used_for_something_else_is_no_refusal(person: Person) -> None:
    person.page.route(REGISTER, lambda route: refuse(route, 409, "REQUEST_ID_REUSED"))
    person.says_age().chooses(photograph("cat")).is_ready().goes_to_send().clicks("Envoyer")
    person.reads("L'envoi est interrompu").reads("on ne sait pas s'il est")


def test_a_busy_service_gets_one_file_at_a_time(person: Person, site: Site) -> None:
    sizes: list[int] = []

    def answer(route: Route) -> None:
        body = route.request.post_data_buffer or b""
        sizes.append(len(registration_pb2.RegisterHashesRequest.FromString(body).items))
        if sizes[-1] > 1:
            refuse(route, 429, "OVERLOADED", 1)
        else:
            route.continue_()

    person.page.route(REGISTER, answer)
    person.says_age().chooses(*map(photograph, ("cat", "coffee", "rocket"))).is_ready()
    person.goes_to_send().clicks("Envoyer").sees("receipt")
    assert sizes == [3, 1, 1, 1]
    assert items(site, person) == 3


def test_number_and_pin_that_open_nothing_are_refused_alike(person: Person) -> None:
    number, pin = person.registers(photograph("cat"))
    person.clicks("Terminer").sees("welcome").opens(number, "000000000000")
    person.reads("Aucun dossier avec ce numéro et ce code PIN").clicks("Retour")
    person.opens("AVMJ-9P6W-WQA", pin).reads("Aucun dossier avec ce numéro et ce code PIN")


def test_a_mistyped_number_or_pin_is_not_sent(person: Person) -> None:
    sent: list[str] = []
    person.page.on("request", lambda request: sent.append(request.method))
    person.opens("AVMJ-9P6W-WQB", "1234").reads("un caractère manque, est en trop ou mal tapé")
    person.reads("Un code PIN a 12 chiffres")
    assert "POST" not in sent


def test_a_withdrawal_without_an_answer_may_be_repeated(person: Person) -> None:
    person.registers(photograph("cat"))
    person.clicks("Voir le dossier").sees("case").clicks("Retirer tout le dossier")
    failed = lambda route: refuse(route, 500, "INTERNAL")  # noqa: E731
    person.page.route("**/WithdrawCase", failed, times=1)
    person.clicks("Oui, retirer").reads("On ne sait pas si votre dernière demande")
    person.clicks("Oui, retirer").sees("case").reads("Le dossier est retiré")


def test_a_withdrawal_that_was_left_before_its_answer_is_not_passed_over(person: Person) -> None:
    person.registers(photograph("cat"), photograph("coffee"))
    person.clicks("Voir le dossier").sees("case").clicks("Retirer Image 1")
    person.page.route("**/WithdrawItems", lose)
    person.clicks("Oui, retirer").reads("Le service ne répond pas encore")
    person.clicks("Non, ne rien changer").sees("case")
    person.reads("Votre demande de retrait était déjà partie").reads("Déjà retirées : 1")


def test_a_page_that_was_loaded_again_says_what_it_forgot_and_where_to_look(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("cat"))
    person.page.reload()
    person.sees("welcome").reads("Cette page vient d'être rechargée. Pour votre sécurité")
    person.opens(number, pin).sees("case").reads("Image 1")
    assert len(site.case(number, pin).items) == 1


def test_a_worker_that_cannot_be_loaded_is_explained_and_tried_again(person: Person) -> None:
    person.page.route("**/worker.js", lambda route: route.abort())
    person.says_age().chooses(photograph("cat")).is_ready()
    person.reads("Une partie de cette page n'a pas pu être chargée")
    person.page.unroute("**/worker.js")
    person.chooses(photograph("cat")).is_ready().reads("1 fichier est prêt.")
