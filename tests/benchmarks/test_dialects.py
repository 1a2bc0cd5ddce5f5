from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from benchmarks.proofs.dialects import EDITS


def test_copies_are_nearest_where_both_sides_are_hashed_by_disrupt() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.proofs.dialects", "--photographs", "1"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    rows = re.findall(
        r"^\| (.*) \| Disrupt \|.*\| ([\d.]+) / \d+ / (\d+) \|$", done.stdout, re.MULTILINE
    )
    assert [edit for edit, _, _ in rows] == list(EDITS)
    assert all(int(most) <= 31 for _, _, most in rows)
