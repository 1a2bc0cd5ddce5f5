"""Hashing that is quick enough to be repeated in every test."""

from __future__ import annotations

import functools

import pytest

from disrupt.hashing import fingerprint_image
from disrupt.submission import client

_hashed_once = functools.cache(fingerprint_image)


@pytest.fixture(autouse=True)
def _quick_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash each picture once in all tests, and send requests of two."""
    monkeypatch.setattr(client, "fingerprint_image", _hashed_once)
    monkeypatch.setattr(client, "ITEMS_PER_REQUEST", 2)
