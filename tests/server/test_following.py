"""A worker does not serve followed state that is too old, whatever became of its threads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.core.policy import ApiKey, Bank, Right
from disrupt.data_directory import DataDirectory
from disrupt.errors import UnavailableError
from disrupt.index.generations import create_first
from disrupt.registry.sqlite.sql import SqlRegistry, SqlRegistryWriter
from disrupt.server.worker_state import WorkerState
from disrupt.services.keys import create_key

STALE_S = 300.0


class Clock:
    """The clock that worker_state reads."""

    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


class Unsteady:
    """A registry whose keys, or whose everything, cannot be read at times."""

    def __init__(self, registry: SqlRegistryWriter) -> None:
        self._registry = registry
        self.broken: set[str] = set()

    def __getattr__(self, name: str) -> object:
        if name in self.broken:
            raise UnavailableError("The registry is busy.")
        return getattr(self._registry, name)

    def keys(self) -> tuple[ApiKey, ...]:
        if "keys" in self.broken:
            raise UnavailableError("The registry is busy.")
        return self._registry.keys()

    def banks(self) -> tuple[Bank, ...]:
        return self._registry.banks()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("server.worker_state", "feed.follower"):
        monkeypatch.setattr(f"disrupt.{module}.time", clock)
    return clock


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistryWriter]:
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        create_first(tmp_path / "index", writer.head().epoch)
        yield writer


@pytest.mark.parametrize("broken", ["keys", "head", "changes"])
def test_neither_index_nor_keys_are_given_out_when_one_of_them_is_stale(
    tmp_path: Path, registry: SqlRegistryWriter, clock: Clock, broken: str
) -> None:
    key, secret = create_key(registry, "p", [Right.MATCH], (), day="2026-01-01")
    unsteady = Unsteady(registry)
    state = WorkerState(unsteady, DataDirectory(tmp_path), 0.2, STALE_S)  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        _ = state.ring  # nothing is known before the first look
    state.look()
    unsteady.broken.add(broken)
    for _ in range(30):
        clock.now_s += 10
        state.look()
    assert state.behind_s() == STALE_S
    assert state.ring.authenticate(secret) == key
    assert state.live.serving
    clock.now_s += 1
    for given_out in ("ring", "live"):
        with pytest.raises(UnavailableError):
            getattr(state, given_out)
    unsteady.broken.clear()
    state.look()
    assert state.behind_s() == 0
    assert state.ring.authenticate(secret) == key
    assert state.live.serving
