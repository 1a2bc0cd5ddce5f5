"""A door before a server that has a registered picture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from disrupt.client import MatchClient
from disrupt.core.cases import AgeBand
from disrupt.submission.client import SubmissionClient
from rig.media.generated import picture
from rig.servers.deployment import Deployment
from rig.servers.door import door
from rig.waiting import eventually
from tests.door.sites import Site

POLICY = """
names = { adults = "NCII" }
featureless = "pass"
[actions.minors]
whole = "shadow"
"""


@pytest.fixture(scope="session")
def site(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a door with a policy: refuse whole pictures of adults, and count those of minors."""
    folder = tmp_path_factory.mktemp("door")
    names = ("adult.png", "minor.png", "other.png")
    files = [picture(folder / name, seed) for seed, name in enumerate(names, 7100)]
    key = deployment.make_key("platform of the door", "match")
    helpline = deployment.make_key("helpline of the door", "register")
    with SubmissionClient(deployment.address, key=helpline) as submission:
        (item,) = submission.submit([files[0]], age=AgeBand.ADULT).registered
        submission.submit([files[1]], age=AgeBand.MINOR)
    with MatchClient(deployment.address, key=key) as client:
        eventually(lambda: all(client.match_image(file).matches for file in files[:2]))
    with door(folder / "state", deployment.address, key, POLICY) as running:
        yield Site(running, deployment.address, key, files[0], item.item_id, files[1], files[2])
