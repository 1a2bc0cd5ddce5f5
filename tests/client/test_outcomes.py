"""The SDK reports outcomes as they are given, and sends nothing that is none."""

from __future__ import annotations

from typing import Any

import pytest

from disrupt.client import MatchOutcome
from disrupt.errors import InvalidRequestError
from disrupt.v1 import match_pb2
from rig.callers.sdk import Call
from rig.servers.scripted import scripted


@pytest.mark.parametrize("outcome", MatchOutcome)
def test_an_outcome_is_sent_with_its_match_id(call: Call, outcome: MatchOutcome) -> None:
    with scripted(match_pb2.ReportOutcomeResponse()) as server:
        assert call("report_outcome", b"id", outcome, address=server.address) is None
    (seen,) = server.seen
    assert seen.method == "ReportOutcome"
    expected = match_pb2.ReportOutcomeRequest(match_id=b"id", outcome=outcome.value)  # type: ignore[arg-type]
    assert match_pb2.ReportOutcomeRequest.FromString(seen.request) == expected


@pytest.mark.parametrize(
    ("match_id", "outcome"), [("6964", MatchOutcome.BLOCKED), (b"id", 1), (b"id", "BLOCKED")]
)
def test_what_is_no_report_is_not_sent(call: Call, match_id: Any, outcome: Any) -> None:
    with pytest.raises(InvalidRequestError):
        call("report_outcome", match_id, outcome)
