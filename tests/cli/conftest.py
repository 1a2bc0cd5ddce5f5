"""Commands that know the address and keys of the session's server."""

from __future__ import annotations

import pytest

from rig.callers.shell import Shell
from rig.servers.deployment import Deployment


@pytest.fixture(scope="session")
def disrupt(deployment: Deployment) -> Shell:
    return Shell(
        deployment.address,
        deployment.make_key("helpline of the commands", "register"),
        deployment.make_key("platform of the commands", "match"),
    )
