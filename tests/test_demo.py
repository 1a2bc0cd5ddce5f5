"""The demo, the README's first command, prints what is expected, and then serves."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.postgresql import commands

ROOT = Path(__file__).parents[1]


def test_every_line_of_the_demo_comes_out_as_expected_and_it_serves_on() -> None:
    with subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "demo.py", "--serve"], stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout
        shown = ""
        for line in demo.stdout:
            shown += line
            if line.startswith("Ctrl-C"):
                break
        address = re.search(r"^The page for people affected: (http\S+)$", shown, re.MULTILINE)
        if address:
            assert urlopen(address[1]).status == 200  # noqa: S310 an address of http
        demo.send_signal(signal.SIGINT)
        assert demo.wait() == 0, shown
    assert "DIFFERS" not in shown
    if not address and not shutil.which("npm") and "CI" not in os.environ:
        pytest.skip("needs npm for the page; the rest was as expected")
    assert address, shown


@pytest.mark.skipif(not commands(), reason="needs PostgreSQL: scripts/system-packages")
def test_every_line_of_the_demo_of_a_fleet_comes_out_as_expected() -> None:
    script = ROOT / "scripts" / "demo_fleet.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFERS" not in done.stdout
