"""The commands say what is certain where they are broken off, and where they cannot ask."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from disrupt.cli import main
from disrupt.errors import LimitExceededError, StorageFullError, UnavailableError
from disrupt.submission import client as submission_client
from disrupt.submission.client import SubmissionClient
from disrupt.v1 import registration_pb2
from rig.media.generated import picture
from rig.servers.deployment import BIN
from rig.servers.scripted import Answer, scripted, status_of
from rig.servers.scripted_registration import OTHER_CASE, SHOWN, register

PIN = "123456789012"
WITHDRAW = ("withdraw", "--yes", OTHER_CASE)


def run(*arguments: str, answer: Answer | tuple[Answer, ...]) -> tuple[Result, str]:
    """Run a command against answers; its result, and what it printed on one line."""
    with scripted(*answer if isinstance(answer, tuple) else (answer,)) as server:
        env = {"DISRUPT_SERVER": server.address, "DISRUPT_KEY": "key", "DISRUPT_PIN": PIN}
        result = CliRunner().invoke(main, arguments, env=env)
    return result, " ".join(result.output.replace("\N{NO-BREAK SPACE}", " ").split())


@pytest.fixture
def _interrupted_closing(monkeypatch: pytest.MonkeyPatch) -> None:
    close = SubmissionClient.close

    def interrupted(self: SubmissionClient) -> None:
        close(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(SubmissionClient, "close", interrupted)


@pytest.mark.usefixtures("_interrupted_closing")
def test_ctrl_c_while_the_connection_closes_takes_back_nothing_that_was_said(
    tmp_path: Path,
) -> None:
    file = picture(tmp_path / "a.png", 1)
    for options in ([], ["--json"]):
        result, flat = run("submit", *options, str(file), answer=register)
        assert result.exit_code == 0
        assert "oubliez" not in flat
        assert "On ne sait pas" not in flat
    withdrawn = registration_pb2.WithdrawCaseResponse(
        case=registration_pb2.Case(case_number=OTHER_CASE)
    )
    result, flat = run(*WITHDRAW, answer=withdrawn)
    assert result.exit_code == 0
    assert "Le dossier est retiré" in flat
    assert "Rien n'a été retiré" not in flat


@pytest.mark.usefixtures("_interrupted_closing")
def test_ctrl_c_while_the_connection_of_a_refused_call_closes_says_that_nothing_changed(
    tmp_path: Path,
) -> None:
    refused = status_of(LimitExceededError("Too many."))
    _, flat = run("submit", str(picture(tmp_path / "a.png", 1)), answer=refused)
    assert "Rien n'a été enregistré" in flat
    _, flat = run(*WITHDRAW, answer=refused)
    assert "Rien n'a été retiré" in flat


def test_ctrl_c_once_the_files_are_sent_still_shows_what_is_known_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(submission_client, "ITEMS_PER_REQUEST", 1)
    monkeypatch.setattr("disrupt.client.terminal.Progress.__exit__", interrupted)
    files = [str(picture(tmp_path / f"{at}.png", at)) for at in range(2)]
    full = status_of(StorageFullError("Full."))
    result, _ = run("submit", "--json", *files, answer=(register, full))
    said = json.loads(result.stdout)
    assert result.exit_code == 3
    assert [item["input"] for item in said["items"]] == files[:1]
    assert [(file["input"], file["reason"]) for file in said["rejected"]] == [
        (files[1], "STORAGE_FULL")
    ]
    assert "unknown" not in said


def test_an_interrupt_after_a_change_never_says_that_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("disrupt.submission.showing.SubmissionPrinter.__exit__", interrupted)
    _, flat = run("submit", str(picture(tmp_path / "a.png", 1)), answer=register)
    assert "Interrompu." in flat
    assert "oubliez" not in flat


def test_an_unforeseen_error_before_anything_is_sent_says_that_nothing_was_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(SubmissionClient, "submit", fail)
    result, flat = run("submit", str(picture(tmp_path / "a.png", 1)), answer=register)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert flat.startswith("Ce programme a rencontré une erreur imprévue.")
    assert "Rien n'a été enregistré." in flat
    detail = "(Détail pour l'association · Detail for the helpline: ZeroDivisionError)"
    assert result.output.splitlines()[-1] == detail


def test_who_names_too_many_items_to_withdraw_is_not_told_to_open_a_case() -> None:
    result, flat = run(*WITHDRAW, answer=status_of(LimitExceededError("At most 1000 items.")))
    assert result.exit_code == 1
    assert "nouveau dossier" not in flat
    assert "Recommencez avec moins d'images" in flat
    assert "Rien n'a été retiré." in flat


def test_files_behind_an_unknown_first_request_are_added_only_if_the_case_exists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submission_client, "ITEMS_PER_REQUEST", 1)
    files = [str(picture(tmp_path / f"{at}.png", at)) for at in range(2)]
    away = status_of(UnavailableError("Away.", retry_after_s=3600))
    result, flat = run("submit", *files, answer=away)
    assert result.exit_code == 4
    assert "Si le dossier existe, ajoutez-le avec --case ; sinon" in flat
    assert "plus tard avec --case" not in flat
    result, flat = run("submit", "--case", OTHER_CASE, *files, answer=(SHOWN, away))
    assert result.exit_code == 4
    assert "plus tard avec --case" in flat


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("status", OTHER_CASE), "--pin-file"),
        (("status", "--pin-file", "-", OTHER_CASE), "--pin-file"),
        (("submit", "--case", OTHER_CASE, "a.png"), "--pin-file"),
        (("withdraw", "--item", "00" * 16, OTHER_CASE), "--pin-file"),
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
    assert done.stderr.startswith("Erreur · Error: ")
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
    _, flat = run("status", OTHER_CASE, answer=answer)
    counted = "1 est reconnue par une plateforme qui la laisse en ligne"
    assert flat.index(counted) < flat.index("1 est désactivée") < flat.index("1 peut être bloquée")
    # what is urgent comes first
    second, third, first = flat.split("enregistrée le 2026-11-20, ")[1:]
    assert first.startswith("peut être bloquée")
    assert "Au moins une plateforme en a bloqué une copie, la dernière fois le 2026-11-24." in first
    assert "attend" not in first + third
    assert second.startswith("en attente")
    assert "Elle attend son tour ou une vérification" in second
    assert "la laisse en ligne, la dernière fois le 2026-11-25." in second
    assert third.startswith("désactivée")
    assert "plateforme en a" not in third
    result, _ = run("status", "--json", OTHER_CASE, answer=answer)
    shown = [
        (item["blocked_on"], item["left_up_on"], item["state"])
        for item in json.loads(result.output)["items"]
    ]
    assert shown == [
        ("2026-11-24", None, "live"),
        (None, "2026-11-25", "waiting"),
        (None, None, "off"),
    ]


@pytest.mark.parametrize(
    ("state", "said", "name"),
    [
        (registration_pb2.CASE_ITEM_STATE_LIVE, "peuvent les bloquer", "live"),
        (
            registration_pb2.CASE_ITEM_STATE_WAITING,
            "en attente de leur tour ou d'une vérification : 1.",
            "waiting",
        ),
        (registration_pb2.CASE_ITEM_STATE_OFF, "que le service a désactivées : 1.", "off"),
        (registration_pb2.CASE_ITEM_STATE_UNSPECIFIED, "Ces images", None),
    ],
)
@pytest.mark.parametrize("outcome", ["ADDED", "KEPT"])
def test_only_a_picture_that_is_live_is_said_to_be_blocked(
    state: registration_pb2.CaseItemState.ValueType,
    said: str,
    name: str | None,
    outcome: str,
    tmp_path: Path,
) -> None:
    def stand(request: bytes) -> registration_pb2.RegisterHashesResponse:
        answer = register(request)
        for item in answer.receipt.items:
            item.state = state
            item.outcome = registration_pb2.RegistrationOutcome.Value(
                f"REGISTRATION_OUTCOME_{outcome}"
            )
        return answer

    file = str(picture(tmp_path / "a.png", 1))
    result, flat = run("submit", file, answer=stand)
    assert result.exit_code == 0
    assert said in flat
    assert ("peuvent les bloquer" in flat) == (name == "live")
    assert ("bien enregistrée" in flat) == (outcome == "KEPT" and name != "off")
    result, _ = run("submit", "--json", file, answer=stand)
    assert json.loads(result.output)["items"][0]["state"] == name
