"""Erasing a case whose PIN is lost: two persons of staff, and whoever has the PIN, at a server."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from disrupt.core.acts import SERVER, Action
from disrupt.registry import journal
from disrupt.submission.client import SubmissionClient
from disrupt.submission.results import Submission
from tests.cli.shell import Done, Shell
from tests.server.caller import eventually
from tests.submission.examples import picture

ERASE, CONFIRM, CANCEL = "erase-case", "confirm-erasure", "cancel-erasure"


class Hotline:
    """A server with two persons of staff, whose keys are their names."""

    def __init__(self, data_dir: Path) -> None:
        self.server = Deployment.start(data_dir, workers=1, settings=FEW_DECODERS)
        self.keys = {name: self.server.make_key(name, "review") for name in ("anne", "bruno")}
        self.register, self.match = (
            self.server.make_key(name, name) for name in ("register", "match")
        )

    @property
    def shell(self) -> Shell:
        return Shell(self.server.address, self.register, self.match, self.keys["anne"])

    def restart(self, sql: str, *values: str) -> None:
        """Stop it, change its registry, and start it again."""
        self.server.stop()
        with closing(sqlite3.connect(self.server.data_dir / "registry.db")) as connection:
            connection.execute(sql, values)
            connection.commit()
        self.server = Deployment.start(self.server.data_dir, workers=1, settings=FEW_DECODERS)

    def staff(self, name: str, command: str, case: str, *options: str) -> Done:
        """Run a command of staff, which reads the case number from standard input."""
        words = ("review", command, "--case-file", "-", *options)
        return self.shell(*words, key=self.keys[name], stdin=f" {case.lower()}\n")

    def confirmed(self, case: str) -> None:
        """Let both persons do what erases a case."""
        for name, command in (("anne", ERASE), ("bruno", CONFIRM)):
            done = self.staff(name, command, case)
            assert done.code == 0, done.err

    def status(self, submission: Submission) -> Any:
        done = self.shell("status", "--json", submission.case_number, pin=submission.pin)
        assert done.code == 0, done.err
        return done.json

    def acts(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return who did what of the acts on cases, and what they are said to be done to."""
        done = self.shell("review", "log", "--json", key=self.keys["anne"])
        names = {action.name.lower() for action in Action if action >= Action.ERASURE_REQUESTED}
        return [
            (act["actor"], act["action"], act["subject"])
            for act in done.json["acts"]
            if act["action"] in names
        ]


@pytest.fixture(scope="module")
def hotline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotline]:
    hotline = Hotline(tmp_path_factory.mktemp("lost") / "data")
    try:
        yield hotline
    finally:
        hotline.server.stop()


def today(days: int = 0) -> str:
    """Return the date of today (UTC), or of some days later."""
    return (datetime.now(UTC).date() + timedelta(days=days)).isoformat()


def test_two_persons_switch_a_case_off_and_whoever_has_the_pin_keeps_it(
    hotline: Hotline, tmp_path: Path
) -> None:
    file = picture(tmp_path / "a.png", 501)
    disrupt, case = hotline.shell, hotline.shell.registered(file)
    disrupt.match(file, until=1)

    requested = hotline.staff("anne", ERASE, case.case_number)
    assert requested.code == 0, requested.err
    assert "Nothing has changed yet" in requested.out
    assert hotline.status(case)["erasure"] == {
        "requested_on": today(),
        "confirmed_on": None,
        "due_on": None,
        "erased_on": None,
    }
    alone = hotline.staff("anne", CONFIRM, case.case_number)
    assert (alone.code, "Another person has to confirm" in alone.err) == (1, True)
    disrupt.match(file, until=1)

    confirmed = hotline.staff("bruno", CONFIRM, case.case_number, "--json")
    assert confirmed.json == {
        "requested_on": today(),
        "confirmed_on": today(),
        "due_on": today(7),
    }
    disrupt.match(file, until=0)
    assert [item["state"] for item in hotline.status(case)["items"]] == ["disabled"]
    shown = disrupt("status", case.case_number, pin=case.pin).out
    french, english = (shown.index(word) for word in ("quelqu'un a demandé", "somebody asked"))
    assert french < english
    assert f"disrupt keep {case.case_number}" in shown
    assert "peuvent bloquer" not in shown
    for again in (hotline.staff("anne", ERASE, case.case_number), confirmed):
        assert again.code == 0
        assert today(7) in again.out

    other = picture(tmp_path / "b.png", 502)
    added = disrupt("submit", "--case", case.case_number, other, pin=case.pin)
    assert added.code == 1
    assert "disrupt keep" in added.err

    kept = disrupt("keep", case.case_number, pin=case.pin)
    assert kept.code == 0, kept.err
    assert "le service n'effacera pas ce dossier" in kept.out.replace("\n", " ")
    disrupt.match(file, until=1)
    assert hotline.status(case)["erasure"] is None
    assert disrupt("keep", case.case_number, pin=case.pin).code == 0
    assert hotline.staff("bruno", CONFIRM, case.case_number).code == 1

    wrong = disrupt("keep", case.case_number, pin="0" * 12)
    assert (wrong.code, "CASE_REFUSED" in wrong.err) == (1, True)


