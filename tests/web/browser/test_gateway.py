"""The page while the gateway is away, starts anew, or is behind a proxy that is busy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.harness.deployment import Deployment
from disrupt.web.files import PAGE
from tests.hashing.pictures import PHOTOS
from tests.web.browser.person import Person, photograph
from tests.web.browser.site import Site
from tests.web.browser.test_trouble import items
from tests.web.pictures import file_of
from tests.web.proxying import NEEDS_HAPROXY, proxied
from tests.web.running import HOST, Web

Restarts = Callable[[], None]


@pytest.fixture
def own(start: Callable[..., Web], server: Deployment, key: str) -> Web:
    return start(server.address, "--page", str(PAGE), key=key)


@pytest.fixture
def restart(own: Web, start: Callable[..., Web], server: Deployment, key: str) -> Restarts:
    """Return what starts the gateway anew where it was, once it has stopped."""
    options = ("--page", str(PAGE), "--listen", f"{HOST}:{own.port}")

    def again() -> None:
        start(server.address, *options, key=key)

    return again


def test_a_page_from_before_a_restart_of_the_gateway_registers(
    tab: Page, own: Web, restart: Restarts, site: Site
) -> None:
    person = Person(tab, f"http://{HOST}:{own.port}").comes()
    person.says_age().chooses(photograph("coffee")).is_ready().goes_to_send()
    own.stop()
    person.clicks("Envoyer").reads("Le service ne répond pas")
    restart()
    person.sees("receipt")
    assert items(site, *person.number_and_pin()) == 1


@pytest.mark.parametrize("hashed_before", [True, False])
def test_a_part_of_the_page_that_does_not_come_is_said_and_the_file_may_be_chosen_again(
    tab: Page, own: Web, restart: Restarts, tmp_path: Path, hashed_before: bool
) -> None:
    heic = tmp_path / "a.heic"
    heic.write_bytes(file_of(PHOTOS["astronaut"], "HEIF"))
    person = Person(tab, f"http://{HOST}:{own.port}").comes().says_age()
    if hashed_before:
        person.chooses(photograph("cat")).is_ready().reads("1 fichier est prêt.")
    own.stop()
    tab.locator("#files").set_input_files(heic)
    person.reads("n'a pas pu être chargée")
    restart()
    tab.locator("#files").set_input_files(heic)
    person.reads("2 fichiers sont prêts." if hashed_before else "1 fichier est prêt.")
    expect(tab.get_by_text("n'a pas pu être chargée")).to_have_count(0)


def test_a_worker_that_lacks_a_part_is_replaced(person: Person, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(file_of(PHOTOS["coffee"], "PNG"))
    person.page.route("**/shapes.bin", lambda route: route.abort(), times=1)
    person.says_age()
    person.page.locator("#files").set_input_files(picture)
    person.reads("n'a pas pu être chargée")
    person.page.locator("#files").set_input_files(picture)
    person.reads("1 fichier est prêt.")


@NEEDS_HAPROXY
def test_a_network_that_the_proxy_refuses_waits_and_then_registers(
    browser: Browser,
    start: Callable[..., Web],
    server: Deployment,
    key: str,
    tmp_path: Path,
    free_port: int,
) -> None:
    bounds = {"bodies.BODY_S": 600.0, "connections.REQUEST_S": 600.0}
    options = ("--page", str(PAGE), "--trusted-proxy", HOST)
    web = start(server.address, *options, key=key, bounds=bounds)
    context = browser.new_context(ignore_https_errors=True)
    with proxied(web, tmp_path, free_port) as proxy:
        person = Person(context.new_page(), f"https://localhost:{proxy.port}").comes()
        person.says_age().chooses(photograph("rocket")).is_ready().goes_to_send()
        with proxy.full():
            person.clicks("Envoyer").reads("Le service est très demandé").reads("Nouvel essai dans")
        person.sees("receipt")
    context.close()
