"""A desk before the session's server, and staff who use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from rig.callers.passkeys import Authenticator
from rig.ports import free_port
from rig.servers.deployment import Deployment
from rig.servers.desk import ORIGIN, Browser, Running, running
from tests.desk.browsing import Analyst, Site, page_of, serving
from tests.desk.staff import People, signed_in
from tests.web.browser.chromium import chromium


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """Return the folder of passkeys."""
    return tmp_path / "desk"


@pytest.fixture
def desk(deployment: Deployment, state_dir: Path) -> Iterator[Running]:
    with running(deployment.address, state_dir) as desk:
        yield desk


@pytest.fixture(scope="session")
def review_key(deployment: Deployment) -> str:
    return deployment.make_key("analyst", "review")


@pytest.fixture
def authenticator() -> Authenticator:
    """Return a device with passkeys."""
    return Authenticator(ORIGIN)


@pytest.fixture
def analyst(desk: Running, authenticator: Authenticator, review_key: str) -> Browser:
    """Return somebody who has enrolled a passkey, and is signed in."""
    return signed_in(desk, review_key, authenticator)


@pytest.fixture(scope="module")
def site(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(deployment.address, tmp_path_factory.mktemp("desk"), free_port()) as site:
        yield site


@pytest.fixture(scope="module")
def browser(site: Site) -> Iterator[Chromium]:
    with chromium(f"--ignore-certificate-errors-spki-list={site.certificate_hash}") as browser:
        yield browser


@pytest.fixture(scope="session")
def people(deployment: Deployment) -> People:
    return People(deployment)


@pytest.fixture
def at_desk(browser: Chromium, site: Site, review_key: str) -> Iterator[Analyst]:
    page = page_of(browser)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Analyst(page, site).comes().enrols(review_key)
    page.context.close()
    assert errors == []
