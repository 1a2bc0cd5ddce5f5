"""A case is told as its pictures are: how many stand how, what is urgent first, what to do."""

from __future__ import annotations

from playwright.sync_api import Route, expect

from disrupt.client.review import ReviewClient
from disrupt.core.states import ItemState
from disrupt.v1 import registration_pb2
from tests.web.browser.person import Person, photograph
from tests.web.browser.site import Site


def test_a_case_says_how_many_pictures_are_blocked_and_how_many_are_not(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("cat"), photograph("coffee"))
    first = min(site.case(number, pin).items, key=lambda item: item.number)
    key = site.server.make_key("who switches off", "review")
    with ReviewClient(site.server.address, key=key) as staff:
        staff.set_states([bytes.fromhex(first.item_id)], ItemState.DISABLED, "")
    person.clicks("Terminer").sees("welcome").opens(number, pin).sees("case")
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
        case.case.items[1].left_up_on = "2026-11-25"
        case.case.items[1].age_band = registration_pb2.AGE_BAND_MINOR
        route.fulfill(response=answer, body=case.SerializeToString())

    person.page.route("**/GetCase", left_up)
    person.clicks("Terminer").sees("welcome").opens(number, pin).sees("case")
    person.reads("case.left_up.one")
    first = person.page.locator(".files > li").first
    expect(first.locator(".file-name")).to_contain_text("2")
    expect(first.locator(".warning")).to_contain_text("Tu n'as pas à régler cela")
    links = first.locator(".warning .links a")
    assert [link.get_attribute("href") for link in links.all()] == [
        "https://3018.fr/",
        "https://www.pointdecontact.net/",
        "https://www.internet-signalement.gouv.fr/",
    ]


def test_who_has_lost_a_pin_can_register_again_at_once(person: Person) -> None:
    person.clicks("J'ai déjà un dossier").sees("open").reads("open.lost.title")
    person.reads("open.lost.old")
    person.clicks("Enregistrer à nouveau").sees("who")
