"""The fuzz target runs briefly. CONTRIBUTING.md says how to run it for long."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has no build for this machine")


def test_nothing_breaks_the_decoders_in_some_runs(tmp_path: Path) -> None:
    target = Path(__file__).with_name("fuzz_decode.py")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    done = subprocess.run(
        [sys.executable, target, "-runs=32", "-rss_limit_mb=4096", corpus],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"Done \d\d runs", done.stderr), done.stderr[-3000:]
