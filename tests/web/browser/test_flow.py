"""The whole way: from a photograph to a receipt, a platform's match, and the withdrawal."""

from __future__ import annotations

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from disrupt.core.cases import AgeBand, parse_case_number, parse_pin
from tests.hashing.pictures import encode, photo
from tests.web.browser.person import Person, file, photograph
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
    person.clicks("Envoyer").sees("receipt").reads("2 fichiers sont enregistrés")
    assert person.actions <= MOST_ACTIONS
    number, pin = person.number_and_pin()
    assert parse_case_number(number) == number
    assert parse_pin(pin) == pin
    for copy in copies:
        site.finds(copy, matches=1)

    person.clicks("Voir le dossier").sees("case").reads("actif")
    person.clicks("Retirer Image 1").reads("Retirer l'image 1 ?")
    person.clicks("Oui, retirer").sees("case").reads("les copies de cette image ne sont plus")
    person.reads("Déjà retirées : 1")
    site.finds(copies[0], matches=0)
    site.finds(copies[1], matches=1)

    person.clicks("Terminer").sees("welcome").opens(number, pin).sees("case")
    person.clicks("Retirer tout le dossier").reads("Retirer tout le dossier ?")
    person.clicks("Oui, retirer").sees("case").reads("Le dossier est retiré")
    site.finds(copies[1], matches=0)


def test_number_and_pin_are_shown_before_anything_is_sent(person: Person, site: Site) -> None:
    posts: list[str] = []
    person.page.on("request", lambda request: posts.extend([request.url] * bool(request.post_data)))
    person.says_age().chooses(photograph("cat")).is_ready().clicks("Continuer").sees("number")
    shown = person.number_and_pin()
    person.clicks("Je les ai notés").sees("send")
    assert posts == []
    person.clicks("Envoyer").sees("receipt")
    assert person.number_and_pin() == shown
    assert len(site.case(*shown).items) == 1


def test_an_age_that_is_not_known_is_that_of_a_minor(person: Person, site: Site) -> None:
    number, pin = person.registers(photograph("rocket"), age="Je ne sais pas")
    assert [item.age for item in site.case(number, pin).items] == [AgeBand.MINOR]
    person.reads("Tu as moins de 18 ans ?")


def test_pictures_are_added_to_a_case_and_keep_the_age_that_they_have(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("cat"))
    person.clicks("Voir le dossier").sees("case").clicks("Ajouter des images")
    person.clicks("Moins de 18 ans").sees("choose")
    person.chooses(photograph("cat"), photograph("coffee")).is_ready().clicks("Continuer")
    person.sees("send").reads("1 image est déjà dans ce dossier, avec un autre âge")
    person.clicks("Envoyer").sees("receipt").reads("Elle était déjà dans le dossier")
    ages = {item.number: item.age for item in site.case(number, pin).items}
    assert ages == {1: AgeBand.ADULT, 2: AgeBand.MINOR}


def test_an_age_changes_where_the_person_asks_for_it(person: Person, site: Site) -> None:
    number, pin = person.registers(photograph("cat"))
    person.clicks("Voir le dossier").sees("case").clicks("Ajouter des images")
    person.clicks("Moins de 18 ans").sees("choose").chooses(photograph("cat")).is_ready()
    person.clicks("Continuer").sees("send")
    person.page.get_by_label("Changer aussi leur âge").check()
    person.clicks("Envoyer").sees("receipt").reads("son enregistrement est renouvelé")
    assert [item.age for item in site.case(number, pin).items] == [AgeBand.MINOR]


def test_a_preview_is_shown_only_when_asked_for(person: Person) -> None:
    person.says_age().chooses(photograph("cat")).is_ready()
    shown = person.page.locator(".preview img")
    expect(shown).to_have_count(0)
    person.clicks("Aperçu")
    expect(shown).to_be_visible()
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
    person.reads("dropped.txt").reads("n'est ni une image ni une vidéo")
