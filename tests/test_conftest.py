"""The tests run alike wherever and however they are started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import hypothesis

ROOT = Path(__file__).parents[1]


def test_programs_under_test_can_be_interrupted_where_the_tests_run_in_the_background() -> None:
    script = (
        "import signal, subprocess, tests.conftest\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        "child.send_signal(signal.SIGINT)\n"
        "print(child.wait())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        # A shell starts background jobs of a script like this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [str(-signal.SIGINT)], done.stderr


def test_no_example_of_hypothesis_has_a_time_limit() -> None:
    assert hypothesis.settings().deadline is None


def test_a_run_that_is_cut_off_has_printed_what_failed_before(tmp_path: Path) -> None:
    tests = tmp_path / "test_two.py"
    tests.write_text(
        "import os\ndef test_first():\n    assert 2 + 2 == 5\ndef test_second():\n    os._exit(9)\n"
    )
    words = ["-m", "pytest", "-p", "tests.conftest", "--capture=no", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, *words, tests], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 9
    assert "assert (2 + 2) == 5" in done.stdout
