"""A real server bounds what an organisation takes over time, of all workers and keys."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import grpc
import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.client import MatchClient, RetryPolicy
from disrupt.errors import QuotaExceededError
from disrupt.v1 import match_pb2, registration_pb2
from tests.server.caller import calling, eventually, lookup, outcome, refusal, register
from tests.server.running import Start, typed

pytestmark = pytest.mark.slow

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
SEVERAL = 8
"""Connections, so that both workers are met."""


def command(server: Deployment, *words: str) -> Any:
    """Run an operator's command; return what it prints."""
    return json.loads(typed("disrupt", *words, "--json", "--data-dir", server.data_dir))


def key(server: Deployment, name: str, organisation: str, right: str = "match") -> str:
    words = ("keys", "create", name, "--right", right, "--organisation", organisation)
    return str(command(server, *words)["secret"])


def codes(server: Deployment, secret: str, request: Any) -> list[grpc.StatusCode]:
    """Look up on several connections; return the codes."""
    found = []
    for _ in range(SEVERAL):
        with calling(server.address, secret) as caller:
            found.append(outcome(lambda caller=caller: caller("MatchHashes", request)))  # type: ignore[misc]
    return found


def test_the_keys_of_an_organisation_share_its_quota_in_all_workers_and_others_have_theirs(
    start: Start,
) -> None:
    server = start(settings="hashes_per_s = 5\n", workers=2)
    one, two, other = key(server, "a", "p"), key(server, "b", "p"), key(server, "c", "q")
    with calling(server.address, one) as caller:
        caller("MatchHashes", lookup(*[bytes(32)] * 500))  # a batch is let in, and owed
    assert set(codes(server, two, lookup(bytes(32)))) == {EXHAUSTED}
    with calling(server.address, two) as caller:
        refused = refusal(lambda: caller("MatchHashes", lookup(bytes(32))))
        stream = iter([match_pb2.StreamMatchHashesRequest(batch=lookup(bytes(32)))])
        flow = refusal(lambda: list(caller("StreamMatchHashes", stream)))
    assert refused.quotas == (("organisation:p", "5 hashes looked up a second"),)
    for error in (refused, flow):
        assert (error.code, error.reason) == (EXHAUSTED, "QUOTA_EXCEEDED")
        assert 0 < (error.retry_after_s or 0) <= 90
    assert set(codes(server, other, lookup(bytes(32)))) == {grpc.StatusCode.OK}
    command(server, "organisations", "set", "p", "--hashes-per-s", "unlimited")
    eventually(lambda: set(codes(server, two, lookup(bytes(32)))) == {grpc.StatusCode.OK})
    command(server, "organisations", "set", "q", "--hashes-per-s", "0.001")
    large = lookup(*[bytes(32)] * 500)
    eventually(lambda: EXHAUSTED in codes(server, other, large))
    log = server.data_dir.with_name("data.log").read_text()
    assert '"quota_used_up"' in log


def test_pictures_and_videos_are_counted_before_they_are_decoded(start: Start) -> None:
    server = start(settings="pictures_per_s = 0.001\nvideo_mib_per_s = 0.0001\n", workers=1)
    platform, staff = key(server, "a", "p"), key(server, "s", "p", "staff")
    with calling(server.address, platform) as caller:
        invalid = match_pb2.MatchImageRequest(image=b"no picture")
        first = refusal(lambda: caller("MatchImage", invalid))
        assert first.reason == "INVALID_MEDIA"
        second = refusal(lambda: caller("MatchImage", invalid))
        assert (second.reason, second.quotas[0][1]) == (
            "QUOTA_EXCEEDED",
            "0.001 pictures decoded a second",
        )
        parts = [
            match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions()),
            match_pb2.MatchVideoRequest(chunk=bytes(100_000)),
        ]
        assert refusal(lambda: caller("MatchVideo", iter(parts))).reason == "INVALID_MEDIA"
        refused = refusal(lambda: caller("MatchVideo", iter(parts)))
        assert (refused.reason, refused.quotas[0][1]) == (
            "QUOTA_EXCEEDED",
            "0.0001 MiB of videos decoded a second",
        )
    with calling(server.address, staff) as caller:
        asked = registration_pb2.RegisterImageRequest(context=register().context, image=b"none")
        assert refusal(lambda: caller("RegisterImage", asked)).reason == "QUOTA_EXCEEDED"


def test_the_sdk_waits_as_long_as_it_is_told_and_raises_what_it_was_told_without_the_time(
    start: Start,
) -> None:
    server = start(settings="hashes_per_s = 10\n", workers=1)
    secret = key(server, "a", "p")
    # 120 hashes are ten seconds' worth, and two more seconds that are owed.
    with MatchClient(server.address, key=secret, timeout_s=60, connections=1) as client:
        client.match_hashes(bytes(32 * 120))
        began_s = time.monotonic()
        client.match_hashes(bytes(32))
        assert time.monotonic() - began_s > 1
    with MatchClient(
        server.address, key=secret, timeout_s=5, retries=RetryPolicy(attempts=3)
    ) as client:
        client.match_hashes(bytes(32 * 500))
        with pytest.raises(QuotaExceededError) as refused:
            client.match_hashes(bytes(32))
    assert refused.value.quotas[0].subject == "organisation:p"
    assert (refused.value.retry_after_s or 0) > 5


def test_a_flow_of_the_sdk_goes_on_once_the_quota_lets_it(start: Start) -> None:
    server = start(settings="hashes_per_s = 10\n", workers=1)
    secret = key(server, "a", "p")
    with MatchClient(server.address, key=secret, timeout_s=60, connections=1) as client:
        # The third batch is let in two seconds after the others.
        answers = list(client.stream_hashes([bytes(32 * 60)] * 3))
    assert [len(answer) for answer in answers] == [60] * 3
    assert '"quota_used_up"' in server.data_dir.with_name("data.log").read_text()


def test_registrations_count_for_the_organisation_of_their_key(start: Start) -> None:
    server = start(settings="max_registered_hashes_per_h = 5\n", workers=1)
    one, two = (key(server, name, "helpline", "register") for name in ("a", "b"))
    other = key(server, "c", "another", "register")
    with calling(server.address, one) as caller:
        caller("RegisterHashes", register(*(secrets.token_bytes(32) for _ in range(5))))
    with calling(server.address, two) as caller:
        refused = refusal(lambda: caller("RegisterHashes", register(secrets.token_bytes(32))))
    assert refused.reason == "QUOTA_EXCEEDED"
    assert refused.quotas == (("organisation:helpline", "5 hashes registered in an hour"),)
    with calling(server.address, other) as caller:
        caller("RegisterHashes", register(secrets.token_bytes(32)))
