"""The comparison with the reference passes, and fails on wrong bits."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def compare(tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    file = tmp_path / "report.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.proofs.reference",
            "--json",
            file,
            "--photographs",
            "2",
            *options,
        ],
        check=False,
    )
    report: dict[str, Any] = json.loads(file.read_text())
    return done.returncode, report


def test_bits_are_those_of_the_reference_where_it_decides_them(tmp_path: Path) -> None:
    code, report = compare(tmp_path, "--count", "60")
    assert (code, report["unexplained"], report["pictures"]) == (0, 0, 60)
