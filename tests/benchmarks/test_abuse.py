"""Run the abuse benchmark at tiny size: it attacks, and callers are answered rightly meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rig.servers.proxied import unusable

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(bool(why := unusable()), reason=why)
def test_callers_are_answered_rightly_beside_an_attack(tmp_path: Path) -> None:
    words = ("--only", "keys-of-strangers", "--seconds", "2", "--size", "200")
    with tempfile.TemporaryDirectory() as short:  # a server's socket needs a short path
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.abuse.abuse", *words),
                *("--json", tmp_path / "out.json"),
            ],
            cwd=ROOT,
            env={"PATH": "/usr/sbin:/usr/bin:/bin", "TMPDIR": short},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (tmp_path / "out.json").exists(), done.stderr
    (row,) = json.loads((tmp_path / "out.json").read_text())["figures"]["attacks"]
    assert row["attack"] == "keys-of-strangers"
    assert row["answered"] == pytest.approx(1, abs=0.1), "a share of the baseline's share"
    assert row["health"]
    assert " 8" in row["attackers_answers"], "the proxy refuses RESOURCE_EXHAUSTED"
    assert done.returncode == bool(row["broken"])
    assert f"| {row['attack']} |" in done.stdout
