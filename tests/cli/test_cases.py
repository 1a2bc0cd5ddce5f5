"""Registering, adding to a case, and withdrawing, as a victim's device does it."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from disrupt.core.cases import AgeBand, case_number, parse_case_number, parse_pin
from disrupt.hashing.decoding.pictures import DEFAULT_LIMITS
from rig.callers.said import said
from rig.callers.shell import Done, Shell
from rig.callers.terminal import at_terminal
from rig.media.generated import animation, no_picture, picture, plain
from rig.servers.deployment import BIN


def test_a_picture_is_registered_found_and_withdrawn(disrupt: Shell, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 100)
    submitted = disrupt("submit", "--json", "--age", "adult", file)
    assert submitted.code == 0, submitted.err
    receipt = submitted.json
    assert set(receipt) == {"case", "pin", "items", "rejected"}
    assert parse_case_number(receipt["case"]) == receipt["case"]
    assert parse_pin(receipt["pin"]) == receipt["pin"]
    (item,) = receipt["items"]
    assert item == {
        "input": str(file),
        "item": item["item"],
        "number": 1,
        "hashes": item["hashes"],
        "outcome": "added",
        "state": "live",
    }
    assert re.fullmatch("[0-9a-f]{32}", item["item"])
    assert item["hashes"] >= 1
    assert receipt["rejected"] == []

    (line,) = disrupt.match(file, until=1)
    assert line == {
        "input": str(file),
        "quality": line["quality"],
        "matches": [
            {
                "item": item["item"],
                "bank": "adults",
                "assurance": "self_reported",
                "match_id": line["matches"][0]["match_id"],
                "distance": 0,
                "extent": "whole",
                "query_transform": "identity",
                "stored_transform": "identity",
            }
        ],
        "error": None,
    }
    assert 50 <= line["quality"] <= 100
    assert re.fullmatch("[0-9a-f]{2,1024}", line["matches"][0]["match_id"])

    shown = disrupt("status", "--json", receipt["case"], pin=receipt["pin"])
    assert shown.code == 0
    assert shown.json["case"] == receipt["case"]
    assert shown.json["status"] == "ACTIVE"
    assert shown.json["closed_on"] is None
    assert [shown_item["item"] for shown_item in shown.json["items"]] == [item["item"]]

    gone = disrupt("withdraw", "--yes", receipt["case"], pin=receipt["pin"])
    assert gone.code == 0, gone.err
    (line,) = disrupt.match(file, until=0)
    assert (line["matches"], line["error"]) == ([], None)
    again = disrupt("status", "--json", receipt["case"], pin=receipt["pin"])
    assert (again.json["status"], again.json["items"]) == ("WITHDRAWN", [])


def test_unless_adult_is_said_a_picture_is_a_minors_whatever_the_others_of_its_case_are(
    disrupt: Shell, tmp_path: Path
) -> None:
    old = picture(tmp_path / "a.png", 115)
    opened = disrupt.registered(old)
    for at, age in enumerate(("unsure", "minor", "adult")):
        file = picture(tmp_path / f"{age}.png", 116 + at)
        is_unsure = age == "unsure"
        files = [old, file] if is_unsure else [file]  # which leaves the age of the old one
        options = ["--case", opened.case_number, "--age", age]
        added = disrupt("submit", *options, *files, pin=opened.pin)
        assert added.code == 0, added.err
        assert ("treated_as_minor" in added.said) == is_unsure
        (line,) = disrupt.match(file, until=1)
        bank = "adults" if age == "adult" else "minors"
        assert line["matches"][0]["bank"] == bank
    shown = disrupt("status", "--json", opened.case_number, pin=opened.pin)
    ages = [item["age"] for item in shown.json["items"]]
    assert ages == ["adult", "minor", "minor", "adult"]
    status = disrupt("status", opened.case_number, pin=opened.pin)
    assert status.said >= {"treated.MINOR", "treated.ADULT"}


def test_a_picture_that_is_in_the_case_already_is_said_to_be(
    disrupt: Shell, tmp_path: Path
) -> None:
    file, copy = picture(tmp_path / "a.png", 125), picture(tmp_path / "copy.png", 125)
    opened = disrupt("submit", "--json", "--age", "adult", file, copy).json
    first, second = opened["items"]
    assert (first["outcome"], second["outcome"]) == ("added", "kept")
    assert first["item"] == second["item"]

    def again(age: str, *options: str) -> Done:
        add = ("submit", "--case", opened["case"], "--age", age, *options)
        return disrupt(*add, file, pin=opened["pin"])

    kept = again("adult")
    assert (kept.code, "outcome.KEPT" in kept.said) == (0, True)
    refused = again("minor")
    assert refused.code == 3, "a change of age is confirmed"
    assert refused.said >= {"age_changes", "refused.OTHER_AGE"}
    assert f"1  {file}: majeure → mineure\n" in refused.err
    renewed = again("minor", "--yes")
    assert (renewed.code, "outcome.RENEWED" in renewed.said) == (0, True)
    (item,) = again("minor", "--json").json["items"]
    assert item["outcome"] == "kept"
    status = disrupt("status", "--json", opened["case"], pin=opened["pin"]).json
    assert [(shown["item"], shown["age"]) for shown in status["items"]] == [(item["item"], "minor")]


def test_items_are_added_to_a_case_and_withdrawn_one_by_one(disrupt: Shell, tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a.png", 120), picture(tmp_path / "b.png", 121)
    opened = disrupt("submit", "--json", "--age", "adult", first).json
    added = disrupt(
        "submit",
        "--json",
        "--age=adult",
        "--case",
        opened["case"].lower(),
        second,
        pin=opened["pin"],
    )
    assert added.code == 0, added.err
    assert (added.json["case"], added.json["pin"]) == (opened["case"], opened["pin"])
    kept_id, added_id = opened["items"][0]["item"], added.json["items"][0]["item"]
    left = disrupt(
        "withdraw", "--yes", "--json", opened["case"], "--item", kept_id, pin=opened["pin"]
    )
    assert left.code == 0, left.err
    assert [item["item"] for item in left.json["items"]] == [added_id]
    assert left.json["withdrawn"] == [{"item": kept_id, "number": 1}]
    assert left.json["withdrawn_numbers"] == [1]
    again = disrupt("withdraw", "--yes", opened["case"], "--item", "1", pin=opened["pin"])
    assert again.code == 0, again.err
    assert again.said & {"nothing_left_to_withdraw", "items_withdrawn"} == {
        "nothing_left_to_withdraw"
    }
    disrupt.match(first, until=0)
    disrupt.match(second, until=1)

    elsewhere = disrupt("withdraw", "--yes", opened["case"], "--item", "00" * 16, pin=opened["pin"])
    assert (elsewhere.code, "error.NOT_FOUND" in elsewhere.said) == (1, True)


def test_withdrawing_by_an_old_id_withdraws_what_the_picture_is_now(
    disrupt: Shell, tmp_path: Path
) -> None:
    files = [picture(tmp_path / f"{at}.png", 122 + at) for at in range(2)]
    opened = disrupt("submit", "--json", "--age", "adult", *files).json
    add = ("submit", "--json", "--case", opened["case"], "--age=minor", "--yes", files[1])
    (new,) = disrupt(*add, pin=opened["pin"]).json["items"]
    old = opened["items"][1]["item"]
    assert (new["outcome"], new["number"], new["item"] == old) == ("renewed", 2, False)
    gone = disrupt("withdraw", "--yes", opened["case"], "--item", old, pin=opened["pin"])
    assert gone.said >= {"items_withdrawn", "by_older_id"}
    assert "  Image 2\n" in gone.out
    disrupt.match(files[1], until=0)
    again = disrupt("withdraw", "--yes", opened["case"], "--item", old, pin=opened["pin"])
    assert "nothing_left_to_withdraw" in again.said


def test_the_age_is_asked_for_new_pictures_and_none_is_proposed(
    disrupt: Shell, tmp_path: Path
) -> None:
    old, new = picture(tmp_path / "a.png", 128), picture(tmp_path / "b.png", 129)
    opened = disrupt.registered(old, age=AgeBand.MINOR)
    env = {
        "DISRUPT_SERVER": disrupt.address,
        "DISRUPT_KEY": disrupt.register_key,
        "DISRUPT_PIN": f"{opened.pin[:4]}-{opened.pin[4:8]} {opened.pin[8:]}",
    }
    add = ("submit", "--case", opened.case_number)
    with at_terminal(*add, old, new, env=env) as terminal:
        for typed in ("", "vingt", "Majeure"):
            terminal.until("Tapez majeure, mineure ou incertain:")
            terminal.raw = b""
            terminal.type(typed)
        assert terminal.end() == 0, terminal.shown
    with at_terminal(*add, old, env=env) as terminal:
        assert terminal.end() == 0, "nothing is new"
    with at_terminal(*add, "--age", "adult", old, env=env) as terminal:
        terminal.until("mineure → majeure")
        terminal.until("pour changer leur âge")
        terminal.type("non")
        assert terminal.end() == 3
    shown = disrupt("status", "--json", opened.case_number, pin=opened.pin).json["items"]
    assert [(item["number"], item["age"]) for item in shown] == [(1, "minor"), (2, "adult")]


def test_a_picture_is_withdrawn_after_a_question_that_names_it(
    disrupt: Shell, tmp_path: Path
) -> None:
    files = [picture(tmp_path / f"{at}.png", 124 + 70 * at) for at in range(2)]
    opened = disrupt.registered(*files)
    today = datetime.now(UTC).date().isoformat()
    env = {"DISRUPT_SERVER": disrupt.address, "DISRUPT_KEY": disrupt.register_key}
    for number, asked in (("2", "really_withdraw_items"), ("1", "really_withdraw_last")):
        file = files[int(number) - 1]
        withdraw = ("withdraw", opened.case_number, "--item", number)
        refused = disrupt(*withdraw, pin=opened.pin)
        assert (refused.code, "say_yes" in refused.said) == (2, True)
        for answer, code in (("non", 1), ("oui", 0)):
            disrupt.match(file, until=1)
            with at_terminal(*withdraw, env=env | {"DISRUPT_PIN": opened.pin}) as terminal:
                terminal.until("Tapez « oui » pour retirer")
                assert f"Image {number} : image enregistrée le {today}" in terminal.flat
                assert asked in terminal.said
                terminal.type(answer)
                assert terminal.end() == code
    assert "case_withdrawn_too" in terminal.said
    disrupt.match(files[0], until=0)


def test_receipts_name_numbers_and_the_next_commands(disrupt: Shell, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{at}.png", 152 + at) for at in range(2)]
    done = disrupt("submit", "--age=minor", "--server", disrupt.address, *files)
    for number, file in enumerate(files, 1):
        assert f"  {number}  {file}\n" in done.out
    commands = re.findall(r"^ +disrupt (.*)$", done.out, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["status", "submit", *["withdraw"] * 2]
    pin = "".join(re.findall(r"PIN: ([0-9 ]+)", done.out)[0].split())
    assert "help.minor" in done.said
    shown = disrupt(*commands[0].split(), pin=pin)
    assert datetime.now(UTC).date().isoformat() in shown.out
    assert shown.said >= {"registered_on", "state.LIVE", "help.minor"}
    gone = disrupt(*commands[2].split(), "--yes", pin=pin)
    assert gone.code == 0, gone.err
    assert "Numéros des images retirées: 1\n" in gone.out
    added = disrupt(
        *commands[1].replace("FICHIER", str(files[0])).split(), "--age=minor", "--json", pin=pin
    )
    assert added.json["items"][0]["number"] == 3, "1 is not given again"
    whole = disrupt(*commands[3].split(), "--yes", pin=pin)
    assert "help.minor" in whole.said, "no picture is left to say that she is a minor"


@pytest.mark.parametrize("typed", ["", "1234"])
def test_who_has_lost_the_pin_reads_at_its_prompt_what_can_be_done(typed: str) -> None:
    env = {"DISRUPT_SERVER": "127.0.0.1:1", "DISRUPT_KEY": "key"}
    with at_terminal("status", case_number(7), env=env) as terminal:
        terminal.until("Code PIN (il ne s'affiche pas):")
        terminal.type(typed)
        assert terminal.end() == 2
    assert terminal.said >= {"bad_pin", "lost_pin"}


def test_files_that_cannot_be_registered_are_rejected_and_the_others_go_through(
    disrupt: Shell, tmp_path: Path
) -> None:
    good = picture(tmp_path / "good.png", 130)
    bad, flat = no_picture(tmp_path / "note.txt"), plain(tmp_path / "plain.png")
    done = disrupt("submit", "--age=adult", "--json", bad, good, flat)
    assert done.code == 3
    assert [item["input"] for item in done.json["items"]] == [str(good)]
    rejected = [(file["input"], file["reason"]) for file in done.json["rejected"]]
    assert rejected == [(str(bad), "INVALID_MEDIA"), (str(flat), "LOW_QUALITY")]
    for file in done.json["rejected"]:
        assert set(file) == {"input", "reason", "message", "quality"}
        assert file["message"]

    keys = disrupt("submit", "--age=adult", bad).said
    assert not keys & {"never_left", "number.case"}, "nothing was to be sent"

    nothing = disrupt("submit", "--age=adult", "--json", bad)
    assert nothing.code == 3
    assert (nothing.json["case"], nothing.json["pin"], nothing.json["items"]) == (None, None, [])


def test_each_obstacle_of_a_file_has_words_of_its_own(disrupt: Shell, tmp_path: Path) -> None:
    whole = picture(tmp_path / "whole.png", 131).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder").mkdir()
    Image.new("L", (9000, 6000)).save(tmp_path / "large.png")
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.write(whole)
        huge.truncate(DEFAULT_LIMITS.max_bytes + 1)
    picture(tmp_path / "locked.png", 132).chmod(0)
    no_picture(tmp_path / "note.txt")
    plain(tmp_path / "plain.png")
    stripes = Image.frombytes("L", (1, 16), bytes([0, 200]) * 8)
    stripes.resize((600, 480), Image.Resampling.NEAREST).save(tmp_path / "stripes.png")
    expected = {
        "cut.png": "DAMAGED",
        "empty.png": "EMPTY",
        "folder": "FOLDER",
        "huge.png": "TOO_LARGE",
        "large.png": "TOO_LARGE",
        "locked.png": "UNREADABLE",
        "missing.png": "MISSING",
        "note.txt": "INVALID_MEDIA",
        "plain.png": "LOW_QUALITY",
        "stripes.png": "TOO_REGULAR",
    }
    # Root reads every file, unless it lacks this capability.
    dropping = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    files, submit = [tmp_path / name for name in expected], ("submit", "--age=adult")
    done = subprocess.run(
        [*(dropping if os.geteuid() == 0 else []), str(BIN / "disrupt"), *submit, *files],
        env=os.environ | {"DISRUPT_SERVER": disrupt.address, "DISRUPT_KEY": disrupt.register_key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    for file, cause in zip(files, expected.values(), strict=True):
        words = done.stdout.partition(f"{file}")[2].partition(str(tmp_path))[0]
        assert {key for key in said(words) if key.startswith("refused.")} == {f"refused.{cause}"}


def test_every_frame_of_an_animation_is_registered_when_asked(
    disrupt: Shell, tmp_path: Path
) -> None:
    moving = animation(tmp_path / "moving.webp", 141, 142, 143)
    late = picture(tmp_path / "late.png", 143)
    first = disrupt("submit", "--age=adult", moving)
    assert (first.code, "first_frame_only" in first.said) == (0, True)
    assert disrupt("submit", "--age=adult", "--json", moving).json["items"][0]["first_frame_only"]
    disrupt.match(late, until=0)
    asked = disrupt("submit", "--age=adult", "--every-frame", "--json", moving, late)
    assert asked.code == 0, asked.err
    (every, still) = asked.json["items"]
    assert "first_frame_only" not in every | still
    assert every["hashes"] >= 3
    (line,) = disrupt.match(late, until=2)
    assert {match["item"] for match in line["matches"]} == {every["item"], still["item"]}


def test_an_animation_of_too_many_frames_says_so_to_who_registers_and_to_who_looks_up(
    disrupt: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("registration", "lookup"):
        monkeypatch.setattr(f"disrupt.hashing.{module}.MAX_FRAMES", 8)
    long = animation(tmp_path / "long.gif", *range(1000, 1022), side_px=64)
    refused = disrupt("submit", "--age=adult", "--every-frame", "--json", long)
    assert refused.code == 3
    assert refused.json["rejected"][0]["reason"] == "TOO_MANY_FRAMES"
    assert "refused.TOO_MANY_FRAMES" in disrupt("submit", "--age=adult", "--every-frame", long).said
    looked_up = disrupt("match", "--json", long)
    assert looked_up.code == 0
    assert looked_up.lines[0]["frames_skipped"] == 14
    assert "it has 14 more frames or pages" in " ".join(disrupt("match", long).out.split())


def test_a_picture_file_that_ends_early_is_said_to_be_a_part_and_no_animation(
    disrupt: Shell, tmp_path: Path
) -> None:
    whole = picture(tmp_path / "whole.jpg", 1000)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 9 // 10])
    assert disrupt("match", "--json", cut).lines[0]["frames_skipped"] == 1
    assert "(a part: it has 1 more frames or pages, or ends early)" in disrupt("match", cut).out
