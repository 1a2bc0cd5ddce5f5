"""An attempt that fails is repeated, waited for, or reported as having perhaps taken effect."""

from __future__ import annotations

import math
from contextlib import nullcontext
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    OverloadedError,
    StorageFullError,
    TooManyAttemptsError,
    UnavailableError,
)
from disrupt.submission import waiting
from disrupt.submission.client import SubmissionClient
from disrupt.submission.waiting import LoggedWaiting, Waiting
from rig.media.generated import picture
from rig.servers.scripted import scripted, status_of
from rig.servers.scripted_registration import OTHER_CASE, QUICK, SHOWN, asked, derived, register


def test_an_answer_that_came_too_late_is_asked_for_once_more(tmp_path: Path) -> None:
    late = status_of(DeadlineExceededError("Too late; perhaps it took effect."))
    with (
        scripted(late, register) as server,
        SubmissionClient(server.address, key="key", retries=QUICK) as client,
    ):
        done = client.submit([picture(tmp_path / "a.png", 1)])
    assert done.case_number == derived(server)
    first, second = server.seen
    assert first.request == second.request


@pytest.mark.parametrize(
    "error", [UnavailableError("Away."), OverloadedError("Busy.", retry_after_s=0.01)]
)
def test_a_registration_is_tried_again_under_the_same_request_id_and_pin(
    tmp_path: Path, error: UnavailableError | OverloadedError
) -> None:
    failing = status_of(error)
    with (
        scripted(failing, failing, register) as server,
        SubmissionClient(server.address, key="key", retries=QUICK) as client,
    ):
        done = client.submit([picture(tmp_path / "a.png", 1)])
    assert done.case_number == derived(server)
    assert len(server.seen) == 3
    assert len({call.request for call in server.seen}) == 1
    context = asked(server.seen[0].request)
    assert len(context.request_id) == 16
    assert context.access.pin == done.pin


def test_a_person_at_a_terminal_waits_for_their_turn_however_long_and_a_program_is_told(
    tmp_path: Path,
) -> None:
    file = picture(tmp_path / "a.png", 1)
    throttled = status_of(TooManyAttemptsError("Come back.", retry_after_s=3600))
    waited_s: list[float] = []

    class Patient(Waiting):
        patience_s = math.inf

        def pause(self, _failure: DisruptError, pause_s: float) -> None:
            waited_s.append(pause_s)

    added: dict[str, Any] = {"case_number": OTHER_CASE, "pin": "210987654321"}
    with scripted(SHOWN, throttled, throttled, register) as server:
        with SubmissionClient(server.address, key="key", waiting=Patient()) as client:
            assert client.submit([file], **added).registered
        assert len({call.request for call in server.seen[1:]}) == 1
    assert [pause_s > 3600 for pause_s in waited_s] == [True, True]
    with (
        scripted(throttled) as server,
        SubmissionClient(server.address, key="key") as client,
        pytest.raises(TooManyAttemptsError),
    ):
        client.submit([file], **added)


@pytest.mark.parametrize(
    ("lost", "last"),
    [
        (UnavailableError("Away."), None),
        (UnavailableError("Away."), OverloadedError("Busy.", retry_after_s=60)),
        (DeadlineExceededError("Late."), None),
        (UnavailableError("Away."), StorageFullError("Full.")),
    ],
)
def test_where_no_attempt_was_answered_it_is_not_known_what_took_effect(
    tmp_path: Path, lost: DisruptError, last: DisruptError | None
) -> None:
    files = [picture(tmp_path / f"{at}.png", at) for at in range(3)]
    script = [status_of(code) for code in (lost, last) if code]
    with (
        scripted(*script) as server,
        SubmissionClient(server.address, key="key", retries=QUICK) as client,
    ):
        done = client.submit(files)
    assert done.case_number == derived(server)
    assert done.pin == asked(server.seen[0].request).access.pin
    assert [unknown.source for unknown in done.unknown] == [str(file) for file in files[:2]]
    assert [rejection.source for rejection in done.rejected] == [str(files[-1])]


class Interrupted(Waiting):
    """Press Ctrl-C in the first pause."""

    def pause(self, _failure: DisruptError, _pause_s: float) -> None:
        raise KeyboardInterrupt


LOST = [
    UnavailableError("Away."),
    DeadlineExceededError("Late."),
    DisruptError("The server failed."),
]


@pytest.mark.parametrize("lost", [*LOST, StorageFullError("Full.")], ids=str)
def test_a_withdrawal_of_which_any_attempt_may_have_taken_effect_is_not_known(
    lost: DisruptError,
) -> None:
    refused = status_of(OverloadedError("Busy.", retry_after_s=3600))
    for item_ids in (None, ["00" * 16]):
        with (
            scripted(status_of(lost), refused) as server,
            SubmissionClient(server.address, key="key", retries=QUICK) as client,
        ):
            with pytest.raises(DisruptError):
                client.withdraw(OTHER_CASE, "210987654321", item_ids)
            assert client.may_have_changed


@pytest.mark.parametrize(
    ("first", "may_have_changed"),
    [(UnavailableError("Away."), True), (OverloadedError("Busy.", retry_after_s=1), False)],
)
def test_ctrl_c_between_attempts_is_judged_by_what_came_of_them(
    tmp_path: Path, first: DisruptError, *, may_have_changed: bool
) -> None:
    file = picture(tmp_path / "a.png", 1)
    with (
        scripted(status_of(first)) as server,
        SubmissionClient(server.address, key="key", waiting=Interrupted()) as client,
    ):
        with pytest.raises(KeyboardInterrupt):
            client.withdraw(OTHER_CASE, "210987654321")
        assert client.may_have_changed == may_have_changed
        if may_have_changed:
            assert len(client.submit([file]).unknown) == 1
        else:
            with pytest.raises(KeyboardInterrupt):
                client.submit([file])
        assert client.may_have_changed == may_have_changed
    assert len(server.seen) == 2


def test_what_only_asks_changes_nothing() -> None:
    with (
        scripted(status_of(UnavailableError("Away.", retry_after_s=3600))) as server,
        SubmissionClient(server.address, key="key") as client,
    ):
        client.reach()
        with pytest.raises(UnavailableError):
            client.case(OTHER_CASE, "210987654321")
        assert not client.may_have_changed


def test_a_command_without_a_terminal_waits_for_its_turn_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_s: list[float] = []
    monkeypatch.setattr(waiting, "time", SimpleNamespace(sleep=waited_s.append))
    throttled = status_of(TooManyAttemptsError("Come back.", retry_after_s=600))
    for_ever = status_of(TooManyAttemptsError("Come back.", retry_after_s=3600))
    for script, ends in (((SHOWN, throttled, throttled, register), True), ((for_ever,), False)):
        err = StringIO()
        console = Console(file=err, width=1000)
        with (
            scripted(*script) as server,
            SubmissionClient(server.address, key="key", waiting=LoggedWaiting(console)) as client,
            nullcontext() if ends else pytest.raises(TooManyAttemptsError),
        ):
            client.submit(
                [picture(tmp_path / "a.png", 1)], case_number=OTHER_CASE, pin="210987654321"
            )
        said = err.getvalue().replace("\N{NO-BREAK SPACE}", " ")
        assert said.count("la commande attend son tour, 30 minutes au plus") == ends
        assert said.count("at most 30 minutes") == ends
    assert [pause_s > 600 for pause_s in waited_s] == [True, True]
