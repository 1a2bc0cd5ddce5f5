"""Fixtures of the clients in other languages."""

from __future__ import annotations

import pytest

from disrupt.client import MatchClient
from disrupt.core.cases import AgeBand
from disrupt.submission.client import SubmissionClient
from rig.media.generated import picture
from rig.servers.deployment import Deployment
from rig.waiting import eventually
from tests.clients.registered import Registered


@pytest.fixture(scope="session")
def registered(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Registered:
    """Register a picture."""
    file = picture(tmp_path_factory.mktemp("registered") / "a.png", 7200)
    key = deployment.make_key("platform of other languages", "match")
    helpline = deployment.make_key("helpline of other languages", "register")
    with SubmissionClient(deployment.address, key=helpline) as submission:
        submission.submit([file], age=AgeBand.ADULT)
    with MatchClient(deployment.address, key=key) as client:
        eventually(lambda: bool(client.match_image(file).matches))
    return Registered(deployment.address, key, file)
