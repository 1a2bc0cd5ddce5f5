"""Changes of a key by the command hold in every worker of a running server."""

from __future__ import annotations

import json
from typing import Any

import grpc
from click.testing import CliRunner

from disrupt.cli import main
from disrupt.server.edge.today import today
from rig.callers.caller import Caller, distinctive, matches, outcome, register
from rig.servers.deployment import Deployment
from rig.servers.registries import expire
from rig.waiting import eventually

OK, DENIED, REFUSED = (
    grpc.StatusCode.OK,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
)

SEVERAL = 6
"""Connections of a look, so that it sees both workers."""


def keys(server: Deployment, *words: str) -> Any:
    """Run a command of `disrupt keys`; return what it prints."""
    done = CliRunner().invoke(main, ["keys", *words, "--json", "--data-dir", str(server.data_dir)])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def everywhere(server: Deployment, secret: str) -> set[grpc.StatusCode]:
    """Return the codes with which the workers answer a lookup."""
    return {outcome(lambda: matches(server.address, secret, bytes(32))) for _ in range(SEVERAL)}


def test_every_worker_follows_rights_and_banks_of_a_key(
    server: Deployment, helpline: Caller
) -> None:
    value = distinctive()
    helpline("RegisterHashes", register(value))  # of an adult
    made = keys(server, "create", "some", "--right", "match")
    secret, key_id = made["secret"], made["key_id"]

    def seen() -> set[int]:
        return {matches(server.address, secret, value) for _ in range(SEVERAL)}

    eventually(lambda: seen() == {1})
    changed = keys(server, "set", key_id, "--bank", "minors")
    assert (changed["banks"], changed["rights"]) == (["minors"], ["match"])
    eventually(lambda: seen() == {0})
    keys(server, "set", key_id, "--right", "review", "--right", "feed")
    eventually(lambda: everywhere(server, secret) == {DENIED})
    keys(server, "set", key_id, "--right", "match")
    eventually(lambda: everywhere(server, secret) == {OK})


def test_a_rotated_key_and_its_successor_both_work_until_the_old_one_expires(
    server: Deployment,
) -> None:
    made = keys(server, "create", "some", "--right", "match", "--organisation", "platform")
    rotated = keys(server, "rotate", made["key_id"], "--overlap-days", "1")
    assert (rotated["organisation"], rotated["rights"]) == ("platform", ["match"])
    assert rotated["replaced"]["expires_on"] > today()
    eventually(lambda: everywhere(server, rotated["secret"]) == {OK})
    assert everywhere(server, made["secret"]) == {OK}
    expire(server, made["key_id"])
    eventually(lambda: everywhere(server, made["secret"]) == {REFUSED})
    assert everywhere(server, rotated["secret"]) == {OK}
    keys(server, "set", made["key_id"], "--expires", "never")
    eventually(lambda: everywhere(server, made["secret"]) == {OK})


def test_the_day_on_which_a_key_was_used_is_noted(server: Deployment) -> None:
    used, unused = (keys(server, "create", name, "--right", "match") for name in ("one", "other"))
    before = today()
    assert everywhere(server, used["secret"]) == {OK}

    def last_used(key_id: str) -> str:
        listed = keys(server, "list")["keys"]
        (day,) = (row["last_used_on"] for row in listed if row["key_id"] == key_id)
        return str(day)

    eventually(lambda: bool(last_used(used["key_id"])))
    assert before <= last_used(used["key_id"]) <= today()
    assert last_used(unused["key_id"]) == ""
