"""Review from the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from rig.callers.shell import Done, Shell
from rig.media.generated import picture
from rig.servers.deployment import Deployment
from rig.waiting import eventually


@pytest.fixture(scope="module")
def review_key(deployment: Deployment) -> str:
    return deployment.make_key("staff of the commands", "review")


def of_template(path: Path, seed: int | None, tmp_path: Path) -> Path:
    """Write a screen of which all but a small picture is that of any other; blank for no seed."""
    with Image.open(picture(tmp_path / "screen.png", 7001, 400)) as screen:
        screen.paste((128, 128, 128), (160, 160, 230, 230))
        if seed is not None:
            with Image.open(picture(tmp_path / "own.png", seed)) as own:
                screen.paste(own.resize((70, 70)), (160, 160))
        screen.save(path)
    return path


def test_staff_add_a_template_and_what_it_explains_is_marked_until_they_take_it_out(
    disrupt: Shell, review_key: str, tmp_path: Path
) -> None:
    victims, others, template = (
        of_template(tmp_path / f"{name}.png", seed, tmp_path)
        for name, seed in (("victims", 7002), ("others", 7003), ("template", None))
    )
    disrupt.registered(victims)
    disrupt.match(others, until=1)

    def common(*arguments: str | Path) -> Done:
        return disrupt("review", "common", *arguments, key=review_key)

    refused = common("add", template)
    assert (refused.code, "--although-matched" in refused.err) == (1, True)
    assert common("list", "--json").out == ""
    (added,) = common("add", "--json", "--although-matched", template).lines
    assert (added["bank"], added["kind"], added["state"]) == ("common", "image", "live")
    assert [row["item"] for row in common("list", "--json").lines] == [added["item"]]

    def marks(file: Path, *options: str) -> set[tuple[bool, ...]]:
        answers = (disrupt("match", "--json", *options, file) for _ in range(4))
        lines = (answer.lines[0] for answer in answers)
        return {tuple(match.get("common", False) for match in line["matches"]) for line in lines}

    for how in ((), ("--send-pictures",)):
        eventually(lambda how=how: marks(others, *how) == {(True,)})  # type: ignore[misc]
        assert marks(others, "--leave-out-common", *how) == {()}
        assert marks(victims, *how) == {(False,)}
    assert "as near to something in common use" in disrupt("match", others).out
    assert common("remove", added["item"]).code == 0
    eventually(lambda: marks(others) == {(False,)})
    actions = [act["action"] for act in disrupt("review", "log", "--json", key=review_key).lines]
    assert actions[:2] == ["common_removed", "common_added_although_matched"]


@pytest.fixture
def item(disrupt: Shell, tmp_path: Path) -> str:
    """Register a picture; return the id of its item."""
    file = picture(tmp_path / "a.png", 191)
    disrupt.registered(file)
    (line,) = disrupt.match(file, until=1)
    return str(line["matches"][0]["item"])


def test_staff_decide_about_an_item_and_read_it_in_the_log(
    disrupt: Shell, review_key: str, item: str
) -> None:
    def review(*arguments: str) -> Done:
        done = disrupt("review", *arguments, key=review_key)
        assert done.code == 0, done.err
        return done

    (shown,) = review("show", "--json", item).lines
    assert (shown["item"], shown["state"], shown["bank"]) == (item, "live", "adults")
    for command, state in (
        (("disable", "--reason", "false_positive"), "disabled"),
        (("enable",), "enabled"),
        (("reject",), "rejected"),
    ):
        (row,) = review(command[0], "--json", *command[1:], item).lines
        assert row["state"] == state
    assert item in review("list", "--state", "rejected", "--since", "2026-01-01").out
    assert "minors" in review("move", "--to", "minors", item).out
    assert "reviewed" in review("confirm", item).out
    acts = review("log", "--json", "--limit", "5").lines
    assert [act["action"] for act in acts] == ["confirm", "move", "reject", "enable", "disable"]
    assert {act["item"] for act in acts} == {item}
    assert "false_positive" in review("log", "--limit", "5").out
    both = ("--action", "move", "--action", "reject", "--limit", "2")
    today = review("list", "--json", "--limit", "1").lines[0]["registered_on"]
    of_today = review("log", "--json", "--since", today, "--until", today, *both).lines
    assert [act["action"] for act in of_today] == ["move", "reject"]
    assert review("log", "--json", "--until", "2026-01-01").lines == []
    assert review("log", "--json", "--since", "2100-01-01").lines == []


def test_what_staff_reject_is_off_when_it_is_sent_again(
    disrupt: Shell, review_key: str, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 199)
    case = disrupt.registered(file)
    again = ("submit", "--case", case.case_number, "--age", "adult")
    (item,) = case.registered
    assert disrupt("review", "reject", item.item_id, key=review_key).code == 0
    (sent,) = disrupt(*again, "--json", file, pin=case.pin).json["items"]
    assert (sent["outcome"], sent["state"]) == ("kept", "off")


def test_staff_see_disputes_by_item_or_match_and_settle_them(
    disrupt: Shell, deployment: Deployment, review_key: str, tmp_path: Path
) -> None:
    file, copy = picture(tmp_path / "a.png", 193), tmp_path / "copy.png"
    disrupt.registered(file)
    with Image.open(file) as opened:
        width, height = opened.size
        opened.crop((width // 12, 0, width, height - height // 20)).save(copy)
    (line,) = disrupt.match(copy, until=1)
    (match,) = line["matches"]
    keys = [deployment.make_key(name, "match") for name in ("who disputes", "who agrees")]

    def disputes_all(key: str, *options: str) -> bool:
        """Report what is not marked yet; a match id names some of the versions that are near."""
        (line,) = disrupt("match", "--json", *options, copy, key=key).lines
        left = [found["match_id"] for found in line["matches"] if not found.get("disputed")]
        done = [disrupt("report", match_id, "false_positive", key=key).code for match_id in left]
        assert done == [0] * len(left)
        return not left

    eventually(lambda: disputes_all(keys[0]))
    # alike where the server hashes: nothing is left to dispute
    (line,) = disrupt("match", "--json", "--send-pictures", copy, key=keys[0]).lines
    assert [found["disputed"] for found in line["matches"]] == [True]
    eventually(lambda: disputes_all(keys[1], "--send-pictures"))

    def review(*arguments: str) -> Done:
        done = disrupt("review", *arguments, key=review_key)
        assert done.code == 0, done.err
        return done

    listed = {row["item"]: row for row in review("disputes", "--json").lines}
    assert listed[match["item"]]["disputes"]["organisations"] == 2
    for name in (match["item"], match["match_id"]):
        (row,) = review("show", "--json", name).lines
        assert row["item"] == match["item"]
        assert {report["organisation"] for report in row["reports"]} == {
            "who disputes",
            "who agrees",
        }
        assert bool(row["matched"]) == (name == match["match_id"])
    shown = review("show", match["item"]).out
    assert "who agrees" in shown
    assert " bits de : " in shown
    assert " bits from " in review("show", "--lang", "en", match["item"]).out
    (row,) = review("show", "--json", match["item"]).lines
    assert "without" in str(row["reports"])  # for programs, whatever the language
    upheld = review("uphold", "--json", match["item"])
    (row,) = upheld.lines
    assert upheld.err == ""
    assert row["disputes"]["organisations"] == 2
    assert match["item"] not in review("disputes").out
    (row,) = review("widen", "--json", match["item"]).lines
    assert row["disputes"] is None
    for command in ("widen", "uphold"):
        assert "rien n'a été changé" in review(command, match["item"]).err
    acts = review("log", "--json", "--limit", "2").lines
    assert [act["action"] for act in acts] == ["widen", "uphold"]


def test_all_that_options_name_is_rejected_after_a_preview_and_shown_again(
    disrupt: Shell, review_key: str, item: str
) -> None:
    def review(*arguments: str, stdin: str = "") -> Done:
        return disrupt("review", *arguments, key=review_key, stdin=stdin, LC_ALL="en")

    (shown,) = review("show", "--json", item).lines
    case, one = shown["case"], ("--all", "--case", shown["case"])
    assert item in review("list", "--case", case, "--hashes", str(shown["hashes"])).out
    assert review("list", "--case", case, "--hashes", "9999").out == ""
    for nothing in (
        ("--case", "00" * 8),
        ("--key", "nobody"),
        ("--case", case, "--hashes", "9999"),
    ):
        refused = review("reject", "--all", *nothing, "--yes")
        assert (refused.code, refused.out) == (1, "")
        assert "No item of your banks" in refused.err
        assert "already" not in refused.err
    declined = review("reject", *one, stdin="n\n")
    assert (declined.code, declined.out) == (1, "")
    assert "1 items of 1 cases" in declined.err
    assert review("show", "--json", item).lines[0]["state"] == "live"
    done = review("reject", "--json", *one, "--reason", "flood", "--yes").json
    assert done["items"] == 1
    assert review("show", "--json", item).lines[0]["state"] == "rejected"
    assert "nothing was changed" in review("reject", *one, "--yes").out
    undone = review("undo", "--json", str(done["act"])).json
    assert undone["items"] == 1
    assert review("show", "--json", item).lines[0]["state"] == "live"
    undo, reject = review("log", "--json", "--limit", "2").lines
    assert (undo["action"], undo["undone"]) == ("undo", done["act"])
    assert (reject["action"], reject["items"], reject["case"]) == ("reject", 1, case)
    log = review("log", "--limit", "2").out
    assert f"case {case}" in log
    assert f"act {done['act']}" in log


def test_review_speaks_french_unless_the_system_or_an_option_says_english(
    disrupt: Shell, review_key: str, tmp_path: Path
) -> None:
    def review(*arguments: str, stdin: str = "", server: str | None = None) -> Done:
        return disrupt("review", *arguments, key=review_key, stdin=stdin, server=server)

    (registered,) = disrupt.registered(picture(tmp_path / "b.png", 7191)).registered
    item = registered.item_id
    (shown,) = review("show", "--json", item).lines
    one = ("reject", "--all", "--case", shown["case"])
    declined = review(*one, stdin="non\n")
    assert (declined.code, declined.out) == (1, "")
    assert "Passer ces 1 éléments à l'état « rejected » ?" in declined.err
    done = review(*one, stdin="oui\n")
    assert (done.code, "Éléments passés à l'état" in done.out) == (0, True)
    act = review("log", "--json", "--limit", "1").lines[0]["number"]
    assert f"`disrupt review undo {act}`" in done.out
    assert "Éléments revenus" in review("undo", str(act)).out
    assert f"acte {act}" in review("log", "--limit", "1").out
    assert "enregistré le" in review("show", item).out
    assert "registered" in review("show", item, "--lang", "en").out
    english = disrupt("review", "show", item, key=review_key, LC_ALL="en_GB.UTF-8")
    assert "registered" in english.out
    for refused, code in (
        (review("enable", "00" * 16), 1),
        (review("show", item, server="127.0.0.1:1"), 1),
        (review("log", "--since", "hier"), 2),
        (disrupt("review", "log", key="wrong"), 1),
    ):
        assert (refused.code, refused.out) == (code, "")
        assert re.search("n'existe pas|ne répond pas|AAAA-MM-JJ|inconnue", refused.err)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--all",),
        ("--all", "--case", "00" * 8, "00" * 16),
        ("--case", "00" * 8, "00" * 16),
        ("--all", "--case", "00"),
        ("--all", "--since", "2026-01-01", "--yes"),
        ("--all", "--case", "00" * 8, "--since", "yesterday"),
        ("--reason", "It is spam", "00" * 16),
    ],
)
def test_items_are_named_or_all_that_options_name_and_not_both(
    disrupt: Shell, review_key: str, arguments: tuple[str, ...]
) -> None:
    wrong = disrupt("review", "disable", *arguments, key=review_key, server="127.0.0.1:1")
    assert wrong.code == 2
    assert "conditions" not in wrong.err


def test_an_unknown_item_is_refused_and_a_wrong_use_sends_nothing(
    disrupt: Shell, review_key: str
) -> None:
    unknown = disrupt("review", "enable", "00" * 16, key=review_key)
    assert (unknown.code, unknown.out) == (1, "")
    assert "withdrawn" in unknown.err
    listed = disrupt("review", "list", "--outcome", "blocked", key=review_key)
    assert listed.code == 0
    for arguments in (
        ("enable",),
        ("enable", "xyz"),
        ("list", "--state", "gone"),
        ("list", "--outcome", "false_positive"),  # those are disputes
        ("move", "00"),
    ):
        wrong = disrupt("review", *arguments, key=review_key, server="127.0.0.1:1")
        assert wrong.code == 2
    assert disrupt("review", "log", key=disrupt.match_key).code == 1
