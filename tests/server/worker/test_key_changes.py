"""Changes of keys and banks by the commands hold in every worker of a running server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc

from disrupt.core.examples import EXAMPLES
from disrupt.server.edge.today import today
from disrupt.v1 import match_pb2
from rig.callers.acts import all_changes, found, registered, report
from rig.callers.caller import Caller, calling, distinctive, lookup, matches, near, outcome
from rig.callers.shell import typed
from rig.processes.metrics import samples
from rig.servers.deployment import Deployment, Start
from rig.servers.registries import expire
from rig.waiting import eventually

OK, DENIED, REFUSED = (
    grpc.StatusCode.OK,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
)
SEVERAL = 6
"""Connections of a look, so that it sees both workers."""


def command(server: Deployment, *words: str) -> Any:
    """Run a command of `disrupt keys` or `disrupt banks`; return what it prints."""
    done = typed(*words, "--json", "--data-dir", server.data_dir)
    assert done.code == 0, done.err
    return done.json


def codes(server: Deployment, secret: str) -> set[grpc.StatusCode]:
    """Return the codes with which the workers answer a lookup."""
    return {outcome(lambda: matches(server.address, secret, bytes(32))) for _ in range(SEVERAL)}


def counts(server: Deployment, secret: str, value: bytes) -> set[int]:
    """Return how many items the workers find."""
    return {matches(server.address, secret, value) for _ in range(SEVERAL)}


def test_every_worker_follows_rights_banks_and_the_end_of_a_key(
    server: Deployment, helpline: Caller
) -> None:
    value = distinctive()
    registered(helpline, value)  # of an adult
    made = command(server, "keys", "create", "some", "--right", "match")
    secret, key_id = made["secret"], made["key_id"]
    eventually(lambda: counts(server, secret, value) == {1})
    changed = command(server, "keys", "set", key_id, "--bank", "minors")
    assert (changed["banks"], changed["rights"]) == (["minors"], ["match"])
    eventually(lambda: counts(server, secret, value) == {0})
    command(server, "keys", "set", key_id, "--right", "review", "--right", "feed")
    eventually(lambda: codes(server, secret) == {DENIED})
    command(server, "keys", "set", key_id, "--right", "match")
    eventually(lambda: codes(server, secret) == {OK})
    command(server, "keys", "revoke", key_id)
    eventually(lambda: codes(server, secret) == {REFUSED})


def test_a_rotated_key_and_its_successor_both_work_until_the_old_one_expires(
    server: Deployment,
) -> None:
    words = ("--right", "match", "--organisation", "platform")
    made = command(server, "keys", "create", "some", *words)
    rotated = command(server, "keys", "rotate", made["key_id"], "--overlap-days", "1")
    assert (rotated["organisation"], rotated["rights"]) == ("platform", ["match"])
    assert rotated["replaced"]["expires_on"] > today()
    eventually(lambda: codes(server, rotated["secret"]) == {OK})
    assert codes(server, made["secret"]) == {OK}
    expire(server, made["key_id"])
    eventually(lambda: codes(server, made["secret"]) == {REFUSED})
    assert codes(server, rotated["secret"]) == {OK}
    command(server, "keys", "set", made["key_id"], "--expires", "never")
    eventually(lambda: codes(server, made["secret"]) == {OK})


def test_the_day_on_which_a_key_was_used_is_noted(server: Deployment) -> None:
    used, unused = (
        command(server, "keys", "create", name, "--right", "match") for name in ("one", "other")
    )
    before = today()
    assert codes(server, used["secret"]) == {OK}

    def last_used(key_id: str) -> str:
        listed = command(server, "keys", "list")["keys"]
        (day,) = (row["last_used_on"] for row in listed if row["key_id"] == key_id)
        return str(day)

    eventually(lambda: bool(last_used(used["key_id"])))
    assert before <= last_used(used["key_id"]) <= today()
    assert last_used(unused["key_id"]) == ""


def test_every_worker_follows_distance_and_organisations_of_a_bank(start: Start) -> None:
    server, value = start(workers=2), distinctive()
    some, other = (server.make_key(name, "match") for name in ("some", "other"))
    with calling(server.address, server.make_key("helpline", "register")) as helpline:
        registered(helpline, value)
    far = near(value, 20)
    eventually(lambda: counts(server, some, far) == {1})
    changed = command(server, "banks", "set", "adults", "--distance", "19")
    assert changed["max_distance_bits"] == 19
    eventually(lambda: counts(server, some, far) == {0})
    command(server, "banks", "set", "adults", "--distance", "20", "--organisation", "some")
    eventually(lambda: counts(server, some, far) == {1})
    eventually(lambda: counts(server, other, far) == {0})
    with calling(server.address, other) as refused:
        assert outcome(lambda: found(refused, value, banks=["adults"])) is DENIED
    command(server, "banks", "set", "adults", "--all-organisations")
    eventually(lambda: counts(server, other, far) == {1})
    names = [row["name"] for row in command(server, "banks", "list")["banks"]]
    assert names == ["adults", "minors", "common"]


def test_the_test_bank_is_searched_by_its_name_only_and_counts_nowhere(
    start: Start, tmp_path: Path
) -> None:
    server, example = start(workers=1), EXAMPLES[0]
    value = example.pdq_hash.value
    key = server.make_key("platform", "match", "feed")
    self_test = ("match", "--self-test", "--server", server.address)
    missing = typed(*self_test, DISRUPT_KEY=key)
    assert (missing.code, "disrupt banks create test" in missing.err) == (1, True)
    assert typed(*self_test, "upload.jpg", DISRUPT_KEY=key).code == 2
    for _ in range(2):
        command(server, "banks", "create", "test")
    with calling(server.address, key) as platform:
        named = lookup(value, banks=["test"])
        eventually(lambda: outcome(lambda: platform("MatchHashes", named)) is OK)
        eventually(lambda: found(platform, value, banks=["test"]) == [example.item_id])
        assert not found(platform, value)
        matched = platform("MatchHashes", named).matches.match_ids[0]
        report(platform, matched, match_pb2.OUTCOME_BLOCKED)
        assert not all_changes(platform)
        assert not platform("GetIndexStatus", match_pb2.GetIndexStatusRequest()).items
    for options in ((), ("--send-pictures",)):
        assert "Both matched" in typed(*self_test, *options, DISRUPT_KEY=key).out
    pictures = tmp_path / "pictures"
    assert typed("examples", pictures).code == 0
    files = sorted(pictures.iterdir())
    assert len(files) == 2 * len(EXAMPLES)
    of_the_bank = server.make_key("platform of the bank", "match", banks=("test",))
    words = ("match", "--server", server.address, "--json")
    rows = map(json.loads, typed(*words, *files, DISRUPT_KEY=of_the_bank).out.splitlines())
    items = sorted(match["item"] for row in rows for match in row["matches"])
    assert items == sorted(each.item_id.hex() for each in EXAMPLES * 2)
    for prefix in ("disrupt_matches_", "disrupt_outcomes_"):
        assert not any(each.value for each in samples(server.metrics_address(), prefix))