def test_to_stop_what_nobody_requested_changes_nothing_and_says_so(
    hotline: Hotline, tmp_path: Path
) -> None:
    case = hotline.shell.registered(picture(tmp_path / "a.png", 509))
    acts = hotline.acts()
    kept = hotline.shell("keep", case.case_number, pin=case.pin)
    assert kept.code == 0, kept.err
    french, english = (
        kept.out.index(words) for words in ("rien n'a été changé", "nothing was changed")
    )
    assert french < english
    assert not any(words in kept.out for words in ("C'est fait", "Si cette demande"))
    assert "nothing was changed" in hotline.staff("anne", CANCEL, case.case_number).out
    assert hotline.staff("anne", CANCEL, case.case_number, "--json").json == {"cancelled": False}
    assert hotline.acts() == acts


def test_staff_cancel_with_one_key(hotline: Hotline, tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png", 503)
    case = hotline.shell.registered(file)
    hotline.confirmed(case.case_number)
    hotline.shell.match(file, until=0)
    cancelled = hotline.staff("anne", CANCEL, case.case_number)
    assert cancelled.code == 0, cancelled.err
    assert "not to be erased any more" in cancelled.out
    hotline.shell.match(file, until=1)
    assert hotline.status(case)["erasure"] is None


def test_what_is_due_is_erased_also_if_no_server_ran_then(hotline: Hotline, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{at}.png", at) for at in (504, 505)]
    gone, stays = (hotline.shell.registered(file) for file in files)
    for case in (gone, stays):
        hotline.confirmed(case.case_number)
    hotline.restart(
        "UPDATE case_erasures SET due_at_s = confirmed_at_s"
        " WHERE case_id = (SELECT id FROM cases WHERE number = ?)",
        gone.case_number,
    )
    eventually(lambda: hotline.status(gone)["status"] == "WITHDRAWN")
    erased = hotline.status(gone)
    assert (erased["closed_on"], erased["items"]) == (today(), [])
    assert erased["erasure"]["erased_on"] == today()
    contents = journal.read(hotline.server.data_dir / "removals.journal")
    assert contents is not None
    assert bytes.fromhex(gone.registered[0].item_id) in {item.item_id for item in contents.removed}
    said = hotline.shell("status", gone.case_number, pin=gone.pin).out
    assert said.index("Ce dossier a été effacé le") < said.index("This case was erased on")
    late = hotline.shell("keep", gone.case_number, pin=gone.pin)
    assert (late.code, "Ce dossier est déjà retiré" in late.out) == (0, True)
    assert hotline.staff("anne", ERASE, gone.case_number).code == 1

    assert hotline.status(stays)["erasure"]["due_on"] == today(7)
    with SubmissionClient(hotline.server.address, key=hotline.register) as client:
        client.keep(stays.case_number, stays.pin)
    hotline.shell.match(files[1], until=1)
    hotline.shell.match(files[0], until=0)


def test_after_a_restore_the_seven_days_begin_again(hotline: Hotline, tmp_path: Path) -> None:
    case = hotline.shell.registered(picture(tmp_path / "a.png", 506))
    hotline.confirmed(case.case_number)
    # What the beginning of a new epoch leaves, long after the confirmation.
    hotline.restart("UPDATE case_erasures SET confirmed_at_s = 1700000000, due_at_s = NULL")
    erasure = hotline.status(case)["erasure"]
    assert date.fromisoformat(erasure["confirmed_on"]) < date.fromisoformat(today())
    assert erasure["due_on"] == today(7)
    assert hotline.shell("keep", case.case_number, pin=case.pin).code == 0


def test_the_log_has_all_of_it_and_no_case_number(hotline: Hotline, tmp_path: Path) -> None:
    before = len(hotline.acts())
    case = hotline.shell.registered(picture(tmp_path / "a.png", 507))
    unknown = hotline.staff("anne", ERASE, "2222-2222-223")
    assert (unknown.code, "no case of this number" in unknown.err) == (1, True)
    hotline.staff("anne", ERASE, case.case_number)
    hotline.staff("anne", CONFIRM, case.case_number)
    hotline.staff("bruno", CONFIRM, case.case_number)
    hotline.shell("keep", case.case_number, pin=case.pin)
    acts = hotline.acts()[before:]
    assert [action for _, action, _ in acts] == [
        *("erasure_refused", "erasure_requested", "erasure_refused"),
        *("erasure_confirmed", "erasure_stopped"),
    ]
    anne, bruno = acts[1][0], acts[3][0]
    assert [actor for actor, _, _ in acts] == [anne, anne, anne, bruno, SERVER]
    assert acts[0][2] == {"reason": "not_found", "tried": "requested"}
    (handle,) = {subject["case"] for _, _, subject in acts[1:]}
    rows = hotline.shell("review", "cases", "--json", key=hotline.keys["anne"]).json["cases"]
    assert handle == rows[0]["case"]
    assert case.case_number not in json.dumps(acts)
    assert hotline.shell("review", "verify", key=hotline.keys["anne"]).code == 0


@pytest.mark.parametrize("options", [(), ("--case-file", "nothing.txt")])
def test_without_a_case_number_staff_are_told_how_to_give_one(
    hotline: Hotline, options: tuple[str, ...]
) -> None:
    done = hotline.shell("review", ERASE, *options, key=hotline.keys["anne"])
    assert done.code == 2
    assert "case" in done.err
    mistyped = hotline.staff("anne", ERASE, "2222-2222-224")
    assert (mistyped.code, "not a case number" in mistyped.err) == (2, True)
