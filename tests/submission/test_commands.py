"""What the commands print, by the keys of the texts, where a scripted service answers."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from disrupt.errors import LimitExceededError
from disrupt.submission import texts
from disrupt.submission.client import SubmissionClient
from disrupt.submission.showing import SubmissionPrinter
from disrupt.v1 import registration_pb2
from rig.callers.said import said
from rig.callers.shell import Done, typed
from rig.media.generated import picture
from rig.servers.deployment import BIN
from rig.servers.scripted import Answer, scripted, status_of
from rig.servers.scripted_registration import OTHER_CASE, register


def run(*arguments: str | Path, answer: Answer, **variables: str) -> Done:
    """Run a command against a service that gives one answer."""
    with scripted(answer) as server:
        return typed(
            *arguments,
            DISRUPT_SERVER=server.address,
            DISRUPT_KEY="key",
            DISRUPT_PIN="123456789012",
            **variables,
        )


def test_an_interrupt_after_a_change_never_says_that_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SubmissionPrinter, "__exit__", interrupted)
    done = run("submit", "--age=adult", picture(tmp_path / "a.png", 1), answer=register)
    assert "interrupted" in done.said
    assert "nothing_was_registered" not in done.said


def test_an_unforeseen_error_before_anything_is_sent_says_that_nothing_was_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(SubmissionClient, "submit", fail)
    done = run("submit", "--age=adult", picture(tmp_path / "a.png", 1), answer=register)
    assert done.code == 1
    assert done.said >= {"unforeseen", "nothing_was_registered", "detail"}
    assert done.err.splitlines()[-1].endswith(": ZeroDivisionError)")
    assert "secret" not in done.err


def test_who_names_too_many_items_to_withdraw_is_not_told_to_open_a_case() -> None:
    refused = status_of(LimitExceededError("At most 1000 items."))
    done = run("withdraw", "--yes", OTHER_CASE, answer=refused)
    assert done.code == 1
    assert done.said >= {"too_many_to_withdraw", "nothing_was_withdrawn"}
    assert "error.LIMIT_EXCEEDED" not in done.said


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("status", OTHER_CASE), "--pin-file"),
        (("status", "--pin-file", "-", OTHER_CASE), "--pin-file"),
        (("submit", "--age=adult", "--case", OTHER_CASE, "a.png"), "--pin-file"),
        (("withdraw", "--yes", "--item", "00" * 16, OTHER_CASE), "--pin-file"),
        (("withdraw", "--item", "1", OTHER_CASE), "--yes"),
        (("submit", "a.png"), "--age"),
        (("withdraw", OTHER_CASE), "--yes"),
    ],
    ids=str,
)
def test_without_standard_input_the_commands_say_what_to_do(
    arguments: tuple[str, ...], advice: str
) -> None:
    env = {name: value for name, value in os.environ.items() if "DISRUPT" not in name}
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", BIN / "disrupt", *arguments],
        env=env | {"DISRUPT_KEY": "key"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Erreur\N{NO-BREAK SPACE}: ")
    assert advice in done.stderr


def test_the_status_says_what_came_of_each_picture_and_which_waits() -> None:
    case = registration_pb2.Case(
        case_number=OTHER_CASE,
        status=registration_pb2.CASE_STATUS_ACTIVE,
        items=[
            registration_pb2.CaseItem(
                number=number,
                registered_on="2026-11-20",
                blocked_on=blocked_on,
                left_up_on=left_up_on,
                state=state,
            )
            for number, blocked_on, left_up_on, state in (
                (1, "2026-11-24", "", registration_pb2.CASE_ITEM_STATE_LIVE),
                (2, "", "2026-11-25", registration_pb2.CASE_ITEM_STATE_WAITING),
                (3, "", "", registration_pb2.CASE_ITEM_STATE_OFF),
            )
        ],
    )
    answer = registration_pb2.GetCaseResponse(case=case)
    done = run("status", OTHER_CASE, answer=answer)
    of_each = [said(part) for part in re.split(r"\n  (?=Image \d)", done.out)[1:]]
    assert len(of_each) == 3
    families = ("status.", "state.", "came.")
    assert [{key for key in keys if key.startswith(families)} for keys in of_each] == [
        # what is urgent comes first
        {"state.WAITING", "state.WAITING.means", "came.left_up"},
        {"state.OFF", "state.OFF.means"},
        {"state.LIVE", "came.blocked"},
    ]
    assert {"case.left_up.one", "case.off.one", "case.live.one"} <= said(done.out)
    assert [day in done.out for day in ("2026-11-20", "2026-11-24", "2026-11-25")] == [True] * 3
    shown = [
        (item["blocked_on"], item["left_up_on"], item["state"])
        for item in run("status", "--json", OTHER_CASE, answer=answer).json["items"]
    ]
    assert shown == [
        ("2026-11-24", None, "live"),
        (None, "2026-11-25", "waiting"),
        (None, None, "off"),
    ]


@pytest.mark.parametrize(
    ("state", "key"),
    [("LIVE", "registered"), ("WAITING", "registered_waiting"), ("OFF", "registered_off")],
)
@pytest.mark.parametrize("outcome", ["ADDED", "KEPT"])
def test_only_a_picture_that_is_live_is_said_to_be_blocked(
    state: str, key: str, outcome: str, tmp_path: Path
) -> None:
    def stand(request: bytes) -> registration_pb2.RegisterHashesResponse:
        answer = register(request)
        for item in answer.receipt.items:
            item.state = registration_pb2.CaseItemState.Value(f"CASE_ITEM_STATE_{state}")
            item.outcome = registration_pb2.RegistrationOutcome.Value(
                f"REGISTRATION_OUTCOME_{outcome}"
            )
        return answer

    file = picture(tmp_path / "a.png", 1)
    done = run("submit", "--age=adult", file, answer=stand)
    assert done.code == 0
    assert {said for said in done.said if said.startswith("registered")} == {key}
    assert ("outcome.KEPT" in done.said) == (outcome == "KEPT" and state != "OFF")
    (shown,) = run("submit", "--age=adult", "--json", file, answer=stand).json["items"]
    assert shown["state"] == state.lower()


CASE = registration_pb2.GetCaseResponse(
    case=registration_pb2.Case(
        case_number=OTHER_CASE,
        status=registration_pb2.CASE_STATUS_ACTIVE,
        items=[registration_pb2.CaseItem(item_id=b"\xab" * 16, number=7)],
    )
)


@pytest.mark.parametrize(
    ("options", "system", "spoken"),
    [
        ((), {"LC_ALL": "C", "LANG": "en_GB.UTF-8"}, "fr"),
        ((), {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "en_GB.UTF-8"}, "en"),
        ((), {"LC_ALL": "fr_FR.UTF-8", "LANG": "en_GB.UTF-8"}, "fr"),
        (("--lang", "en"), {"LC_ALL": "fr_FR.UTF-8"}, "en"),
    ],
    ids=str,
)
def test_a_command_speaks_one_language_and_numbers(
    options: tuple[str, ...], system: dict[str, str], spoken: str
) -> None:
    done = run("status", *options, OTHER_CASE, answer=CASE, **system)
    assert done.code == 0, done.err
    flat = " ".join(done.out.split())
    for phrase in (texts.ITEM.format(number=7), texts.HELP, texts.CASE_NUMBER, texts.NEXT_STATUS):
        in_each = {language: text in flat for language, text in phrase._asdict().items()}
        assert in_each == {"fr": spoken == "fr", "en": spoken == "en"}
    assert "abab" not in flat
    assert flat.count("--lang en") == (4 if options else 0), "the next commands speak it, too"


@pytest.mark.parametrize(
    ("options", "variables"), [(["--helping"], {}), ([], {"DISRUPT_HELPING": "1"})], ids=str
)
def test_who_helps_reads_what_to_tell_and_no_advice_to_children(
    options: list[str], variables: dict[str, str]
) -> None:
    done = run("status", *options, OTHER_CASE, answer=CASE, **variables)
    helps = {key for key in done.said if key.startswith("help.")}
    assert helps == {"help.to_tell"}
    assert done.out.count(" --helping") == (4 if options else 0)
