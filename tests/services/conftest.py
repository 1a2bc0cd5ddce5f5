"""Fixtures of the tests of services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.core.lookups import VideoMatches, VideoOptions
from disrupt.core.media import StoredItem
from disrupt.core.policy import Scope
from disrupt.core.videos import FRAME
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from disrupt.services.registration import Registrar, RegistrationLimits
from tests.services.patient import Patient
from tests.services.registrations import PEPPER, PINS
from tests.services.videos import SCOPE, Codes, Find, frames, indexed, looking


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Return a function that looks frames up, a second apart, among items."""

    def look(
        query: Codes,
        *items: StoredItem,
        step_ms: float = 1000,
        scope: Scope = SCOPE,
        options: VideoOptions | None = None,
    ) -> VideoMatches:
        lookup = looking(indexed(tmp_path, *items), scope, options or VideoOptions())
        rows = query if query.dtype == FRAME else frames(query, step_ms)
        lookup.add(rows[at : at + 1] for at in range(len(rows)))
        return lookup.matches()

    return look


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistryWriter]:
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        yield writer


@pytest.fixture
def registrar(registry: SqlRegistryWriter) -> Registrar:
    return Registrar(registry, PINS, Patient(PINS.verify), PEPPER, RegistrationLimits(4, 10, 6))
