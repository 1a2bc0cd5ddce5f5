"""The unit of ``deploy/`` is one that systemd takes, and starts a command that exists."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.harness.deployment import BIN

UNIT = Path(__file__).parents[2] / "deploy" / "disrupt.service"


def test_the_unit_starts_a_command_that_exists() -> None:
    (words,) = re.findall(r"^ExecStart=\S+/disrupt (.*)$", UNIT.read_text(), re.MULTILINE)
    command, *options = words.split()
    shown = subprocess.run(
        [BIN / "disrupt", command, "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in options[::2]:
        assert f"{option} " in shown


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/disrupt/venv/bin", str(BIN)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
