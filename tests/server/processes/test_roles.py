"""Roles of servers: what they need, and when a writer is ready."""

from __future__ import annotations

import pytest

from disrupt.errors import ConfigurationError
from disrupt.server.calls.health import REGISTRATION
from disrupt.server.config import Config
from disrupt.server.processes.monitoring import unready_writer


@pytest.mark.parametrize("state", ["down", "starting", "waiting", "silent"])
def test_a_writer_that_does_not_write_is_not_ready(state: str) -> None:
    processes = [{"role": "writer", "state": state}]
    assert unready_writer(processes) == {REGISTRATION: [f"writer: {state}"]}
    serving = {"role": "writer", "state": "serving"}
    assert unready_writer([serving]) == {REGISTRATION: []}
    assert unready_writer([serving | {"not_serving": [REGISTRATION]}])[REGISTRATION]


def test_a_role_needs_the_settings_of_other_machines() -> None:
    with pytest.raises(ConfigurationError, match="internal_listen"):
        Config.load(None, data_dir="data", role="writer")
    internal = {f"internal_{name}": "127.0.0.1:1" for name in ("listen", "cert", "key", "ca")}
    with pytest.raises(ConfigurationError, match="role match needs writers"):
        Config.load(None, data_dir="data", role="match", **internal)
    with pytest.raises(ConfigurationError, match="no other role has them"):
        Config.load(None, data_dir="data", role="writer", writers="ipv4:127.0.0.1:1", **internal)
    with pytest.raises(ConfigurationError, match="role"):
        Config.load(None, data_dir="data", role="everything")
