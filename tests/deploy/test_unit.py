"""The units of ``deploy/`` are ones that systemd takes, and start commands that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rig.servers.deployment import BIN

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = [
    DEPLOY / f"disrupt{name}"
    for name in (
        *(
            ".service",
            "-mirror.service",
            "-web.service",
            "-desk.service",
            "-backup.service",
            "-lists.service",
        ),
        *("-backup.timer", "-lists.timer"),
    )
]


@pytest.mark.parametrize("unit", UNITS[:5], ids=lambda unit: unit.name)
def test_the_units_start_commands_that_exist(unit: Path) -> None:
    commands = re.findall(r"/bin/disrupt (\w+)( .*)$", unit.read_text(), re.MULTILINE)
    assert commands
    for command, words in commands:
        shown = subprocess.run(
            [BIN / "disrupt", command, "--help"], capture_output=True, text=True, check=True
        ).stdout
        for option in re.findall(r" (--\S+)", words):
            assert f"{option} " in shown


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    units = [tmp_path / unit.name for unit in UNITS]
    for unit, written in zip(UNITS, units, strict=True):
        written.write_text(unit.read_text().replace("/opt/disrupt/venv/bin", str(BIN)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
