"""A throttled call waits for its turn as long as its caller has patience."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from disrupt.errors import TooManyAttemptsError
from disrupt.submission import waiting
from disrupt.submission.client import SubmissionClient
from disrupt.submission.waiting import LoggedWaiting, ShownWaiting, Waiting
from rig.media.generated import picture
from rig.servers.scripted import scripted, status_of
from rig.servers.scripted_registration import OTHER_CASE, SHOWN, register


@pytest.mark.parametrize(
    ("how", "retry_after_s", "waits"),
    [
        (ShownWaiting, 3600, True),
        (LoggedWaiting, 600, True),
        (LoggedWaiting, 3600, False),
        (lambda _: Waiting(), 600, False),
    ],
    ids=["person", "log", "log that would last too long", "program"],
)
def test_a_person_waits_however_long_a_log_half_an_hour_and_a_program_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Any, retry_after_s: float, *, waits: bool
) -> None:
    slept_s: list[float] = []
    clock = SimpleNamespace(sleep=slept_s.append, monotonic=lambda: 0.0)
    monkeypatch.setattr(waiting, "time", clock)
    throttled = status_of(TooManyAttemptsError("Come back.", retry_after_s=retry_after_s))
    console = Console(file=StringIO(), width=1000)
    files = [picture(tmp_path / "a.png", 1)]
    into: dict[str, Any] = {"case_number": OTHER_CASE, "pin": "210987654321"}
    with (
        scripted(*(SHOWN, throttled, throttled, register) if waits else [throttled]) as server,
        SubmissionClient(server.address, key="key", waiting=how(console)) as client,
    ):
        if waits:
            assert client.submit(files, **into).registered
            assert len({call.request for call in server.seen[1:]}) == 1
        else:
            with pytest.raises(TooManyAttemptsError):
                client.submit(files, **into)
    assert [pause_s > retry_after_s for pause_s in slept_s] == [True, True] * waits
    is_logged = waits and how is LoggedWaiting
    assert console.file.getvalue().count("at most 30 minutes") == is_logged  # type: ignore[attr-defined]
