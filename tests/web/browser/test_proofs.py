"""Who shares a network whose day is used up pays for earlier turns; nobody else is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, Route, expect

from disrupt.data_directory import DataDirectory
from disrupt.v1 import registration_pb2
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.servers.gateway import running, whole_page
from tests.web.browser.person import Person, photograph, words
from tests.web.browser.site import Site

ASK, WORKER = "**/GetChallenge", "**/proof_worker.js"
SETTINGS = f"{FEW_DECODERS}live_pictures_per_origin = 1\nturns_per_h = 1\nproof_attempts = "


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a page whose visitors' network has used its day up; a proof takes a moment."""
    directory = tmp_path_factory.mktemp("crowded") / "data"
    with Deployment.start(directory, workers=1, settings=f"{SETTINGS}20\n") as server:
        key = server.make_key("page", "register")
        with running(server.address, whole_page(), key=key) as gateway:
            yield Site(gateway.url, server, server.make_key("platform", "match"))


@pytest.fixture
def neighbour(tab: Page, crowded: Site) -> Person:
    """Return somebody at the page, once the day of the network is used up."""
    if not waiting(crowded):
        with tab.context.new_page() as first:
            Person(first, crowded.url).comes().registers(photograph("cat"), photograph("coffee"))
    return Person(tab, crowded.url).comes()


def waiting(site: Site) -> list[bool]:
    """Return of each item that has to wait for its turn, or had to, whether it is paid for."""
    path = DataDirectory(site.server.data_dir).registry
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT is_paid FROM items WHERE wait_reason IS NOT NULL ORDER BY number"
        )
        return [bool(is_paid) for (is_paid,) in rows]


def test_where_the_day_is_used_up_the_page_pays_for_all_pictures_and_says_that_they_wait(
    neighbour: Person, crowded: Site
) -> None:
    before = waiting(crowded)
    names = ("rocket", "cat", "coffee")
    number, pin = neighbour.registers(*map(photograph, names))
    neighbour.reads("receipt.turns.other", count=3)
    assert waiting(crowded)[len(before) :] == [True] * 3
    neighbour.clicks("Voir le dossier").sees("case").reads("case.turn")
    assert len(crowded.case(number, pin).items) == 3


def absent(route: Route) -> None:
    route.abort()


def broken(route: Route) -> None:
    route.fulfill(body="throw new Error('broken')", content_type="text/javascript")


def never(_route: Route) -> None:
    """Answer nothing."""


def damaged(route: Route) -> None:
    answer = registration_pb2.GetChallengeResponse(challenge='{"parameters": {}}')
    route.fulfill(body=answer.SerializeToString(), content_type="application/proto")


TROUBLES: dict[str, tuple[str, Callable[[Route], None]]] = {
    "no challenge": (ASK, absent),
    "a challenge that never comes": (ASK, never),
    "a damaged challenge": (ASK, damaged),
    "no worker": (WORKER, absent),
    "a worker that never comes": (WORKER, never),
    "no library": ("**/altcha-lib/**/pow.js", absent),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_without_a_proof_all_is_registered_and_waits_unpaid(
    neighbour: Person, crowded: Site, trouble: str
) -> None:
    before = waiting(crowded)
    neighbour.page.route(*TROUBLES[trouble])
    neighbour.registers(photograph("rocket"))
    neighbour.reads("receipt.turns.one")
    assert waiting(crowded)[len(before) :] == [False]


def test_what_is_chosen_while_the_page_is_offline_is_registered_and_waits_unpaid(
    neighbour: Person, crowded: Site
) -> None:
    before = waiting(crowded)
    with neighbour.page.expect_request_finished(lambda request: "pow.js" in request.url):
        neighbour.says_age().chooses(photograph("rocket")).is_ready()
    neighbour.page.context.set_offline(True)
    neighbour.chooses(photograph("cat")).is_ready()
    neighbour.page.context.set_offline(False)
    neighbour.goes_to_send().clicks("Envoyer").sees("receipt")
    assert waiting(crowded)[len(before) :] == [True, False]


def test_sending_that_is_stopped_while_it_waits_for_a_proof_has_sent_nothing(
    neighbour: Person, crowded: Site
) -> None:
    before = waiting(crowded)
    neighbour.page.route(WORKER, never)
    neighbour.prepares("rocket")
    neighbour.clicks("Envoyer").clicks("Arrêter").reads("error.STOPPED")
    expect(neighbour.page.get_by_text(words("send.failed.unknown.one"))).to_have_count(0)
    neighbour.clicks("Reprendre l'envoi").sees("receipt")
    assert waiting(crowded)[len(before) :] == [False]


def test_where_nothing_waits_no_proof_is_asked_for(person: Person) -> None:
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    person.registers(photograph("cat"), photograph("coffee"))
    assert asked.count("GetChallenge") == 1
    assert not {"proof_worker.js", "pow.js"} & set(asked)
