"""Reports of matches by the SDK: repeated where that helps, and each with its own failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from disrupt.client import AsyncMatchClient, MatchClient, Outcome, RetryPolicy
from disrupt.errors import (
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    StorageFullError,
    UnauthenticatedError,
    UnavailableError,
)
from disrupt.v1 import match_pb2
from tests.client.scripted import ScriptedServer, scripted, status_of

QUICK = RetryPolicy(attempts=4, first_pause_s=0.01, longest_pause_s=0.02)
RECORDED = match_pb2.ReportOutcomeResponse()
NEVER = "127.0.0.1:1"
ID = bytes(range(57))

Call = Callable[..., Any]


def in_thread(address: str, name: str, *arguments: object, connections: int = 4) -> Any:
    with MatchClient(address, key="key", retries=QUICK, connections=connections) as client:
        return getattr(client, name)(*arguments)


def in_loop(address: str, name: str, *arguments: object, connections: int = 4) -> Any:
    async def ask() -> Any:
        async with AsyncMatchClient(
            address, key="key", retries=QUICK, connections=connections
        ) as client:
            return await getattr(client, name)(*arguments)

    return asyncio.run(ask())


@pytest.fixture(params=[in_thread, in_loop])
def call(request: pytest.FixtureRequest) -> Call:
    chosen: Call = request.param
    return chosen


def sent(server: ScriptedServer) -> list[tuple[bytes, int]]:
    """Return match id and outcome of each report that arrived."""
    assert {seen.method for seen in server.seen} <= {"ReportOutcome"}
    messages = [match_pb2.ReportOutcomeRequest.FromString(seen.request) for seen in server.seen]
    return [(message.match_id, message.outcome) for message in messages]


@pytest.mark.parametrize("outcome", Outcome)
def test_a_report_is_sent_as_it_is(call: Call, outcome: Outcome) -> None:
    with scripted(RECORDED) as server:
        assert call(server.address, "report", ID, outcome) is None
    assert sent(server) == [(ID, outcome.value)]


@pytest.mark.parametrize(
    "error", [UnavailableError("Away."), OverloadedError("Busy.", retry_after_s=0.01)]
)
def test_a_report_is_repeated_until_it_is_acknowledged(call: Call, error: DisruptError) -> None:
    with scripted(*[status_of(error)] * 3, RECORDED) as server:
        call(server.address, "report", ID, Outcome.BLOCKED)
    assert sent(server) == [(ID, Outcome.BLOCKED)] * 4


@pytest.mark.parametrize(
    "of",
    [
        InvalidRequestError,
        LimitExceededError,
        NotFoundError,
        PermissionDeniedError,
        StorageFullError,
        UnauthenticatedError,
    ],
)
def test_a_refused_report_is_raised_and_not_repeated(call: Call, of: type[DisruptError]) -> None:
    with scripted(status_of(of("Refused."))) as server, pytest.raises(of):
        call(server.address, "report", ID, Outcome.BLOCKED)
    assert len(server.seen) == 1


def test_each_of_several_reports_has_its_own_refusal(call: Call) -> None:
    refusals = {
        b"wrong": InvalidRequestError("Wrong."),
        b"gone": NotFoundError("Gone."),
        b"many": LimitExceededError("Many."),
    }

    def answer(request: bytes) -> Any:
        match_id = match_pb2.ReportOutcomeRequest.FromString(request).match_id
        return status_of(refusals[match_id]) if match_id in refusals else RECORDED

    ids = [b"a", b"wrong", b"b", b"gone", b"c", b"many", *(bytes([at]) for at in range(100))]
    with scripted(answer) as server:
        errors = call(server.address, "report_all", [(own, Outcome.BLOCKED) for own in ids])
    assert sorted(sent(server)) == sorted((own, Outcome.BLOCKED) for own in ids)
    expected = [type(refusals[own]) if own in refusals else type(None) for own in ids]
    assert [type(error) for error in errors] == expected


@pytest.mark.parametrize("error", [UnauthenticatedError("No."), StorageFullError("Full.")])
def test_what_all_reports_would_meet_is_met_once(call: Call, error: DisruptError) -> None:
    reports = [(bytes([at]), Outcome.BLOCKED) for at in range(1, 11)]
    with scripted(RECORDED, RECORDED, status_of(error)) as server:
        errors = call(server.address, "report_all", reports, connections=1)
    assert errors[:2] == (None, None)
    assert {type(each) for each in errors[2:]} == {type(error)}
    assert len(server.seen) == 3


def test_no_reports_are_no_calls(call: Call) -> None:
    assert call(NEVER, "report_all", []) == ()


@pytest.mark.parametrize(
    ("match_id", "outcome", "field"),
    [
        (None, Outcome.BLOCKED, "match_id"),
        ("00ff", Outcome.BLOCKED, "match_id"),
        (b"", Outcome.BLOCKED, "match_id"),
        (ID, 1, "outcome"),
        (ID, "BLOCKED", "outcome"),
        (ID, None, "outcome"),
    ],
)
def test_what_is_no_report_is_refused_by_its_name_before_anything_is_sent(
    call: Call, match_id: object, outcome: object, field: str
) -> None:
    reports = [(ID, Outcome.BLOCKED), (match_id, outcome)]
    with scripted(RECORDED) as server:
        with pytest.raises(InvalidRequestError) as refused:
            call(server.address, "report", match_id, outcome)
        assert [violation.field for violation in refused.value.violations] == [field]
        with pytest.raises(InvalidRequestError) as refused:
            call(server.address, "report_all", reports)
        violations = refused.value.violations
        assert [violation.field for violation in violations] == [f"reports[1].{field}"]
    assert server.seen == []


@pytest.mark.parametrize("reports", [None, 5, ID, [ID], [(ID,)], [(ID, Outcome.BLOCKED, 1)]])
def test_what_gives_no_pairs_is_refused(call: Call, reports: object) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        call(NEVER, "report_all", reports)
    assert [violation.field for violation in refused.value.violations] == ["reports"]
