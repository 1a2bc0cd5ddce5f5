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
from rig.media.pictures import PHOTOS, begun_png, encode
from rig.media.videos import encode as encode_video
from rig.media.videos import footage
from tests.web.browser.person import Person, file, photograph, words
from tests.web.browser.site import Site
from tests.web.hashing import videos

REGISTER = "**/RegisterHashes"


def refusing(status: int, reason: str, retry_after_s: int = 0) -> Callable[[Route], None]:
    """Return how to answer a call as the gateway says an error."""
    retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=retry_after_s))
    details = [
        {
            "type": f"google.rpc.{type(detail).__name__}",
            "value": base64.b64encode(detail.SerializeToString()).decode().rstrip("="),
        }
        for detail in (error_details_pb2.ErrorInfo(reason=reason), retry)
    ]
    body = json.dumps({"code": "unavailable", "details": details})
    return lambda route: route.fulfill(status=status, body=body, content_type="application/json")


def lose(route: Route) -> None:
    """Let a call reach the service, and lose its answer."""
    route.fetch()
    route.abort()


def items(site: Site, person: Person) -> int:
    """Return how many pictures the person's case has."""
    return len(site.case(*person.number_and_pin()).items)


BAD_FILES: dict[str, tuple[bytes, str]] = {
    "no picture": (b"no picture", "NOT_MEDIA"),
    "empty": (b"", "EMPTY"),
    "a document": (b"%PDF-1.7", "DOCUMENT"),
    "cut short": (encode(PHOTOS["cat"], "JPEG")[:600], "UNREADABLE"),
    "featureless": (encode(np.full((300, 300, 3), 90, np.uint8)), "LOW_QUALITY"),
    "200 megapixels": (begun_png(20_000, 10_000), "TOO_LARGE"),
}
"""Files, and the reason that the page gives."""


def test_files_that_cannot_be_registered_are_explained_and_the_others_go_on(
    person: Person, site: Site
) -> None:
    bad = [file(name, data) for name, (data, _) in BAD_FILES.items()]
    person.says_age().chooses(*bad, photograph("cat")).is_ready()
    person.reads("choose.ready.one").reads("choose.refused.other", count=len(bad))
    person.page.evaluate("scrollTo(0, 0)")
    expect(person.page.locator(".summary")).to_be_in_viewport(ratio=1)

    def is_explained() -> None:
        for name, (_, reason) in BAD_FILES.items():
            row = person.page.get_by_role("listitem").filter(has_text=name)
            expect(row).to_contain_text(words(f"refused.{reason}"))

    is_explained()
    person.goes_to_send().reads("send.refused.other", count=len(bad))
    is_explained()
    person.clicks("Envoyer").reads("receipt.title.part")
    person.reads("receipt.failed.other", count=len(bad))
    is_explained()
    assert items(site, person) == 1


def test_two_taps_at_one_place_withdraw_nothing(person: Person) -> None:
    person.registers(photograph("cat"))
    person.clicks("Voir le dossier").sees("case").clicks("Retirer tout le dossier")
    person.reads("withdraw.title")
    person.button("Oui, retirer").click(force=True)
    expect(person.button("Oui, retirer")).to_have_attribute("aria-disabled", "false")
    person.reads("withdraw.title")
    person.clicks("Non, ne rien changer").sees("case").reads("case.image", number=1)


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
    person.is_ready().reads("choose.ready.other", count=2).reads("choose.refused.one")
    person.goes_to_send().clicks("Envoyer").reads("receipt.title.part")
    kinds = [item.kind for item in site.case(*person.number_and_pin()).items]
    assert kinds == [MediaKind.VIDEO] * 2


def test_a_double_click_sends_once(person: Person, site: Site) -> None:
    sent: list[str] = []
    person.page.on("request", lambda request: sent.append(request.url.rpartition("/")[2]))
    person.prepares("coffee")
    person.button("Envoyer").dblclick()
    person.sees("receipt")
    assert sent.count("RegisterHashes") == 1
    assert items(site, person) == 1


def test_offline_it_waits_and_goes_on_by_itself(person: Person, site: Site) -> None:
    person.prepares("cat")
    person.page.context.set_offline(True)
    person.clicks("Envoyer").reads("wait.OFFLINE").reads("send.progress", answered=0, count=1)
    person.page.context.set_offline(False)
    person.sees("receipt")
    assert items(site, person) == 1


def test_a_lost_answer_registers_nothing_twice(person: Person, site: Site) -> None:
    person.page.route(REGISTER, lose, times=1)
    person.prepares("rocket").clicks("Envoyer").sees("receipt")
    assert items(site, person) == 1


def test_ended_without_an_answer_number_and_pin_tell_what_became_of_it(person: Person) -> None:
    person.page.route(REGISTER, lose)
    person.prepares("cat").clicks("Envoyer")
    person.reads("wait.UNAVAILABLE").clicks("Arrêter")
    person.reads("send.title.stopped")
    person.clicks("En rester là").reads("receipt.title.unknown")
    person.clicks("Voir le dossier").sees("case").reads("case.image", number=1)


def test_the_receipt_waits_while_help_is_open(person: Person) -> None:
    held: list[Route] = []
    person.page.route(REGISTER, lambda route: held.append(route))  # noqa: PLW0108
    person.prepares("cat")
    with person.page.expect_request(REGISTER):
        person.clicks("Envoyer")
    person.clicks("Aide et contacts").sees("help")
    with person.page.expect_response(REGISTER):
        held[0].continue_()
    person.sees("help").clicks("Fermer l'aide").sees("receipt")


