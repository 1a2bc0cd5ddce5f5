"""A case is told as its pictures are: how many stand how, what is urgent first, what to do."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from disrupt.client.review import ReviewClient
from disrupt.core.states import ItemState
from disrupt.v1 import registration_pb2
from tests.web.browser.person import Person, file, photograph, words
from tests.web.browser.site import Site


def test_a_case_says_how_many_pictures_are_blocked_and_how_many_are_not(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("cat"), photograph("coffee"))
    first = min(site.case(number, pin).items, key=lambda item: item.number)
    key = site.server.make_key("who switches off", "review")
    with ReviewClient(site.server.address, key=key) as staff:
        staff.set_states([bytes.fromhex(first.item_id)], ItemState.DISABLED, "")
    person.ends().opens(number, pin).sees("case")
    counts = person.page.locator(".counts li")
    expect(counts).to_have_text(
        [
            "1 est désactivée : les plateformes ne la bloquent pas.".replace(" :", "\u00a0:"),
            "1 peut être bloquée par les plateformes partenaires.",
        ]
    )
    expect(person.page.locator(".files .file-name").first).to_contain_text(
        f"Image\u00a0{first.number}"
    )


def test_a_copy_that_is_left_online_is_an_alarm_that_says_whom_to_tell(person: Person) -> None:
    number, pin = person.registers(photograph("cat"), photograph("coffee"))

    def left_up(route: Route) -> None:
        answer = route.fetch()
        case = registration_pb2.GetCaseResponse.FromString(answer.body())
        case.case.items[0].state = registration_pb2.CASE_ITEM_STATE_WAITING
        case.case.items[0].wait_reason = registration_pb2.WAIT_REASON_COMMON
        case.case.items[1].left_up_on = "2026-11-17"
        case.case.items[1].age_band = registration_pb2.AGE_BAND_MINOR
        route.fulfill(response=answer, body=case.SerializeToString())

    person.page.route("**/GetCase", left_up)
    person.ends().opens(number, pin).sees("case")
    person.reads("case.left_up.one").reads("case.waiting.one").reads("case.common")
    first = person.page.locator(".files > li").first
    expect(first.locator(".file-name")).to_contain_text("2")
    expect(first.locator(".warning")).to_contain_text(words("left_up.minor"))
    # The day is none of the numbers to call.
    expect(first.locator(".warning a[href^='tel:17']")).to_have_count(0)
    links = first.locator(".warning .links a")
    assert [link.get_attribute("href") for link in links.all()] == [
        "https://3018.fr/",
        "https://www.pointdecontact.net/",
        "https://www.internet-signalement.gouv.fr/",
    ]


def test_a_file_that_is_chosen_again_says_its_number_and_nothing_is_sent(person: Person) -> None:
    person.registers(photograph("cat"), photograph("coffee"))
    person.clicks("Voir le dossier").sees("case")
    sent: list[str] = []
    person.page.on("request", lambda request: sent.append(request.method))
    renamed = file("renamed.png", photograph("coffee")["buffer"])
    person.finds(renamed, photograph("rocket"), file("notes.txt", b"no picture"))
    answers = person.page.locator("#which ~ .files .file-state")
    expect(answers).to_have_text(
        [words("case.image", number=2), words("which.none"), words("refused.NOT_MEDIA")]
    )
    person.clicks("Retirer Image 1").reads("withdraw.title.item", number=1)
    person.finds(renamed).reads("which.other")
    expect(answers).to_have_class(re.compile("problem"))
    person.finds(photograph("cat"))
    expect(answers.last).to_have_text(words("case.image", number=1))
    expect(answers.last).to_have_class(re.compile("done"))
    assert "POST" not in sent


def test_who_has_lost_a_pin_can_register_again_at_once(person: Person) -> None:
    person.clicks("J'ai déjà un dossier").sees("open").reads("open.lost.title")
    person.reads("open.lost.old")
    person.clicks("Enregistrer à nouveau").sees("who")
