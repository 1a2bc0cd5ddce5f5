"""Outcomes of matches, over real sockets and through every worker."""

from __future__ import annotations

from disrupt.core.outcomes import MatchOutcome
from disrupt.registry import sqlite
from disrupt.v1 import match_pb2
from rig.callers.acts import case_of, match_id, registered, report
from rig.callers.caller import Caller, calling, distinctive
from rig.servers.deployment import Deployment

LATER = "9999-12-31"
"""A day before which everything was reported."""


def test_outcomes_of_two_platforms_are_durable_when_answered_and_are_corrected(
    server: Deployment, helpline: Caller, platforms: list[Caller]
) -> None:
    value = distinctive()
    case, (item_id,) = registered(helpline, value)

    def recorded() -> set[MatchOutcome]:
        with sqlite.open_reader(server.data_dir / "registry.db") as reader:
            return {*reader.outcomes(case, before=LATER).get(item_id, ())}

    own = match_id(platforms[0], value)
    for platform in platforms:
        report(platform, own, match_pb2.OUTCOME_BLOCKED)
        assert recorded() == {MatchOutcome.BLOCKED}
    with calling(server.address, server.make_key("another platform", "match")) as other:
        report(other, match_id(other, value), match_pb2.OUTCOME_NOT_BLOCKED)
    for corrected, left in (
        (match_pb2.OUTCOME_PENDING_REVIEW, {MatchOutcome.PENDING_REVIEW}),
        (match_pb2.OUTCOME_FALSE_POSITIVE, set()),
        (match_pb2.OUTCOME_BLOCKED, {MatchOutcome.BLOCKED}),
    ):
        report(platforms[0], own, corrected)
        assert recorded() == {MatchOutcome.NOT_BLOCKED, *left}
    (shown,) = case_of(helpline, case).items
    assert (shown.blocked_on, shown.left_up_on) == ("", "")  # until tomorrow