def test_a_phones_back_leaves_no_registration_that_is_under_way(person: Person) -> None:
    held: list[Route] = []
    person.page.route(REGISTER, lambda route: held.append(route))  # noqa: PLW0108
    person.prepares("cat")
    with person.page.expect_request(REGISTER):
        person.clicks("Envoyer")
    person.page.evaluate(
        "addEventListener('keydown', (event) => event.stopImmediatePropagation(), true)"
    )
    person.page.keyboard.press("Escape")
    person.reads("back.stays").reads("send.going")
    held[0].continue_()
    person.sees("receipt").reads("receipt.live.one")


def test_a_request_that_may_have_arrived_stays_so_whatever_its_next_attempts_say(
    person: Person, site: Site
) -> None:
    person.page.route(REGISTER, lose)
    person.prepares("cat").clicks("Envoyer")
    person.reads("wait.UNAVAILABLE").clicks("Arrêter")
    person.reads("send.failed.unknown.one")
    person.page.unroute(REGISTER)
    person.page.route(REGISTER, refusing(429, "OVERLOADED", 9))
    person.clicks("Reprendre l'envoi").reads("wait.OVERLOADED").reads("wait.again")
    person.clicks("Arrêter")
    person.reads("send.failed.unknown.one")
    assert person.button("Retour").count() == 0
    person.page.unroute(REGISTER)
    person.page.context.set_offline(True)
    person.clicks("Reprendre l'envoi").reads("wait.OFFLINE").clicks("Arrêter")
    person.reads("send.failed.unknown.one")
    person.page.context.set_offline(False)
    person.clicks("Reprendre l'envoi").sees("receipt")
    assert items(site, person) == 1


def test_a_request_id_that_was_used_for_something_else_is_no_refusal(person: Person) -> None:
    person.page.route(REGISTER, refusing(409, "REQUEST_ID_REUSED"))
    person.prepares("cat").clicks("Envoyer")
    person.reads("send.title.stopped").reads("send.failed.unknown.one")


def test_a_busy_service_gets_one_file_at_a_time(person: Person, site: Site) -> None:
    sizes: list[int] = []

    def answer(route: Route) -> None:
        body = route.request.post_data_buffer or b""
        sizes.append(len(registration_pb2.RegisterHashesRequest.FromString(body).items))
        if sizes[-1] > 1:
            refusing(429, "OVERLOADED", 1)(route)
        else:
            route.continue_()

    person.page.route(REGISTER, answer)
    person.prepares("cat", "coffee", "rocket").clicks("Envoyer").sees("receipt")
    assert sizes == [3, 1, 1, 1]
    assert items(site, person) == 3


def test_a_number_and_pin_that_are_mistyped_are_not_sent_and_those_of_no_case_refused(
    person: Person,
) -> None:
    sent: list[str] = []
    person.page.on("request", lambda request: sent.append(request.method))
    number, pin = (person.page.get_by_label(name) for name in ("Numéro de dossier", "Code PIN"))
    person.opens("AVMJ-9P6W-WQB", "1234").reads("number.bad").reads("open.pin.bad")
    expect(number).to_be_focused()
    number.fill("AVMJ-9P6W-WQA")
    person.clicks("Ouvrir").reads("open.pin.bad")
    expect(pin).to_be_focused()
    assert "POST" not in sent
    person.clicks("Retour").opens("AVMJ-9P6W-WQA", "0" * 12).reads("error.CASE_REFUSED")
    person.reads("open.refused")
    expect(number).to_be_focused()


def test_a_withdrawal_without_an_answer_may_be_repeated(person: Person) -> None:
    person.registers(photograph("cat"))
    person.clicks("Voir le dossier").sees("case").clicks("Retirer tout le dossier")
    person.page.route("**/WithdrawCase", refusing(500, "INTERNAL"), times=1)
    person.clicks("Oui, retirer").reads("case.unclear")
    person.clicks("Oui, retirer").sees("case").reads("withdraw.done")


def test_a_withdrawal_that_was_left_before_its_answer_is_not_passed_over(person: Person) -> None:
    person.registers(photograph("cat"), photograph("coffee"))
    person.clicks("Voir le dossier").sees("case").clicks("Retirer Image 1")
    person.page.route("**/WithdrawItems", lose)
    person.clicks("Oui, retirer").reads("wait.UNAVAILABLE")
    person.clicks("Non, ne rien changer").sees("case")
    person.reads("case.changed").reads("case.withdrawn", numbers=1)


def test_a_page_that_was_loaded_again_says_what_it_forgot_and_where_to_look(
    person: Person, site: Site
) -> None:
    number, pin = person.registers(photograph("cat"))
    person.page.reload()
    person.sees("welcome").reads("welcome.reloaded")
    person.opens(number, pin).sees("case").reads("case.image", number=1)
    assert len(site.case(number, pin).items) == 1


def test_a_worker_that_cannot_be_loaded_is_explained_and_tried_again(person: Person) -> None:
    person.page.route("**/worker.js", lambda route: route.abort())
    person.says_age().chooses(photograph("cat")).is_ready()
    person.reads("refused.NOT_LOADED")
    person.page.unroute("**/worker.js")
    person.chooses(photograph("cat")).is_ready().reads("choose.ready.one")
