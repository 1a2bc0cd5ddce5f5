"""A server serves the registry that its index was built from, and no older copy."""

from __future__ import annotations

import secrets as random
from pathlib import Path
from random import Random

import grpc
import pytest

from disrupt.data_directory import DataDirectory
from disrupt.registry import sqlite
from rig.callers.caller import calling, lookup, matches, outcome, refusal, register
from rig.media.registrations import DAY, registration
from rig.servers.deployment import CommandFailedError, Deployment, Start, run
from rig.waiting import eventually

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Desk:
    """A client that registers and one that looks up, at one server."""

    def __init__(self, server: Deployment) -> None:
        self.server = server
        self.match = server.make_key("p", "match")
        self.helpline = server.make_key("h", "register")

    def register(self) -> bytes:
        value = random.token_bytes(32)
        with calling(self.server.address, self.helpline) as caller:
            caller("RegisterHashes", register(value))
        eventually(lambda: matches(self.server.address, self.match, value) == 1)
        return value


def grow(registry: Path, chance: Random) -> None:
    with sqlite.open_writer(registry) as writer:
        writer.register(registration(chance), day=DAY)


def test_an_older_registry_beside_a_newer_index_is_not_served_until_somebody_decides(
    start: Start, tmp_path: Path
) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.make()
    directory.secrets()
    registry, data = directory.registry, ("--data-dir", directory.path)
    grow(registry, Random(1))
    older = registry.read_bytes()
    grow(registry, Random(2))
    run("disrupt-index", "rebuild", *data)
    newer = registry.read_bytes()
    registry.write_bytes(older)

    refused = "The registry is not the one that index/00000001 was built from"
    for command in (("disrupt-index", "gc"), ("disrupt", "erase")):
        with pytest.raises(CommandFailedError, match=refused):
            run(*command, *data)
    for grown in range(3, 5):  # the copy grows to the index's change, and beyond
        with pytest.raises(CommandFailedError, match=refused) as caught:
            run("disrupt", "serve", "--listen", "127.0.0.1:0", *data)
        for remedy in ("disrupt restore", "disrupt-index rebuild --accept-registry"):
            assert remedy in str(caught.value)
        with pytest.raises(CommandFailedError, match=refused):
            run("disrupt-index", "rebuild", *data)
        grow(registry, Random(grown))

    kept = registry.read_bytes()
    registry.write_bytes(newer)
    run("disrupt-index", "verify", *data)
    registry.write_bytes(kept)
    assert "Published generation 2: 3 items" in run(
        "disrupt-index", "rebuild", "--accept-registry", *data
    )
    start(workers=1)


def test_an_older_registry_without_an_index_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.make()
    directory.secrets()
    grow(directory.registry, Random(1))
    older = directory.registry.read_bytes()
    grow(directory.registry, Random(2))
    directory.registry.write_bytes(older)
    with pytest.raises(CommandFailedError, match=r"registry\.head names.*nothing was changed"):
        run("disrupt", "serve", "--listen", "127.0.0.1:0", "--data-dir", directory.path)
    assert not directory.index.exists()


def test_a_registry_exchanged_under_a_running_server_is_neither_served_nor_written(
    start: Start, tmp_path: Path
) -> None:
    server = start(workers=2)
    desk = Desk(server)
    kept = desk.register()
    registry = server.data_dir / "registry.db"
    run("disrupt", "backup", "--to", str(tmp_path / "older"), "--data-dir", str(server.data_dir))
    desk.register()
    (tmp_path / "older" / "registry.db").replace(registry)

    def refuses_lookups() -> bool:
        with calling(server.address, desk.match) as platform:
            return outcome(lambda: platform("MatchHashes", lookup(kept))) == UNAVAILABLE

    # A connection goes to either worker: both must have noticed.
    eventually(lambda: all(refuses_lookups() for _ in range(16)))
    with calling(server.address, desk.match) as platform:
        answer = refusal(lambda: platform("MatchHashes", lookup(kept)))
    assert "registry.db was replaced" in answer.message
    with calling(server.address, desk.helpline) as helpline:
        answer = refusal(lambda: helpline("RegisterHashes", register(random.token_bytes(32))))
    assert answer.code == UNAVAILABLE
    assert "nothing was stored" in answer.message
