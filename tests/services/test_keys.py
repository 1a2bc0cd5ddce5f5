"""Keys are known by their secrets until they are revoked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.core.policy import Right
from disrupt.errors import InvalidRequestError, UnauthenticatedError
from disrupt.registry.sqlite.sql import SqlRegistry, SqlRegistryWriter
from disrupt.services.keys import SECRET_PREFIX, KeyRing, create_key, revoke_key

DAY = "2026-11-25"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[SqlRegistryWriter]:
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        yield writer


def test_a_key_is_known_by_its_secret_until_it_is_revoked(registry: SqlRegistryWriter) -> None:
    key, secret = create_key(registry, " platform ", [Right.MATCH], ["adults"], day=DAY)
    everything, _ = create_key(registry, "mirror", [Right.FEED], [], day=DAY)
    assert secret.startswith(SECRET_PREFIX)
    assert (key.name, len(key.banks), len(everything.banks)) == ("platform", 1, 2)
    assert KeyRing(registry.keys()).authenticate(secret) == key
    for wrong in ("", secret[:-1], secret + "x", "ü\udcff"):
        with pytest.raises(UnauthenticatedError):
            KeyRing(registry.keys()).authenticate(wrong)
    for _ in range(2):
        assert revoke_key(registry, key.key_id, day=DAY).revoked_on == DAY
    with pytest.raises(UnauthenticatedError):
        KeyRing(registry.keys()).authenticate(secret)


@pytest.mark.parametrize(
    ("name", "rights", "banks", "field"),
    [
        ("", [Right.MATCH], [], "name"),
        ("a\nb", [Right.MATCH], [], "name"),
        ("x" * 101, [Right.MATCH], [], "name"),
        ("a", [], [], "rights"),
        ("a", [Right.MATCH], ["nobody's"], "banks"),
    ],
)
def test_a_key_without_sense_is_refused_by_field(
    registry: SqlRegistryWriter, name: str, rights: list[Right], banks: list[str], field: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        create_key(registry, name, rights, banks, day=DAY)
    assert [violation.field for violation in refused.value.violations] == [field]
