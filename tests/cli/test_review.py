"""Staff at the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from disrupt.client import review_tables as tables
from disrupt.client.review import ReviewClient, Verified, act_row
from disrupt.submission.results import Submission
from disrupt.v1 import review_pb2
from tests.cli.shell import Done, Shell
from tests.submission.examples import picture

UNKNOWN = "00" * 16


def registered(disrupt: Shell, tmp_path: Path, *pictures: int) -> tuple[Submission, list[str]]:
    """Register pictures; return what came of it, and the ids of the items, oldest first."""
    done = disrupt.registered(*(picture(tmp_path / f"{at}.png", at) for at in pictures))
    return done, [item.item_id for item in done.registered]


def rows(done: Done, name: str = "items") -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    listed: list[dict[str, Any]] = done.json[name]
    return listed


def test_staff_disable_an_item_and_enable_it_and_lookups_follow(
    disrupt: Shell, tmp_path: Path
) -> None:
    _, (item_id,) = registered(disrupt, tmp_path, 301)
    disrupt.match(tmp_path / "301.png", until=1)
    (off,) = rows(disrupt("review", "disable", "--json", "--reason", "flood", item_id))
    assert (off["item_id"], off["state"], off["reason"]) == (item_id, "disabled", "flood")
    disrupt.match(tmp_path / "301.png", until=0)
    shown = disrupt("review", "enable", item_id)
    assert shown.code == 0
    assert item_id in shown.out
    assert "live (staff)" in shown.out
    disrupt.match(tmp_path / "301.png", until=1)


def test_items_are_listed_by_what_is_asked(disrupt: Shell, tmp_path: Path) -> None:
    _, item_ids = registered(disrupt, tmp_path, 302, 303, 304)
    case = ("--case-of", item_ids[0])
    disrupt("review", "disable", item_ids[0])
    disrupt("review", "move", "--to", "minors", item_ids[1])
    disrupt("review", "confirm", item_ids[2])

    def listed(*options: str) -> list[str]:
        done = disrupt("review", "items", "--json", *case, *options)
        return [row["item_id"] for row in rows(done)]

    assert listed() == item_ids[::-1]
    assert listed("--state", "live", "--state", "waiting") == item_ids[:0:-1]
    assert listed("--bank", "minors") == item_ids[1:2]
    assert listed("--assurance", "reviewed") == item_ids[2:]
    assert listed("--registered-since", "2020-01-01") == item_ids[::-1]
    assert listed("--registered-until", "2020-01-01") == []
    assert listed("--changed-since", "2020-01-01") == item_ids[:1]
    assert listed("--changed-until", "2020-01-01") == []
    assert listed("--outcome", "blocked") == listed("--least-reports", "1") == []
    part = disrupt("review", "items", "--json", *case, "--limit", "2").json
    assert ([row["item_id"] for row in part["items"]], part["more"]) == (item_ids[:0:-1], True)
    shown = disrupt("review", "items", *case, "--limit", "1")
    assert [line.split()[0] for line in shown.out.splitlines()] == ["item", item_ids[2]]
    assert "More follow" in shown.err
    assert disrupt("review", "items", *case, "--state", "waiting").out == "No item.\n"


def test_no_line_shows_a_case_number_or_a_hash(disrupt: Shell, tmp_path: Path) -> None:
    done, item_ids = registered(disrupt, tmp_path, 305)
    for words in (
        ("items",),
        ("cases",),
        ("show", item_ids[0]),
        ("disable", item_ids[0]),
        ("log",),
    ):
        for options in ((), ("--json",)):
            shown = disrupt("review", *words, *options)
            assert shown.code == 0
            plain = (shown.out + shown.err).upper().replace("-", "")
            assert done.case_number.replace("-", "") not in plain


def test_a_case_shows_its_items_and_is_rejected_with_them(disrupt: Shell, tmp_path: Path) -> None:
    done, item_ids = registered(disrupt, tmp_path, 306, 307)
    shown = disrupt("review", "show", "--json", item_ids[0]).json
    assert shown["item"]["item_id"] == item_ids[0]
    assert [row["item_id"] for row in shown["case_items"]] == item_ids[1:]
    handle = shown["item"]["case"]
    assert item_ids[1] in disrupt("review", "show", item_ids[0]).out

    def case() -> dict[str, Any]:
        cases = rows(disrupt("review", "cases", "--json", "--limit", "500"), "cases")
        (own,) = [row for row in cases if row["case"] == handle]
        return own

    assert (case()["status"], case()["live"], case()["item_id"]) == ("active", 2, item_ids[0])
    assert disrupt("review", "reject", *item_ids).code == 2  # without a reason
    rejected = disrupt("review", "reject", "--reason", "not_intimate", *item_ids)
    assert rejected.out.count("rejected (not_intimate)") == 2
    assert (case()["status"], case()["disabled"], case()["rejected"]) == ("rejected", 2, 2)
    listed = disrupt("review", "cases", "--status", "rejected")
    assert handle in listed.out
    told = disrupt("status", done.case_number, pin=done.pin)
    assert "rejected" in told.out or "refused" in told.out
    assert disrupt("review", "cases", "--opened-until", "2020-01-01").out == "No case.\n"


def test_the_log_says_who_did_what_and_verifies(disrupt: Shell, tmp_path: Path) -> None:
    _, (item_id,) = registered(disrupt, tmp_path, 308)
    before = disrupt("review", "verify", "--json").json
    assert before["broken"] is None
    disrupt("review", "confirm", item_id)
    after = ("--after", str(before["verified"]))
    (act,) = rows(disrupt("review", "log", "--json", *after), "acts")
    assert (act["action"], act["subject"]) == ("items_confirmed", {"items": [item_id]})
    shown = disrupt("review", "log", *after)
    (head, line) = shown.out.splitlines()
    assert head.split()[0] == "act"
    assert line.split()[2:] == [act["actor"], "items_confirmed", "items", item_id]
    assert disrupt("review", "log", "--limit", "1").out.splitlines()[-1].endswith("--after 1")
    verified = disrupt("review", "verify")
    assert (verified.code, act["digest"] in verified.out) == (0, True)
    kept = (str(act["number"]), act["digest"])
    assert disrupt("review", "verify", "--after", kept[0], "--digest", kept[1]).code == 0
    for number, digest in ((kept[0], before["digest"]), (f"{kept[0]}0", kept[1])):
        done = disrupt("review", "verify", "--after", number, "--digest", digest)
        assert (done.code, f"no act {number} with this digest" in done.out) == (1, True)
    for alone in (
        ("--after", kept[0]),
        ("--digest", kept[1]),
        ("--after", kept[0], "--digest", "x"),
    ):
        assert disrupt("review", "verify", *alone).code == 2


def test_a_log_that_was_changed_is_reported_by_its_first_act(
    disrupt: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReviewClient, "verify", lambda *_: Verified(6, bytes(32), 7))
    done = disrupt("review", "verify")
    assert (done.code, "act 7" in done.out) == (1, True)
    done = disrupt("review", "verify", "--json")
    assert (done.code, done.json["broken"]) == (1, 7)


@pytest.mark.parametrize("subject", ["{", "[]", "1"])
def test_an_act_that_was_changed_to_what_nobody_can_read_is_listed(subject: str) -> None:
    row = act_row(review_pb2.ActRecord(number=7, at_s=2**60, subject=subject))
    assert (row["number"], row["at"]) == (7, str(2**60))
    assert tables.subject(row["subject"]) == f"unreadable {subject}"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", UNKNOWN), 1, "or it was withdrawn.\n"),
        (("disable", UNKNOWN), 1, "None was changed"),
        (("disable", "xyz"), 2, "32 hexadecimal digits"),
        (("disable", "--reason", "abuse", UNKNOWN), 2, "abuse"),
        (("disable", *[UNKNOWN] * 501), 2, "At most 500"),
        (("move", "--to", "nobody's", UNKNOWN), 1, "'--to': no bank"),
        (("items", "--bank", "nobody's"), 1, "'--bank': no bank"),
        (("items", "--registered-since", "yesterday"), 2, "YYYY-MM-DD"),
        (("items", "--state", "gone"), 2, "gone"),
    ],
)
def test_what_cannot_be_done_is_said(
    disrupt: Shell, words: Sequence[str], code: int, said: str
) -> None:
    done = disrupt("review", *words)
    assert done.code == code
    assert said.lower() in (done.out + done.err).lower()


def test_a_helpline_reviews_nothing(disrupt: Shell) -> None:
    for words in (("items",), ("cases",), ("log",), ("verify",), ("disable", UNKNOWN)):
        done = disrupt("review", *words, key=disrupt.register_key)
        assert (done.code, "the right review" in done.err) == (1, True)
