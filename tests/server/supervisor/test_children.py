"""A server that stops asks its processes to end, and kills those that do not."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, cast

import pytest

from disrupt.server.supervisor import children
from disrupt.server.supervisor.forking import Forked


class Process:
    """Ends by the signals of ``obeyed``; notes all of them."""

    pid = 1

    def __init__(self, obeyed: set[int]) -> None:
        self.obeyed = obeyed
        self.signals: list[int] = []
        self.code: int | None = None

    def kill(self, number: int) -> None:
        self.signals.append(number)
        if number in self.obeyed:
            self.code = -number


@pytest.mark.parametrize(
    ("obeyed", "signals"),
    [
        ({signal.SIGTERM, signal.SIGKILL}, [signal.SIGTERM]),
        ({signal.SIGKILL}, [signal.SIGTERM, signal.SIGKILL]),
    ],
)
def test_only_a_process_that_does_not_end_in_its_time_is_killed(
    monkeypatch: pytest.MonkeyPatch, obeyed: set[int], signals: list[int]
) -> None:
    monkeypatch.setattr(children, "KILL_MARGIN_S", 0.1)
    process = Process(obeyed)

    async def end() -> None:
        child = children.Child("worker", cast("Any", None))
        child.process = cast("Forked", process)
        await asyncio.wait_for(child.stop(0), 20)

    asyncio.run(end())
    assert process.signals == signals
