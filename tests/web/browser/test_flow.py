"""The whole way: from a photograph to a receipt, a platform's match, and the withdrawal."""

from __future__ import annotations

import re

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from disrupt.client.review import ReviewClient
from disrupt.core.cases import AgeBand, parse_case_number, parse_pin
from disrupt.core.states import ItemState
from disrupt.v1 import registration_pb2
from rig.media.pictures import encode, photo
from tests.web.browser.person import Person, file, photograph, words
from tests.web.browser.site import Site

MOST_ACTIONS = 6
"""Actions of a person from a chosen file to the receipt."""


def edited(name: str) -> bytes:
    """Return a photograph cropped, enlarged and saved again as a JPEG of low quality."""
    image = Image.fromarray(photo(name))
    width, height = image.size
    cropped = image.crop((width // 25, height // 25, width, height)).resize((900, 900))
    return encode(np.asarray(cropped), "JPEG", quality=40)


def test_an_edited_copy_is_found_until_the_picture_is_withdrawn_on_the_page(
    person: Person, site: Site
) -> None:
    copies = [edited("retina.jpg"), edited("motorcycle_left.png")]
    person.says_age().chooses(
        file("a.png", encode(photo("retina.jpg"))),
        file("b.png", encode(photo("motorcycle_left.png"))),
    )
    person.is_ready().goes_to_send()
    person.clicks("Envoyer").sees("receipt").reads("receipt.live.other", count=2)
    assert person.actions <= MOST_ACTIONS
    number, pin = person.number_and_pin()
    assert parse_case_number(number) == number
    assert parse_pin(pin) == pin
    for copy in copies:
        site.finds(copy, matches=1)

    person.clicks("Voir le dossier").sees("case").reads("case.live.other", count=2)
    person.clicks("Retirer Image 1").reads("withdraw.title.item", number=1)
    person.clicks("Oui, retirer").sees("case").reads("withdraw.done.item")
    person.reads("case.withdrawn", numbers=1)
    site.finds(copies[0], matches=0)
    site.finds(copies[1], matches=1)

    person.ends().opens(number, pin).sees("case")
    person.clicks("Retirer tout le dossier").reads("withdraw.title")
    person.clicks("Oui, retirer").sees("case").reads("withdraw.done")
    site.finds(copies[1], matches=0)
    person.ends().opens(number, pin).sees("case").reads("case.is_withdrawn")


def test_a_case_that_staff_are_about_to_erase_is_kept_by_one_button(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("cat"))
    for name in ("one of the staff", "another of the staff"):
        with ReviewClient(site.server.address, key=site.server.make_key(name, "review")) as staff:
            staff.erase_case(number)
    assert site.case(number, pin).erased_on
    person.ends().opens(number, pin).sees("case")
    person.reads("case.erased_on")
    expect(person.button("Ajouter des images")).to_have_count(0)
    keep = person.page.get_by_role("button").and_(person.page.locator("main button")).first
    expect(keep).to_have_text("Garder le dossier")
    person.clicks("Garder le dossier").reads("case.kept")
    person.clicks("Ajouter des images")
    assert site.case(number, pin).erased_on == ""


def test_number_and_pin_are_shown_before_anything_of_the_pictures_is_sent(
    person: Person, site: Site
) -> None:
    posts: list[bytes] = []
    person.page.on("request", lambda request: posts.extend([request.post_data_buffer or b""]))
    person.says_age().chooses(photograph("cat")).is_ready().clicks("Continuer").sees("number")
    shown = person.number_and_pin()
    person.clicks("Je les ai notés").sees("send")
    asked = registration_pb2.GetChallengeRequest(pictures=1).SerializeToString()
    assert [*filter(None, posts)] == [asked], "it says of files how many there are, and no more"
    person.clicks("Envoyer").sees("receipt")
    assert person.number_and_pin() == shown
    assert len(site.case(*shown).items) == 1


def test_an_age_that_is_not_known_is_that_of_a_minor(person: Person, site: Site) -> None:
    number, pin = person.registers(photograph("rocket"), age="Je ne sais pas")
    assert [item.age for item in site.case(number, pin).items] == [AgeBand.MINOR]
    person.reads("help.minor")


def test_a_child_is_spoken_to_as_one_and_who_helps_one_about_it(person: Person) -> None:
    lead = person.page.locator("main > p:not(.step)").first
    person.says_age("Moins de 18 ans").reads("minor.first").reads("minor.call")
    expect(lead).to_have_text(words("choose.lead.child"))
    chat = person.page.get_by_role("link", name=words("minor.chat"))
    expect(chat).to_have_attribute("href", "https://3018.fr/")
    person.clicks("J'ai 18 ans ou plus aujourd'hui")
    expect(lead).to_have_text(words("choose.lead"))
    expect(chat).to_have_count(0)
    person.clicks("Retour").sees("age").clicks("Retour").sees("who")
    person.clicks("Quelqu'un que j'aide").sees("age").reads("age.made.other")
    person.clicks("18 ans ou plus").sees("choose")
    expect(chat).to_have_count(0)
    person.clicks("Retour").clicks("Moins de 18 ans").reads("minor.first.other")


def test_pictures_that_are_added_keep_the_age_that_they_have_unless_they_are_a_minors(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("cat"), age="Moins de 18 ans")

    def adds(age: str) -> None:
        person.clicks("Voir le dossier").sees("case").clicks("Ajouter des images")
        person.clicks(age).sees("choose")
        person.chooses(photograph("cat"), photograph("coffee")).is_ready().clicks("Continuer")
        person.sees("send").reads("send.known.one")

    adds("18 ans ou plus")
    person.clicks("Envoyer").sees("receipt").reads("receipt.item.kept")
    ages = {item.number: item.age for item in site.case(number, pin).items}
    assert ages == {1: AgeBand.MINOR, 2: AgeBand.ADULT}
    adds("Moins de 18 ans")
    expect(person.page.get_by_label("Changer aussi son âge")).to_be_checked()
    person.clicks("Envoyer").sees("receipt").reads("receipt.item.aged")
    ages = {item.number: item.age for item in site.case(number, pin).items}
    assert ages == {1: AgeBand.MINOR, 2: AgeBand.MINOR}


def test_a_picture_that_staff_have_rejected_is_not_said_to_be_blocked(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("cat"))
    (item,) = site.case(number, pin).items
    key = site.server.make_key("who rejects", "review")
    with ReviewClient(site.server.address, key=key) as staff:
        staff.set_states([bytes.fromhex(item.item_id)], ItemState.REJECTED, "")
    person.clicks("Voir le dossier").sees("case").clicks("Ajouter des images")
    person.clicks("18 ans ou plus").sees("choose").chooses(photograph("cat"), photograph("coffee"))
    person.is_ready().clicks("Continuer").clicks("Envoyer").sees("receipt")
    person.reads("receipt.live.one")
    person.reads("receipt.off.one")
    expect(person.page.locator(".files .problem")).to_contain_text("Le service l'a désactivée")


def test_a_file_has_no_number_but_that_of_its_case(person: Person) -> None:
    page = person.page
    person.says_age().chooses(file("a.txt", b"no picture"), photograph("cat")).is_ready()
    assert page.get_by_text(re.compile(r"(Image|Fichier)\s\d")).count() == 0
    person.goes_to_send().clicks("Envoyer").reads("receipt.title.part")
    expect(page.locator(".done").locator("..")).to_contain_text("Image 1 cat.png")
    person.clicks("Voir le dossier").sees("case").clicks("Ajouter des images")
    person.clicks("18 ans ou plus").chooses(photograph("coffee")).is_ready()
    person.clicks("Continuer").clicks("Envoyer").sees("receipt")
    expect(page.locator(".done").locator("..")).to_contain_text("Image 2 coffee.png")
    person.clicks("Voir le dossier").sees("case").clicks("Retirer Image 2")
    person.reads("withdraw.title.item", number=2)
    expect(page.get_by_text("coffee.png").first).to_be_visible()


def test_a_preview_is_shown_only_when_asked_for(person: Person) -> None:
    person.says_age().chooses(photograph("cat")).is_ready()
    shown = person.page.locator(".preview img")
    expect(shown).to_have_count(0)
    person.clicks("Aperçu")
    expect(shown).to_be_visible()
    expect(shown).not_to_have_css("filter", "none")
    person.clicks("Voir nettement")
    expect(shown).to_have_css("filter", "none")
    person.clicks("Cacher l'aperçu")
    expect(shown).to_have_count(0)


def test_files_are_taken_when_they_are_dropped(person: Person) -> None:
    person.says_age()
    person.page.evaluate(
        """() => {
            const files = new DataTransfer();
            files.items.add(new File(['not a picture'], 'dropped.txt'));
            const drop = new DragEvent('drop', { dataTransfer: files, bubbles: true });
            document.querySelector('.drop').dispatchEvent(drop);
        }"""
    )
    row = person.page.get_by_role("listitem").filter(has_text="dropped.txt")
    expect(row).to_contain_text(words("refused.NOT_MEDIA"))


def test_what_is_printed_saved_or_copied_says_number_and_pin_and_not_what_for(
    person: Person,
) -> None:
    page = person.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    number, pin = person.registers(photograph("cat"))
    with page.expect_download() as saving:
        person.clicks("Télécharger")
    person.clicks("Copier").reads("number.copied")
    page.emulate_media(media="print", color_scheme="dark")
    texts = {
        "saved": saving.value.path().read_text("utf-8"),
        "copied": page.evaluate("navigator.clipboard.readText()"),
        "printed": page.locator("body").inner_text(),
    }
    assert saving.value.suggested_filename == "notes.txt"
    for how, told in texts.items():
        assert number in told, how
        assert pin in told.replace(" ", "").replace("\N{NO-BREAK SPACE}", ""), how
        assert re.search(r"\b1\.\s+cat\.png", told), how
        assert not re.search(r"[Ii]mage|intime|plateforme|3018", told), how
