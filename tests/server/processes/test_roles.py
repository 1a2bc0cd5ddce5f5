"""Servers of other roles than all: what they consist of, and what they answer."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from benchmarks.harness.deployment import Deployment, run
from disrupt.data_directory import DataDirectory
from disrupt.errors import ConfigurationError
from disrupt.server.calls.health import REGISTRATION
from disrupt.server.config import Config
from disrupt.server.processes.monitoring import unready_writer
from disrupt.v1 import review_pb2
from disrupt.v1.review_pb2_grpc import ReviewServiceStub
from tests.server.caller import TIMEOUT_S, outcome
from tests.server.fleet import Authority

Start = Callable[..., Deployment]


def test_a_writer_answers_other_machines_and_is_reloaded(
    start: Start, tmp_path: Path, free_port: int
) -> None:
    authority = Authority(tmp_path / "machines")
    authority.certify("writer-1", "writer")
    authority.certify("node-1", "match")
    settings = 'role = "writer"\n' + authority.settings("writer-1", free_port)
    server = start(settings=settings)
    assert server.address == f"127.0.0.1:{free_port}"
    states = DataDirectory(server.data_dir).ask_supervisor("states")
    assert [(child["name"], child["state"]) for child in states["processes"]] == [
        ("writer", "serving")
    ]
    assert run("disrupt", "health", "--data-dir", server.data_dir)
    with urllib.request.urlopen(f"http://{server.metrics_address()}/readyz") as answer:
        assert answer.read().decode() == f"{REGISTRATION}: ready\n"
    server.make_key("platform", "match")
    run("disrupt", "reload", "--data-dir", server.data_dir)
    with authority.channel(free_port, "node-1") as channel:
        call = ReviewServiceStub(channel).ListItems
        named = (("disrupt-key-id", "nobody"),)
        request = review_pb2.ListItemsRequest()
        assert outcome(lambda: call(request, metadata=named, timeout=TIMEOUT_S)) is (
            grpc.StatusCode.UNAUTHENTICATED
        )
    assert not (server.data_dir / "index").exists()
    assert server.stop() == 0


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
    with pytest.raises(ConfigurationError, match="role"):
        Config.load(None, data_dir="data", role="everything")
