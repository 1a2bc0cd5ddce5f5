"""Outcomes of matches, over real sockets and through every worker."""

from __future__ import annotations

import secrets as random
from collections.abc import Iterator, Mapping

import grpc
import pytest

from disrupt.core.outcomes import MatchOutcome
from disrupt.registry import sqlite
from disrupt.v1 import match_pb2, registration_pb2
from rig.callers.caller import (
    Caller,
    access,
    calling,
    distinctive,
    items,
    lookup,
    refusal,
    register,
)
from rig.servers.deployment import Deployment
from rig.waiting import eventually

FALSE_POSITIVE = match_pb2.OUTCOME_FALSE_POSITIVE
LATER = "9999-12-31"
"""A day before which everything was reported."""


@pytest.fixture
def other(server: Deployment) -> Iterator[Caller]:
    """Connect as a platform of another organisation."""
    with calling(server.address, server.make_key("another platform", "match")) as caller:
        yield caller


def registered(helpline: Caller, value: bytes) -> tuple[str, bytes]:
    """Register a hash; return the case number and the item id."""
    receipt = helpline("RegisterHashes", register(value)).receipt
    return receipt.case_number, receipt.items[0].item_id


def matched(platform: Caller, value: bytes) -> bytes:
    """Return the match id of the one item near a hash, once the worker has it."""
    eventually(lambda: len(items(platform("MatchHashes", lookup(value)))) == 1)
    match_ids = platform("MatchHashes", lookup(value)).matches.match_ids
    return bytes(match_ids[0])


def report(
    match_id: bytes, outcome: match_pb2.Outcome.ValueType = match_pb2.OUTCOME_BLOCKED
) -> match_pb2.ReportOutcomeRequest:
    return match_pb2.ReportOutcomeRequest(match_id=match_id, outcome=outcome)


def recorded(server: Deployment, case: str) -> Mapping[bytes, Mapping[MatchOutcome, str]]:
    with sqlite.open_reader(server.data_dir / "registry.db") as reader:
        return reader.outcomes(case, before=LATER)


def test_outcomes_of_two_platforms_are_durable_when_answered_and_are_corrected(
    server: Deployment, helpline: Caller, platforms: list[Caller], other: Caller
) -> None:
    value = distinctive()
    case, item_id = registered(helpline, value)
    own, others = matched(platforms[0], value), matched(other, value)
    for platform in (*platforms, *platforms):
        platform("ReportOutcome", report(own))
        assert recorded(server, case)[item_id].keys() == {MatchOutcome.BLOCKED}
    other("ReportOutcome", report(others, match_pb2.OUTCOME_NOT_BLOCKED))
    for corrected, left in (
        (match_pb2.OUTCOME_PENDING_REVIEW, {MatchOutcome.PENDING_REVIEW}),
        (FALSE_POSITIVE, set()),
        (match_pb2.OUTCOME_BLOCKED, {MatchOutcome.BLOCKED}),
    ):
        platforms[0]("ReportOutcome", report(own, corrected))
        assert recorded(server, case)[item_id].keys() == {MatchOutcome.NOT_BLOCKED, *left}
    shown = helpline("GetCase", registration_pb2.GetCaseRequest(access=access(case))).case
    assert (shown.items[0].blocked_on, shown.items[0].left_up_on) == ("", "")  # until tomorrow


def test_what_is_no_match_id_of_the_organisation_is_refused_alike(
    server: Deployment, helpline: Caller, platform: Caller, other: Caller
) -> None:
    value = distinctive()
    case, _ = registered(helpline, value)
    own = matched(platform, value)
    refused = {
        refusal(lambda caller=caller, given=given: caller("ReportOutcome", report(given)))  # type: ignore[misc]
        for caller, given in (
            (other, own),
            (platform, b""),
            (platform, bytes(len(own))),
            (platform, own[:-1]),
            (platform, own[:-1] + bytes([own[-1] ^ 1])),
            (platform, random.token_bytes(10_000)),
        )
    }
    (alike,) = refused
    assert alike.code == grpc.StatusCode.INVALID_ARGUMENT
    assert (alike.reason, alike.fields) == ("INVALID_REQUEST", ("match_id",))
    assert recorded(server, case) == {}


@pytest.mark.parametrize("number", [0, 5, -1])
def test_an_unknown_outcome_is_refused(
    helpline: Caller, platform: Caller, number: match_pb2.Outcome.ValueType
) -> None:
    value = distinctive()
    registered(helpline, value)
    given = report(matched(platform, value), number)
    refused = refusal(lambda: platform("ReportOutcome", given))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ("outcome",))


def test_a_match_of_a_withdrawn_item_is_not_found(helpline: Caller, platform: Caller) -> None:
    value = distinctive()
    case, _ = registered(helpline, value)
    own = matched(platform, value)
    helpline("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(case)))
    refused = refusal(lambda: platform("ReportOutcome", report(own)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    assert refused.retry_after_s is None
