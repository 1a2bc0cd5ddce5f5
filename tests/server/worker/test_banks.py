"""Changes of a bank by the command hold in every worker of a running server; the test bank."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import urlopen

import grpc
import pytest
from click.testing import CliRunner

from disrupt.cli import main
from disrupt.core.examples import EXAMPLES
from disrupt.v1 import feed_pb2, match_pb2
from rig.callers.caller import (
    Caller,
    calling,
    distinctive,
    items,
    lookup,
    matches,
    near,
    outcome,
    register,
)
from rig.servers.deployment import Deployment, Start
from rig.waiting import eventually

SEVERAL = 6
"""Connections of a look, so that it sees both workers."""


def command(*words: str) -> str:
    """Run a command, and return what it prints."""
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def banks(server: Deployment, *words: str) -> Any:
    """Run a command of `disrupt banks`; return what it prints."""
    return json.loads(command("banks", *words, "--json", "--data-dir", str(server.data_dir)))


def test_every_worker_follows_distance_and_organisations_of_a_bank(start: Start) -> None:
    server, value = start(workers=2), distinctive()
    some, other = (server.make_key(name, "match") for name in ("some", "other"))
    with calling(server.address, server.make_key("helpline", "register")) as helpline:
        helpline("RegisterHashes", register(value))

    def seen(key: str) -> set[int]:
        return {matches(server.address, key, near(value, 20)) for _ in range(SEVERAL)}

    eventually(lambda: seen(some) == {1})
    assert banks(server, "set", "adults", "--distance", "19")["max_distance_bits"] == 19
    eventually(lambda: seen(some) == {0})
    banks(server, "set", "adults", "--distance", "20", "--organisation", "some")
    eventually(lambda: seen(some) == {1})
    eventually(lambda: seen(other) == {0})
    with calling(server.address, other) as refused:
        asked = lookup(value, banks=["adults"])
        assert outcome(lambda: refused("MatchHashes", asked)) == grpc.StatusCode.PERMISSION_DENIED
    banks(server, "set", "adults", "--all-organisations")
    eventually(lambda: seen(other) == {1})
    names = [row["name"] for row in banks(server, "list")["banks"]]
    assert names == ["adults", "minors", "common"]


def test_the_test_bank_is_searched_by_its_name_only_and_counts_nowhere(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, value = start(workers=1), EXAMPLES[0].pdq_hash.value
    key = server.make_key("platform", "match", "feed")
    monkeypatch.setenv("DISRUPT_KEY", key)
    self_test = ("match", "--self-test", "--server", server.address)
    missing = CliRunner().invoke(main, self_test)
    assert missing.exit_code == 1
    assert "disrupt banks create test" in missing.stderr
    assert CliRunner().invoke(main, [*self_test, "upload.jpg"]).exit_code == 2
    for _ in range(2):
        banks(server, "create", "test")
    with calling(server.address, key) as platform:
        named = lookup(value, banks=["test"])
        eventually(lambda: _is_ok(platform, named))
        eventually(lambda: items(platform("MatchHashes", named)) == [EXAMPLES[0].item_id])
        assert not items(platform("MatchHashes", lookup(value)))
        match_id = platform("MatchHashes", named).matches.match_ids[0]
        reported = match_pb2.ReportOutcomeRequest(
            match_id=match_id, outcome=match_pb2.OUTCOME_BLOCKED
        )
        platform("ReportOutcome", reported)
        assert not platform("ListChanges", feed_pb2.ListChangesRequest()).changes
        assert not platform("GetIndexStatus", match_pb2.GetIndexStatusRequest()).items
    for options in ((), ("--send-pictures",)):
        assert "Both matched" in command(*self_test, *options)
    with urlopen(f"http://{server.metrics_address()}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    counted = [line for line in lines if line.startswith(("disrupt_matches_", "disrupt_outcomes_"))]
    assert not counted


def _is_ok(platform: Caller, request: match_pb2.MatchHashesRequest) -> bool:
    return outcome(lambda: platform("MatchHashes", request)) == grpc.StatusCode.OK
