"""A desk before the session's server, and staff who use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.callers.passkeys import Authenticator
from rig.servers.deployment import Deployment
from rig.servers.desk import ORIGIN, Browser, Running, running
from tests.desk.staff import signed_in


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
