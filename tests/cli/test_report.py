"""Reporting what came of matches, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from disrupt.core.outcomes import MatchOutcome
from disrupt.submission.client import SubmissionClient
from rig.callers.shell import Shell
from rig.media.generated import picture


def test_each_outcome_of_a_match_is_noted(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 171)
    disrupt.registered(file)
    (line,) = disrupt.match(file, until=1)
    match_id = line["matches"][0]["match_id"]
    for outcome in MatchOutcome:
        done = disrupt("report", match_id, outcome.name.lower(), key=disrupt.match_key)
        assert (done.code, done.out) == (0, f"{match_id} {outcome.name.lower()}: noted\n")


def test_of_many_reports_those_that_are_none_are_named_and_the_others_noted(
    disrupt: Shell, tmp_path: Path
) -> None:
    kept, gone = (picture(tmp_path / f"{seed}.png", seed) for seed in (172, 173))
    disrupt.registered(kept)
    withdrawn = disrupt.registered(gone)
    ids = [disrupt.match(file, until=1)[0]["matches"][0]["match_id"] for file in (kept, gone)]
    with SubmissionClient(disrupt.address, key=disrupt.register_key) as client:
        client.withdraw(withdrawn.case_number, withdrawn.pin)
    expected = [
        (ids[0], "blocked", None),
        (ids[1], "blocked", "NOT_FOUND"),
        ("00" * 62, "blocked", "INVALID_REQUEST"),
        (ids[0], "deleted", "INVALID_REQUEST"),
        (ids[0], "false_positive", None),
        ("", "", "INVALID_REQUEST"),
    ]
    lines = [
        json.dumps({"match_id": match_id, "outcome": outcome, "item": "ignored"})
        for match_id, outcome, _ in expected
        if match_id
    ]
    stdin = "\n".join([*lines, "", "no report", ""])
    done = disrupt("report", "--json", "-", key=disrupt.match_key, stdin=stdin)
    assert done.code == 3
    assert [
        (line["match_id"], line["error"] and line["error"]["reason"]) for line in done.lines
    ] == [(match_id, reason) for match_id, _, reason in expected]


@pytest.mark.parametrize(
    "arguments", [("00",), ("00", "deleted"), ("no hex", "blocked"), ("-", "blocked")]
)
def test_a_wrong_use_sends_nothing(disrupt: Shell, arguments: tuple[str, ...]) -> None:
    done = disrupt("report", *arguments, key=disrupt.match_key, server="127.0.0.1:1")
    assert done.code == 2
    assert "Error" in done.err
    sent = disrupt("report", "00", "blocked", key="other", server="127.0.0.1:1")
    assert sent.code == 1, "a server that cannot be reached is a failure"
