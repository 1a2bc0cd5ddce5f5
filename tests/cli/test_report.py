"""Telling what came of matches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from disrupt.cli import main
from tests.cli.shell import Shell
from tests.submission.examples import picture


def match_ids(disrupt: Shell, file: Path, count: int) -> list[str]:
    """Register a picture, and return the match ids of so many lookups of it."""
    disrupt.registered(file)
    return [disrupt.match(file, until=1)[0]["matches"][0]["match_id"] for _ in range(count)]


def test_what_match_prints_is_reported_and_corrected(disrupt: Shell, tmp_path: Path) -> None:
    (own,) = match_ids(disrupt, picture(tmp_path / "a.png", 201), 1)
    done = disrupt("report", own, "blocked", key=disrupt.match_key)
    assert (done.code, done.out) == (0, f"{own} blocked: recorded\n")
    done = disrupt("report", "--json", own, "false_positive", key=disrupt.match_key)
    assert done.code == 0
    assert done.json == {"match_id": own, "outcome": "false_positive", "error": None}


def test_reports_are_read_as_json_lines_and_each_has_its_answer(
    disrupt: Shell, tmp_path: Path
) -> None:
    first, second = match_ids(disrupt, picture(tmp_path / "a.png", 202), 2)
    lines = [
        json.dumps({"item": "ignored", "match_id": first, "outcome": "blocked"}),
        "",
        json.dumps({"match_id": "00" * 57, "outcome": "blocked"}),
        json.dumps({"match_id": second, "outcome": "removed"}),
        json.dumps({"match_id": [second], "outcome": None}),
        json.dumps({"match_id": "a match", "outcome": "blocked"}),
        "no JSON",
        "[" * 100_000,
        "[]",
        json.dumps({"match_id": second, "outcome": "pending_review"}),
    ]
    given = "\n".join(lines)
    done = disrupt("report", "--json", "-", key=disrupt.match_key, stdin=given)
    assert done.code == 3
    reasons = [line["error"] and line["error"]["reason"] for line in done.lines]
    refused = ["INVALID_REQUEST"] * 7
    assert reasons == [None, *refused, None]
    assert [line["match_id"] for line in done.lines][::8] == [first, second]
    assert all(set(line) == {"match_id", "outcome", "error"} for line in done.lines)
    shown = disrupt("report", "-", key=disrupt.match_key, stdin=given)
    assert shown.code == 3
    assert len(shown.out.splitlines()) == 9
    assert shown.out.count(": recorded") == 2
    assert disrupt("report", "-", key=disrupt.match_key).code == 0


def test_bytes_that_are_no_text_are_no_report(disrupt: Shell) -> None:
    env = {"DISRUPT_SERVER": disrupt.address, "DISRUPT_KEY": disrupt.match_key}
    done = CliRunner().invoke(main, ["report", "-"], b"\xff\xfe\n{\xff}\n", env)
    assert done.exit_code == 3
    assert done.stdout.splitlines() == [
        f'not recorded: line {number}: write one JSON object: {{"match_id", "outcome"}}'
        for number in (1, 2)
    ]


def test_a_match_of_a_withdrawn_picture_is_named_as_that(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 203)
    registered = disrupt.registered(file)
    own = disrupt.match(file, until=1)[0]["matches"][0]["match_id"]
    disrupt("withdraw", "--yes", registered.case_number, pin=registered.pin)
    done = disrupt("report", own, "blocked", key=disrupt.match_key)
    assert done.code == 3
    assert "not registered any more; nothing was recorded" in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("00" * 57,),
        ("00" * 57, "deleted"),
        ("not hex", "blocked"),
        ("", "blocked"),
        ("-", "blocked"),
    ],
)
def test_a_mistyped_report_is_usage(disrupt: Shell, arguments: tuple[str, ...]) -> None:
    done = disrupt("report", *arguments, key=disrupt.match_key)
    assert (done.code, done.out) == (2, "")


def test_a_key_without_the_right_and_an_absent_server_fail(disrupt: Shell) -> None:
    done = disrupt("report", "00" * 57, "blocked", key=disrupt.register_key)
    assert done.code == 1
    assert "right match" in done.err
    lines = "\n".join(json.dumps({"match_id": "00", "outcome": "blocked"}) for _ in range(3))
    done = disrupt(
        "report", "--json", "-", key=disrupt.match_key, server="127.0.0.1:1", stdin=lines
    )
    assert done.code == 1
    assert [line["error"]["reason"] for line in done.lines] == ["UNAVAILABLE"]  # the rest is unsent
