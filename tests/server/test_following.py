"""A worker does not serve followed state that is too old, whatever became of its threads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.core.policy import ApiKey, Bank, Right
from disrupt.core.waiting import LookupPolicy
from disrupt.data_directory import DataDirectory
from disrupt.errors import UnauthenticatedError, UnavailableError
from disrupt.index.generations import create_first
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from disrupt.server.following import Following
from disrupt.services.far_lookups import SeenLookups
from disrupt.services.keys import create_key
from tests.registry.examples import ACT

STALE_S = 300.0

SEEN = SeenLookups(bytes(32), LookupPolicy())


class Clock:
    """The clock that following reads."""

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
    for module in ("server.following", "feed.follower"):
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
    key, secret = create_key(registry, "p", [Right.MATCH], (), day="2026-01-01", act=ACT)
    unsteady = Unsteady(registry)
    following = Following(unsteady, DataDirectory(tmp_path), 0.2, STALE_S, SEEN)  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        _ = following.ring  # nothing is known before the first look
    following.look()
    unsteady.broken.add(broken)
    for _ in range(30):
        clock.now_s += 10
        following.look()
    assert following.behind_s() == STALE_S
    assert following.ring.authenticate(secret) == key
    assert following.live.serving
    clock.now_s += 1
    for given_out in ("ring", "live"):
        with pytest.raises(UnavailableError):
            getattr(following, given_out)
    unsteady.broken.clear()
    following.look()
    assert following.behind_s() == 0
    assert following.ring.authenticate(secret) == key
    assert following.live.serving


def test_a_key_is_refused_on_the_day_after_its_last_though_nothing_else_changes(
    tmp_path: Path, registry: SqlRegistryWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(day: str) -> None:
        monkeypatch.setattr("disrupt.server.following.today", lambda: day)
        following.look()

    key, secret = create_key(
        registry, "p", [Right.MATCH], (), day="2026-01-01", expires_on="2026-01-02", act=ACT
    )
    following = Following(registry, DataDirectory(tmp_path), 0.2, STALE_S, SEEN)
    for day in ("2026-01-01", "2026-01-02"):
        begin(day)
        assert asyncio.run(following.authenticate(secret)) == key
        assert following.uses.untold() == {key.key_id: day}
    begin("2026-01-03")
    with pytest.raises(UnauthenticatedError):
        following.ring.authenticate(secret)
    with pytest.raises(UnauthenticatedError):
        following.ring.still(key)
    with pytest.raises(UnauthenticatedError):  # at once: nothing reads the registry again here
        asyncio.run(following.authenticate(secret))
    assert following.uses.untold() == {key.key_id: "2026-01-02"}
