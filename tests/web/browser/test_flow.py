"""The whole way: from a photograph to a receipt, a platform's match, and the withdrawal."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from google.protobuf.message import Message
from PIL import Image
from playwright.sync_api import FilePayload, Route

from disrupt.core.cases import parse_case_number, parse_pin
from disrupt.submission.client import SubmissionClient
from disrupt.v1 import registration_pb2
from tests.hashing.pictures import PHOTOS, encode, photo
from tests.web.browser.person import Person, file, photograph
from tests.web.browser.site import Site
from tests.web.running import headers_for

COUNTED = {name: photo(name) for name in ("ihc.png", "motorcycle_left.png", "retina.jpg")}
"""Pictures whose matches a test counts: all tests share a server, and no other registers them."""


def counted(name: str) -> FilePayload:
    return file(name, encode(COUNTED[name]))


def edited(name: str) -> bytes:
    """Return a picture cropped, enlarged and saved again as a JPEG of low quality."""
    image = Image.fromarray(COUNTED[name])
    width, height = image.size
    cropped = image.crop((width // 25, height // 25, width, height)).resize((900, 900))
    return encode(np.asarray(cropped), "JPEG", quality=40)


def test_an_edited_copy_is_found_until_the_picture_is_withdrawn_on_the_page(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(counted("ihc.png"), counted("retina.jpg"))
    assert parse_case_number(number) == number
    assert parse_pin(pin) == pin
    site.finds(edited("ihc.png"), matches=1)
    site.finds(edited("retina.jpg"), matches=1)

    person.clicks("Terminer").sees("welcome").opens(number, pin).sees("case")
    person.reads("Les plateformes partenaires peuvent bloquer ces images.")
    person.clicks("Retirer : Image").reads("ne seront plus bloquées").clicks("Oui, retirer")
    person.sees("case").reads("C'est retiré")
    site.finds(edited("ihc.png"), matches=0)
    site.finds(edited("retina.jpg"), matches=1)

    person.clicks("Retirer tout le dossier").clicks("Oui, retirer").sees("case")
    person.reads("Le dossier est retiré").reads("retiré")
    site.finds(edited("retina.jpg"), matches=0)


def test_from_a_chosen_photograph_to_the_receipt_are_at_most_six_actions(person: Person) -> None:
    person.registers(photograph("rocket"))
    assert person.actions <= 6


def test_number_and_pin_are_shown_before_anything_is_sent(person: Person) -> None:
    calls: list[str] = []
    person.page.on("request", lambda request: calls.append(f"{request.method} {request.url}"))
    person.says_age().chooses(photograph("cat")).is_ready().clicks("Continuer").sees("number")
    shown = person.number_and_pin()
    assert not [call for call in calls if call.startswith("POST")]
    person.clicks("J'ai noté").clicks("Envoyer").sees("receipt")
    assert person.number_and_pin() == shown


def test_somebody_who_is_unsure_of_the_age_registers_pictures_of_a_minor(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("rocket"), age="Je ne sais pas")
    with SubmissionClient(site.server.address, key=site.server.make_key("k", "register")) as client:
        (item,) = client.case(number, pin).items
    assert item.age is not None
    assert item.age.name == "MINOR"


def test_more_files_than_a_request_takes_enter_one_case_and_more_can_be_added(
    person: Person,
) -> None:
    turned = [
        file(f"{name}{turns}.png", encode(PHOTOS[name].copy().repeat(1, axis=0)[::step, ::step]))
        for name in ("astronaut", "cat", "coffee")
        for turns, step in enumerate((1, 2, 3))
    ]
    person.registers(*turned)
    person.reads("9 fichiers sont enregistrés").clicks("Voir mon dossier").sees("case")
    assert person.page.get_by_text("Traitée comme celle").count() == 9

    person.clicks("Ajouter des images").sees("age").clicks("Moins de 18 ans").sees("choose")
    person.chooses(photograph("tower"), turned[0]).is_ready().clicks("Continuer").sees("send")
    person.clicks("Envoyer").sees("receipt").reads("Elle était déjà dans votre dossier")
    person.clicks("Voir mon dossier").sees("case")
    assert person.page.get_by_text("Traitée comme celle").count() == 10


def test_a_case_whose_erasure_was_asked_without_its_pin_is_kept(person: Person, site: Site) -> None:
    number, pin = person.registers(counted("motorcycle_left.png"))
    site.asks_erasure(number)
    person.clicks("Terminer").sees("welcome").opens(number, pin).sees("case")
    person.reads("quelqu'un a demandé au service d'effacer ce dossier")
    site.finds(edited("motorcycle_left.png"), matches=0)
    person.clicks("Garder le dossier").reads("Garder ce dossier").clicks("Garder le dossier")
    person.sees("case").reads("le service n'effacera pas ce dossier")
    site.finds(edited("motorcycle_left.png"), matches=1)


def test_a_rejected_case_whose_erasure_was_asked_can_be_kept_too(person: Person) -> None:
    def reject(route: Route) -> None:
        response = registration_pb2.GetCaseResponse.FromString(route.fetch().body())
        response.case.status = registration_pb2.CASE_STATUS_REJECTED
        response.case.erasure.requested_on = "2026-01-02"
        answer(route, response)

    person.page.route("**/v1/GetCase", reject)
    person.registers(photograph("cat"))
    person.clicks("Voir mon dossier").sees("case").reads("gardez le dossier")
    person.clicks("Garder le dossier").reads("Garder ce dossier")


def test_an_item_of_an_earlier_server_which_says_no_state_is_registered(person: Person) -> None:
    def forget_states(route: Route) -> None:
        response = registration_pb2.RegisterHashesResponse.FromString(route.fetch().body())
        for item in response.receipt.items:
            item.ClearField("state")
        answer(route, response)

    person.page.route("**/v1/RegisterHashes", forget_states)
    person.registers(photograph("coffee"))
    person.reads("Les plateformes partenaires peuvent maintenant en bloquer les copies")


def test_a_file_that_has_become_a_picture_is_called_one(person: Person, tmp_path: Path) -> None:
    picture = encode(PHOTOS["rocket"])
    chosen = tmp_path / "a.png"
    person.says_age()
    for data, label in ((bytes(len(picture)), "Fichier 1"), (picture, "Image 1")):
        chosen.write_bytes(data)
        os.utime(chosen, (1, 1))
        person.page.locator("#files").set_input_files(chosen)
        person.is_ready().reads(label)


def answer(route: Route, response: Message) -> None:
    body = response.SerializeToString()
    route.fulfill(status=200, body=body, headers=headers_for(body))


def test_number_and_pin_can_be_saved_and_copied_without_a_name_of_a_file(person: Person) -> None:
    person.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    number, pin = person.registers(photograph("coffee"))
    with person.page.expect_download() as download:
        person.clicks("Enregistrer")
    saved = download.value.path().read_text()
    assert download.value.suggested_filename == "notes.txt"
    assert number in saved
    assert pin in saved.replace(" ", "")
    assert "coffee" not in saved
    person.clicks("Copier").reads("Copié")


def test_the_preview_is_shown_only_when_asked(person: Person) -> None:
    person.says_age().chooses(photograph("cat")).is_ready()
    assert person.page.locator(".files img").count() == 0
    person.clicks("Aperçu")
    shown = person.page.locator(".files img")
    assert shown.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 0
    person.clicks("Cacher l'aperçu")
    assert person.page.locator(".files img").count() == 0


def test_a_switch_of_the_language_loses_nothing(person: Person) -> None:
    person.says_age().chooses(photograph("cat")).is_ready().clicks("Continuer").sees("number")
    shown = person.number_and_pin()
    person.button("English").click()
    assert person.page.locator("html").get_attribute("lang") == "en"
    assert person.page.get_by_role("heading", level=1).inner_text() == (
        "Write down this number and this PIN"
    )
    assert person.number_and_pin() == shown
    person.button("Français").click()
    person.sees("number").clicks("Retour").sees("choose").reads("cat.png")
