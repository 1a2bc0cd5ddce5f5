"""A worker serves no state that is too old, and gives out no cursor before others include it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from disrupt.core.changes import Cursor
from disrupt.core.policy import ApiKey, Right
from disrupt.data_directory import DataDirectory
from disrupt.errors import UnauthenticatedError, UnavailableError
from disrupt.index.generations import create_first
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.server.worker.state import WorkerState
from disrupt.services.keys import create_key
from rig.media.registrations import ACT

STALE_S = 300.0


class Clock:
    """The clock that the state of a worker reads."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


class Unsteady:
    """A registry whose keys, or whose everything, cannot be read at times."""

    def __init__(self, registry: RegistryWriter) -> None:
        self._registry = registry
        self.broken: set[str] = set()
        self.older_keys: tuple[ApiKey, ...] = ()

    def __getattr__(self, name: str) -> object:
        if name in self.broken:
            raise UnavailableError("The registry is busy.")
        return getattr(self._registry, name)

    def keys(self) -> tuple[ApiKey, ...]:
        if "keys" in self.broken:
            raise UnavailableError("The registry is busy.")
        return self.older_keys or self._registry.keys()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("server.worker.state", "feed.follower"):
        monkeypatch.setattr(f"disrupt.{module}.time", clock)
    return clock


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryWriter]:
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        create_first(tmp_path / "index", writer.head().epoch)
        yield writer


@pytest.mark.parametrize("broken", ["keys", "head", "changes"])
def test_neither_index_nor_keys_are_given_out_when_one_of_them_is_stale(
    tmp_path: Path, registry: RegistryWriter, clock: Clock, broken: str
) -> None:
    key, secret = create_key(registry, "p", [Right.MATCH], (), day="2026-01-01", act=ACT)
    unsteady = Unsteady(registry)
    state = WorkerState(unsteady, DataDirectory(tmp_path), 0.2, STALE_S)  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        _ = state.ring  # nothing is known before the first look
    state.read_registry()
    unsteady.broken.add(broken)
    for _ in range(30):
        clock.now_s += 10
        state.read_registry()
    assert state.behind_s() == STALE_S
    assert state.ring.authenticate(secret) == key
    assert state.live.serving
    clock.now_s += 1
    for given_out in ("ring", "live"):
        with pytest.raises(UnavailableError):
            getattr(state, given_out)
    unsteady.broken.clear()
    state.read_registry()
    assert state.behind_s() == 0
    assert state.ring.authenticate(secret) == key
    assert state.live.serving


def test_every_key_that_comes_is_noted_as_used_and_no_other(
    tmp_path: Path, registry: RegistryWriter
) -> None:
    key, secret = create_key(registry, "p", [Right.MATCH], (), day="2026-01-01", act=ACT)
    create_key(registry, "unused", [Right.MATCH], (), day="2026-01-01", act=ACT)
    state = WorkerState(registry, DataDirectory(tmp_path), 0.2, STALE_S)
    state.read_registry()
    assert asyncio.run(state.authenticate(secret)) == key
    assert state.uses.untold() == {key.key_id: state.ring.day}


@pytest.mark.parametrize("begins_anew", [True, False])
def test_a_key_once_revoked_stays_so_where_an_older_registry_takes_its_place(
    tmp_path: Path, registry: RegistryWriter, begins_anew: bool
) -> None:
    key, secret = create_key(registry, "p", [Right.MATCH], (), day="2026-01-01", act=ACT)
    unsteady: Any = Unsteady(registry)
    made = partial(WorkerState, unsteady, DataDirectory(tmp_path), 0.2, STALE_S)
    state = made(outlives_registry=True)
    state.read_registry()
    registry.revoke_key(key.key_id, day="2026-01-02", act=ACT)  # as the list of removals says
    if begins_anew:
        state = made(outlives_registry=True)
    else:
        state.read_registry()
    unsteady.older_keys = (key,)
    state.read_registry()
    with pytest.raises((UnauthenticatedError, UnavailableError)):
        state.ring.authenticate(secret)


CHANGES = 5


def test_a_cursor_is_given_out_some_steps_after_its_change_and_then_it_is(tmp_path: Path) -> None:
    state = WorkerState(Any, DataDirectory(tmp_path), 0.0, 300.0)  # type: ignore[arg-type]
    live = SimpleNamespace(serving=True, cursor=Cursor(bytes(16), 0))
    given: list[tuple[int, int]] = []

    def step() -> None:
        if given:
            given[-1] = given[-1][0], state.settled.sequence
        live.cursor = Cursor(bytes(16), min(live.cursor.sequence + 1, CHANGES))
        given.append((live.cursor.sequence, 0))

    async def follow() -> None:
        state._live = live  # type: ignore[assignment]
        state._follower = SimpleNamespace(step=step, behind_s=lambda _: 0.0)  # type: ignore[assignment]
        state._ring_s = time.monotonic()
        task = asyncio.create_task(state.follow_changes())
        while len(given) < 3 * CHANGES:
            await asyncio.sleep(0.001)
        task.cancel()

    asyncio.run(follow())
    assert all(seen <= max(1, has - 3) for has, seen in given[:CHANGES])
    assert CHANGES in [seen for _, seen in given]
