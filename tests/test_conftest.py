"""The tests run alike wherever and however they are started."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import hypothesis

from tests.conftest import _SLOW

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


def test_what_a_quick_run_leaves_out_exists() -> None:
    assert [name for name in _SLOW if not (ROOT / "tests" / name).exists()] == []
