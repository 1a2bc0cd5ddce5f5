"""What the commands say where they are broken off, and where they cannot ask."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from disrupt.cli import main
from disrupt.errors import (
    CaseRefusedError,
    ErasurePendingError,
    LimitExceededError,
    StorageFullError,
    UnavailableError,
)
from disrupt.submission import client as submission_client
from disrupt.submission.client import SubmissionClient
from disrupt.v1 import registration_pb2
from tests.cli.shell import BIN
from tests.client.scripted import Answer, scripted, status_of
from tests.submission.examples import picture
from tests.submission.service import OTHER_CASE, SHOWN, register

PIN = "12345678"
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

    monkeypatch.setattr("disrupt.submission.showing.Receipt.__exit__", interrupted)
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
    assert result.output.splitlines()[-1] == "(ZeroDivisionError)"


@pytest.mark.parametrize(
    ("outcomes", "names"),
    [
        ([], []),
        ([1], ["blocked"]),
        ([2], ["not_blocked"]),
        ([2, 1, 1], ["blocked", "not_blocked"]),
        ([3, 4, 99], []),  # what no server says, or a later one
    ],
)
def test_a_status_says_in_words_what_came_of_a_picture(
    outcomes: list[Any], names: list[str]
) -> None:
    item = registration_pb2.CaseItem(item_id=bytes(16), outcomes=outcomes)
    case = registration_pb2.Case(case_number=OTHER_CASE, items=[item])
    answer = registration_pb2.GetCaseResponse(case=case)
    result, flat = run("status", OTHER_CASE, answer=answer)
    assert result.exit_code == 0
    for name, french, english in (
        ("blocked", "au moins une plateforme en a bloqué une copie", "blocked a copy of it"),
        ("not_blocked", "en a reconnu une copie et la laisse en ligne", "leaves it up"),
    ):
        assert (french in flat) == (english in flat) == (name in names)
    result, _ = run("status", "--json", OTHER_CASE, answer=answer)
    assert json.loads(result.output)["items"][0]["outcomes"] == names


@pytest.mark.parametrize(
    ("states", "names", "means", "marks"),
    [
        ([0, 1], ["live", "live"], "peuvent bloquer ces images.", 0),
        ([1, 2], ["live", "waiting"], "sauf celles marquées ci-dessous", 1),
        ([2, 2], ["waiting", "waiting"], "ne bloquent pas encore ces images", 2),
        ([99], [None], "ne bloquent pas encore ces images", 0),  # of a later server
        ([1, 3], ["live", "disabled"], "sauf celles marquées ci-dessous", 0),
        ([2, 3], ["waiting", "disabled"], "ne bloquent pas ces images en ce moment", 1),
    ],
)
def test_a_status_says_which_pictures_wait_for_review(
    states: list[Any], names: list[str | None], means: str, marks: int
) -> None:
    items = [registration_pb2.CaseItem(item_id=bytes(16), state=state) for state in states]
    case = registration_pb2.Case(
        case_number=OTHER_CASE, status=registration_pb2.CASE_STATUS_ACTIVE, items=items
    )
    answer = registration_pb2.GetCaseResponse(case=case)
    result, flat = run("status", OTHER_CASE, answer=answer)
    assert result.exit_code == 0
    assert means in flat
    assert flat.count("en attente de vérification") == flat.count("waiting for review") == marks
    assert ("ne la bloquent pas en ce moment" in flat) == (None in names)
    for contact in ("n'est pas recherchée actuellement", "is not looked for at present"):
        assert (contact in flat) == ("disabled" in names)
    result, _ = run("status", "--json", OTHER_CASE, answer=answer)
    assert [item["state"] for item in json.loads(result.output)["items"]] == names


@pytest.mark.parametrize(
    ("state", "name", "means"),
    [
        (1, "live", "peuvent les bloquer."),
        (2, "waiting", "ne les bloquent pas encore"),
        (3, "disabled", "ne les bloquent pas en ce moment"),
    ],
)
def test_a_receipt_says_that_a_picture_waits_for_review(
    tmp_path: Path, state: Any, name: str, means: str
) -> None:
    file = str(picture(tmp_path / "a.png", 1))
    receipt = registration_pb2.Receipt(
        case_number=OTHER_CASE, status=registration_pb2.CASE_STATUS_ACTIVE
    )
    receipt.items.add(item_id=bytes(16), hashes=1, state=state)
    answer = registration_pb2.RegisterHashesResponse(receipt=receipt)
    result, flat = run("submit", "--case", OTHER_CASE, file, answer=answer)
    assert result.exit_code == 0, result.output
    assert means in flat
    assert ("en attente de vérification" in flat) == (name == "waiting")
    result, _ = run("submit", "--json", "--case", OTHER_CASE, file, answer=answer)
    assert json.loads(result.output)["items"][0]["state"] == name


REQUESTED = {"requested_on": "2026-11-26"}
PENDING = REQUESTED | {"confirmed_on": "2026-11-27", "due_on": "2026-12-04"}
DONE = PENDING | {"erased_on": "2026-12-04"}


@pytest.mark.parametrize(
    ("days", "status", "french", "english"),
    [
        ({}, 2, "", ""),
        (REQUESTED, 2, "Rien n'est changé pour l'instant", "Nothing has changed yet"),
        (PENDING, 2, "Depuis le 2026-11-27, les plateformes ne bloquent plus", "Since 2026-11-27"),
        (DONE, 3, "Ce dossier a été effacé le 2026-12-04", "This case was erased on 2026-12-04"),
    ],
    ids=["none", "requested", "confirmed", "erased"],
)
def test_a_status_says_that_somebody_without_the_pin_asked_for_the_erasure(
    days: dict[str, str], status: Any, french: str, english: str
) -> None:
    item = registration_pb2.CaseItem(item_id=bytes(16), state=3 if len(days) == 3 else 1)  # type: ignore[arg-type]
    case = registration_pb2.Case(
        case_number=OTHER_CASE,
        status=status,
        items=[item][: status == 2],
        erasure=registration_pb2.CaseErasure(**days) if days else None,
    )
    answer = registration_pb2.GetCaseResponse(case=case)
    result, flat = run("status", OTHER_CASE, answer=answer)
    assert result.exit_code == 0
    assert french in flat
    assert english in flat
    assert flat.index(french) <= flat.index(english)
    assert ("Le 2026-11-26, quelqu'un a demandé" in flat) == (len(days) in {1, 3})
    assert flat.count(f"disrupt keep {OTHER_CASE}") == (2 if len(days) in {1, 3} else 0)
    assert ("le 2026-12-04, elles seront effacées" in flat) == (len(days) == 3)
    # Platforms do not block what is off, and its remedy is named above.
    assert ("peuvent bloquer ces images" in flat) == (len(days) < 2)
    assert "contactez" not in flat
    assert "voyez ci-dessous" not in flat
    result, _ = run("status", "--json", OTHER_CASE, answer=answer)
    nothing = dict.fromkeys(DONE)
    assert json.loads(result.output)["erasure"] == (nothing | days if days else None)


TO_ERASE = registration_pb2.GetCaseResponse(
    case=registration_pb2.Case(
        case_number=OTHER_CASE,
        erasure=registration_pb2.CaseErasure(requested_on="2026-11-26"),
    )
)


@pytest.mark.parametrize(
    ("status", "french", "english"),
    [
        (2, "le service n'effacera pas ce dossier", "the hotline will not erase this case"),
        (3, "Ce dossier est déjà retiré", "nothing is left to keep"),
    ],
)
def test_keeping_a_case_says_what_holds_now(status: Any, french: str, english: str) -> None:
    kept = registration_pb2.KeepCaseResponse(
        case=registration_pb2.Case(case_number=OTHER_CASE, status=status)
    )
    result, flat = run("keep", OTHER_CASE, answer=(TO_ERASE, kept))
    assert result.exit_code == 0
    assert flat.index(french) < flat.index(english)
    assert flat.index("quelqu'un d'autre connaît peut-être") < flat.index("somebody else may know")
    result, _ = run("keep", "--json", OTHER_CASE, answer=(TO_ERASE, kept))
    assert json.loads(result.output)["case"] == OTHER_CASE


def test_keeping_a_case_that_nobody_asked_to_erase_changes_nothing_and_says_so() -> None:
    with scripted(SHOWN) as server:
        env = {"DISRUPT_SERVER": server.address, "DISRUPT_KEY": "key", "DISRUPT_PIN": PIN}
        result = CliRunner().invoke(main, ["keep", OTHER_CASE], env=env)
    assert result.exit_code == 0
    flat = " ".join(result.output.split())
    assert flat.index("rien n'a été changé") < flat.index("nothing was changed")
    assert "quelqu'un d'autre" not in flat
    assert len(server.seen) == 1


def test_keeping_a_case_without_an_answer_is_not_known() -> None:
    away = status_of(UnavailableError("Away.", retry_after_s=3600))
    result, flat = run("keep", OTHER_CASE, answer=(TO_ERASE, away))
    assert result.exit_code == 4
    assert "On ne sait pas si le dossier est gardé" in flat
    result, flat = run("keep", OTHER_CASE, answer=status_of(CaseRefusedError()))
    assert result.exit_code == 1
    assert "Rien n'a été changé" in flat


def test_who_adds_to_a_case_that_is_to_be_erased_is_told_how_to_keep_it(tmp_path: Path) -> None:
    file = str(picture(tmp_path / "a.png", 1))
    refused = status_of(ErasurePendingError("Pending."))
    result, flat = run("submit", "--case", OTHER_CASE, file, answer=(SHOWN, refused))
    assert result.exit_code == 1
    assert "disrupt keep" in flat
    assert "Rien n'a été enregistré" in flat


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


@pytest.mark.slow
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


def test_a_number_and_a_pin_out_of_a_document_open_the_case() -> None:
    number = OTHER_CASE.replace("-", "\N{NON-BREAKING HYPHEN}")
    shown = registration_pb2.GetCaseResponse(case=registration_pb2.Case(case_number=OTHER_CASE))
    with scripted(shown) as server:
        result = CliRunner().invoke(
            main,
            ["status", number],
            env={
                "DISRUPT_SERVER": server.address,
                "DISRUPT_KEY": "key",
                "DISRUPT_PIN": "1234\N{NO-BREAK SPACE}5678",
            },
        )
    assert result.exit_code == 0
    request = registration_pb2.GetCaseRequest.FromString(server.seen[0].request)
    assert (request.access.case_number, request.access.pin) == (OTHER_CASE, PIN)
