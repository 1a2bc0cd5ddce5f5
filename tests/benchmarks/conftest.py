from __future__ import annotations

import tempfile
from collections.abc import Iterator
from multiprocessing.util import get_temp_dir

import pytest


@pytest.fixture(scope="session")
def short_path() -> Iterator[str]:
    """Yield the path of a directory, short enough for a server's socket in it."""
    get_temp_dir()  # multiprocessing keeps its own until this process ends
    with tempfile.TemporaryDirectory() as path:
        yield path


@pytest.fixture
def short_tmp(short_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let benchmarks keep their files in a directory of these tests alone."""
    monkeypatch.setenv("TMPDIR", short_path)
    monkeypatch.setattr("tempfile.tempdir", None)
