"""What is changed of a key takes effect in every worker of a real server, and in open calls."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from itertools import repeat
from typing import Any

import grpc
import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.server.days import today
from disrupt.v1 import match_pb2
from tests.server.caller import (
    Caller,
    calling,
    distinctive,
    eventually,
    lookup,
    matches,
    outcome,
    refusal,
    register,
)
from tests.server.running import expire, typed

pytestmark = pytest.mark.slow

SEVERAL = 8
"""Connections of a look, so that it sees both workers."""


def keys(server: Deployment, *words: str) -> Any:
    """Run a command of `disrupt keys`; return what it prints."""
    return json.loads(typed("disrupt", "keys", *words, "--json", "--data-dir", server.data_dir))


def listed(server: Deployment, key_id: str) -> dict[str, Any]:
    """Return what `disrupt keys list` prints of a key."""
    (row,) = (row for row in keys(server, "list")["keys"] if row["key_id"] == key_id)
    return dict(row)


def everywhere(server: Deployment, secret: str) -> set[grpc.StatusCode]:
    """Return the codes with which the workers answer a lookup."""
    return {outcome(lambda: matches(server.address, secret, bytes(32))) for _ in range(SEVERAL)}


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (
            lambda server, key_id: keys(server, "set", key_id, "--right", "feed"),
            grpc.StatusCode.PERMISSION_DENIED,
            "RIGHT_MISSING",
        ),
        (
            lambda server, key_id: keys(server, "set", key_id, "--bank", "minors"),
            grpc.StatusCode.UNAVAILABLE,
            "UNAVAILABLE",
        ),
        (expire, grpc.StatusCode.UNAUTHENTICATED, "KEY_REFUSED"),
    ],
    ids=["right", "bank", "expiry"],
)
def test_an_open_flow_ends_when_its_key_allows_less(
    server: Deployment,
    change: Callable[[Deployment, str], object],
    code: grpc.StatusCode,
    reason: str,
) -> None:
    made = keys(server, "create", "some", "--right", "match")
    batch = match_pb2.StreamMatchHashesRequest(batch=lookup(bytes(32)))
    with calling(server.address, made["secret"]) as caller:
        answered = caller("StreamMatchHashes", repeat(batch))
        next(answered)
        change(server, made["key_id"])
        refused = refusal(lambda: deque(answered, maxlen=0))
    assert (refused.code, refused.reason) == (code, reason)


def test_every_worker_follows_the_rights_of_a_key(server: Deployment) -> None:
    made = keys(server, "create", "some", "--right", "match")
    assert everywhere(server, made["secret"]) == {grpc.StatusCode.OK}
    keys(server, "set", made["key_id"], "--right", "review", "--right", "feed")
    denied = {grpc.StatusCode.PERMISSION_DENIED}
    eventually(lambda: everywhere(server, made["secret"]) == denied)
    keys(server, "set", made["key_id"], "--right", "match")
    eventually(lambda: everywhere(server, made["secret"]) == {grpc.StatusCode.OK})


def test_every_worker_follows_the_banks_of_a_key(server: Deployment, helpline: Caller) -> None:
    value = distinctive()
    helpline("RegisterHashes", register(value))  # of an adult
    made = keys(server, "create", "some", "--right", "match")

    def seen() -> set[int]:
        return {matches(server.address, made["secret"], value) for _ in range(SEVERAL)}

    eventually(lambda: seen() == {1})
    changed = keys(server, "set", made["key_id"], "--bank", "minors")
    assert (changed["banks"], changed["rights"]) == (["minors"], ["match"])
    eventually(lambda: seen() == {0})
    keys(server, "set", made["key_id"], "--bank", "minors", "--bank", "adults")
    eventually(lambda: seen() == {1})


def test_a_rotated_key_and_its_successor_both_work_until_the_old_one_expires(
    server: Deployment,
) -> None:
    made = keys(server, "create", "some", "--right", "match", "--organisation", "platform")
    rotated = keys(server, "rotate", made["key_id"], "--overlap-days", "0")
    assert rotated["replaced"]["expires_on"] == today()
    assert (rotated["organisation"], rotated["rights"]) == ("platform", ["match"])
    ok, refused = {grpc.StatusCode.OK}, {grpc.StatusCode.UNAUTHENTICATED}
    eventually(lambda: everywhere(server, rotated["secret"]) == ok)
    assert everywhere(server, made["secret"]) == ok
    expire(server, made["key_id"])
    eventually(lambda: everywhere(server, made["secret"]) == refused)
    assert everywhere(server, rotated["secret"]) == ok
    keys(server, "set", made["key_id"], "--expires-on", "never")
    eventually(lambda: everywhere(server, made["secret"]) == ok)


def test_the_day_on_which_a_key_was_used_is_noted_and_not_of_one_that_was_not(
    server: Deployment,
) -> None:
    used, denied, unused = (
        keys(server, "create", name, "--right", right)
        for name, right in (("used", "match"), ("denied", "review"), ("unused", "match"))
    )
    before = today()
    assert everywhere(server, used["secret"]) == {grpc.StatusCode.OK}
    assert everywhere(server, denied["secret"]) == {grpc.StatusCode.PERMISSION_DENIED}
    for key in (used, denied):
        eventually(lambda key=key: bool(listed(server, key["key_id"])["used_on"]))  # type: ignore[misc]
        assert before <= listed(server, key["key_id"])["used_on"] <= today()
    assert listed(server, unused["key_id"])["used_on"] == ""
