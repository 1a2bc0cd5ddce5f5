"""Roles of servers: what they need, and when a writer is ready."""

from __future__ import annotations

from pathlib import Path

import pytest

from disrupt.data_directory import DataDirectory
from disrupt.errors import ConfigurationError
from disrupt.server.config import Config
from disrupt.server.edge.health import REGISTRATION
from disrupt.server.supervisor.monitoring import unready_writer
from disrupt.server.supervisor.preparation import check_internal_certificate, load
from rig.servers.certificates import pair


@pytest.mark.parametrize("state", ["down", "starting", "waiting", "silent"])
def test_a_writer_that_does_not_write_is_not_ready(state: str) -> None:
    processes = [{"role": "writer", "state": state}]
    assert unready_writer(processes) == {REGISTRATION: [f"writer: {state}"]}
    serving = {"role": "writer", "state": "serving"}
    assert unready_writer([serving]) == {REGISTRATION: []}
    assert unready_writer([serving | {"not_serving": [REGISTRATION]}])[REGISTRATION]


def config_of(role: str, folder: Path, certified: str) -> Config:
    made = pair(folder, certified)
    return Config.load(
        None,
        data_dir=folder,
        role=role,
        internal_listen="127.0.0.1:1",
        internal_cert=made.certificate,
        internal_key=made.key,
        internal_ca=made.certificate,
        writers="ipv4:127.0.0.1:1" if role == "match" else None,
    )


@pytest.mark.parametrize(("role", "name"), [("all", "writer"), ("match", "match")])
def test_a_certificate_of_another_role_is_refused(role: str, name: str, tmp_path: Path) -> None:
    check_internal_certificate(config_of(role, tmp_path, name))
    for other in ({"writer", "match"} - {name}).pop(), "127.0.0.1":
        with pytest.raises(ConfigurationError, match=f"lacks the DNS name {name}"):
            check_internal_certificate(config_of(role, tmp_path, other))


def test_a_writer_keeps_no_index_of_an_earlier_role(tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path)
    directory.note_registry_url("postgresql://nobody@127.0.0.1:1/none")
    (directory.index / "1").mkdir(parents=True)
    assert load(config_of("writer", tmp_path, "writer")) == 0
    assert not directory.index.exists()


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
