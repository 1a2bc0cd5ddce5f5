"""On a disk that is really full, acknowledged data stays; lookups and withdrawals go on."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from disrupt.client import MatchClient
from disrupt.client.failures import failure
from disrupt.errors import StorageFullError
from rig.callers.caller import TIMEOUT_S, health
from rig.callers.desk import Desk
from rig.callers.shell import typed
from rig.faults.disks import fill, mounted
from rig.model.write import Write
from rig.servers.deployment import BIN, Deployment
from rig.waiting import eventually

CONNECTIONS = 4
CREATE = ("keys", "create", "p", "--right", "match")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(place := tmp_path / "small", "48m") as is_small:
        if not is_small:
            pytest.skip("mounting a file system needs root")
        yield place


def the_key(data_dir: Path) -> dict[str, str]:
    """Return the one key of a data directory."""
    listed: list[dict[str, str]] = typed("keys", "list", "--json", "--data-dir", data_dir).json[
        "keys"
    ]
    (key,) = listed
    return key


def test_a_key_whose_secret_cannot_be_written_is_revoked(small_disk: Path, tmp_path: Path) -> None:
    fill(small_disk / "filler")
    file, data_dir = small_disk / "platform.key", tmp_path
    made = typed(*CREATE, "--secret-file", file, "--data-dir", data_dir)
    assert made.code == 1
    assert "cannot be written: No space left on device. The key" in made.err
    assert not file.exists()
    assert the_key(data_dir)["revoked_on"]


def test_a_server_starts_where_its_standard_output_is_full(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full, (tmp_path / "log").open("w+") as log:
        server = subprocess.Popen(
            [BIN / "disrupt", "serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0"],
            stdout=full,
            stderr=log,
        )
        try:
            eventually(lambda: '"not_announced"' in (tmp_path / "log").read_text())
            line = json.loads((tmp_path / "log").read_text().splitlines()[-1])
            assert health(line["address"]) == HealthCheckResponse.SERVING
        finally:
            server.terminate()
        assert server.wait(TIMEOUT_S) == 0


def unseen(*words: str) -> str:
    """Run a command whose standard output is full; return what it says on standard error."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [str(BIN / "disrupt"), *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    return done.stderr


def test_a_key_whose_secret_cannot_be_shown_is_revoked(tmp_path: Path) -> None:
    data_dir = str(tmp_path)
    said = unseen(*CREATE, "--data-dir", data_dir)
    assert said.startswith("Error: Standard output cannot be written: No space left")
    key = the_key(tmp_path)
    assert key["revoked_on"]
    revoked = unseen("keys", "revoke", key["key_id"], "--data-dir", data_dir)
    for form in ((), ("--json",)):
        unlisted = unseen("keys", "list", "--data-dir", data_dir, *form)
        assert unlisted == "Error: Standard output cannot be written: No space left on device.\n"
    done = "Error: It is done, but standard output cannot be written: No space left on device.\n"
    assert revoked == done
    assert unseen("erase", "--data-dir", data_dir) == done


def refused(desk: Desk, write: Write) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        desk.register(write)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert isinstance(failure(caught.value, "server"), StorageFullError)


def matched(client: MatchClient, write: Write) -> list[bool]:
    """Tell whether all its items match, for each of the connections."""
    outcomes = []
    for _ in range(CONNECTIONS):
        answers = client.match_hashes(write.hashes, max_distance_bits=0)
        ids = [{match.item_id for match in answer.matches} for answer in answers]
        outcomes.append(all(a.hex() in b for a, b in zip(write.item_ids, ids, strict=True)))
    return outcomes


def until(client: MatchClient, write: Write, *, matches: bool) -> None:
    eventually(lambda: matched(client, write) == [matches] * CONNECTIONS)


def test_full_disk_stops_registrations_alone_and_until_there_is_room(small_disk: Path) -> None:
    chance = random.Random(5)
    filler, data_dir = small_disk / "filler", small_disk / "data"
    server = Deployment.start(data_dir)  # the server's log is on that disk too
    with ExitStack() as stack:
        stack.callback(lambda: server.kill())  # noqa: PLW0108 the one that runs by then
        register, match = (server.make_key(right, right) for right in ("register", "match"))
        desk = stack.enter_context(Desk(server.address, register).open())
        client = stack.enter_context(
            MatchClient(server.address, key=match, connections=CONNECTIONS)
        )
        kept = [Write.new(chance) for _ in range(3)]
        for write in kept:
            desk.register(write)
        until(client, kept[-1], matches=True)

        fill(filler)
        pending = Write.new(chance, items=20, hashes=20)
        for _ in range(3):
            refused(desk, pending)
            assert all(all(matched(client, write)) for write in kept)
        gone = kept.pop(0)
        desk.withdraw(gone)
        until(client, gone, matches=False)
        fill(filler)  # the space that the log gave back
        refused(desk, pending)
        also_gone = kept.pop(0)
        desk.withdraw(also_gone)
        until(client, also_gone, matches=False)
        assert all(all(matched(client, write)) for write in kept)

        filler.unlink()
        desk.register(pending)
        kept.append(pending)
        until(client, pending, matches=True)
        assert all(all(matched(client, write)) for write in kept)
        assert not any(matched(client, gone) + matched(client, also_gone))

        server.kill()
        server = Deployment.start(data_dir)
        with MatchClient(server.address, key=match) as again:
            assert all(all(matched(again, write)) for write in kept)
            assert not any(matched(again, gone) + matched(again, also_gone))


def test_a_backup_that_finds_no_room_says_so_and_leaves_nothing(
    small_disk: Path, tmp_path: Path
) -> None:
    data = ("--data-dir", tmp_path / "data")
    (tmp_path / "data").mkdir()
    assert typed(*CREATE, *data).code == 0
    fill(small_disk / "filler")
    made = typed("backup", *data, "--to", small_disk / "monday")
    assert (made.code, "cannot be written: " in made.err) == (1, True)
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_first_start_that_finds_no_room_names_it_and_no_lost_secrets(small_disk: Path) -> None:
    data_dir = small_disk / "data"
    data_dir.mkdir()
    fill(small_disk / "filler")
    made = typed(*CREATE, "--data-dir", data_dir)
    assert (made.code, "secrets.json cannot be made: " in made.err) == (1, True)
