"""The demo, the README's first command, prints what is expected, and then serves."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from rig.servers.postgresql import commands

ROOT = Path(__file__).parents[1]


def _command_lines() -> Iterator[bytes]:
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield file.read_bytes()


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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_of_a_fleet_that_is_ended_leaves_nothing(number: signal.Signals) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ended"))
    folder.chmod(0o755)  # PostgreSQL runs as another user
    script = ROOT / "scripts" / "demo_fleet.py"
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(
        [sys.executable, script], stderr=subprocess.PIPE, env=environment
    ) as demo:
        while not list(folder.glob("disrupt-demo-*/writer-1/data/health.sock")):
            assert demo.poll() is None
            time.sleep(0.05)
        demo.send_signal(number)
        assert demo.communicate(timeout=60)[1] == b""
    assert demo.returncode == 130
    folder.rmdir()  # it is empty
    assert str(folder).encode() not in b"".join(_command_lines())


@pytest.mark.skipif(not commands(), reason="needs PostgreSQL: scripts/system-packages")
def test_every_line_of_the_demo_of_a_fleet_comes_out_as_expected() -> None:
    script = ROOT / "scripts" / "demo_fleet.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DIFFERS" not in done.stdout
