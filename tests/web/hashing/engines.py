"""Engines of browsers that hash files of tests by the page's worker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rig.callers.browsers import PROGRAMS, ROOT, result_of
from tests.needs import needs

SCRIPT = "/tests/web/hashing/hash_all.js"


EACH_ENGINE = [pytest.param(name, marks=needs(program)) for name, program in PROGRAMS.items()]


def hashed(
    engine: str,
    files: Iterable[tuple[str, bytes]],
    folder: Path,
    preferences: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what an engine makes of files, by their names."""
    subprocess.run([ROOT / "scripts" / "page-libraries"], check=True)
    served, profile = folder / "files", folder / engine
    served.mkdir(exist_ok=True)
    profile.mkdir()
    for name, data in files:
        (served / name).write_bytes(data)
    outcomes: dict[str, Any] = result_of(
        engine, served, profile, script=SCRIPT, preferences=preferences
    )
    return outcomes
