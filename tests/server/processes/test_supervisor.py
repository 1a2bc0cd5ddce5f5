"""A server starts its processes in order, asks them to end, and kills those that do not."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from disrupt.server import supervision
from disrupt.server.config import Config
from disrupt.server.processes import housekeeping, supervisor
from disrupt.server.processes.forking import Forked


class Process:
    """Ends by the signals of ``obeyed``; notes all of them."""

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
    monkeypatch.setattr(supervisor, "_KILL_MARGIN_S", 0.1)
    process = Process(obeyed)

    async def end() -> None:
        running = supervisor._Supervisor(Config(data_dir=Path("data"), drain_grace_s=0), {})
        await asyncio.wait_for(running._end("worker", cast("Forked", process)), 20)

    asyncio.run(end())
    assert process.signals == signals


def test_upkeep_begins_once_writer_and_workers_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    serving: list[str] = []
    before_upkeep: list[str] = []

    async def keep(running: supervisor._Supervisor, child: supervisor._Child) -> None:
        serving.append(child.role)
        child.ready.set()
        await running._stop.wait()

    async def keep_house(*settings: Any) -> None:
        before_upkeep.extend(serving)
        settings[-1].set()  # stops the server

    monkeypatch.setattr(supervision, "arrange", lambda: None)
    monkeypatch.setattr(supervisor._Supervisor, "_keep", keep)
    monkeypatch.setattr(housekeeping, "keep_house", keep_house)
    config = Config(data_dir=Path("data"), workers=2)
    asyncio.run(supervisor._Supervisor(config, {}).run(lambda: None))
    assert before_upkeep == ["writer", "worker", "worker"]


def test_upkeep_is_done_again_and_again_whatever_became_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(housekeeping, "_COUNT_S", 0.001)

    async def keep_house() -> list[int]:
        begun: list[int] = []
        stop = asyncio.Event()

        async def start() -> int:
            begun.append(len(begun))
            if len(begun) == 3:
                stop.set()
            return len(begun) % 2

        config = Config(data_dir=Path("data"), erase_within_h=1e-6)
        await housekeeping.keep_house(config, start, asyncio.Event(), stop)
        return begun

    assert asyncio.run(keep_house()) == [0, 1, 2]
