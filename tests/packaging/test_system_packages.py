"""Run scripts/system-packages on machines that lack something, with a mock apt-get."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "system-packages"


PACKAGES = {
    name: package or name
    for name, _, package in (
        entry.partition(":")
        for entry in re.findall(
            r"^    ([A-Za-z0-9./-]+(?::[a-z0-9.-]+)?)(?: #.*)?$",
            SCRIPT.read_text().partition("needed=(")[2].partition("\n)")[0],
            re.MULTILINE,
        )
    )
}
"""Package of each command and library that the script looks for."""


@pytest.mark.parametrize("present", [tuple(PACKAGES), ("strace",), ()], ids=len)
@pytest.mark.parametrize("uid", [0, 1000])
def test_what_is_missing_is_installed_or_named(
    tmp_path: Path, present: tuple[str, ...], uid: int
) -> None:
    mocks = {"apt-get": "echo apt-get $@", "install": "", "id": f"echo {uid}"}
    folder = tmp_path / "x86_64-linux-gnu"
    folder.mkdir()
    for name, body in mocks.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    for name in present:
        path = tmp_path / name.replace("gocode/", "src/") if "/" in name else folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("/bin/true")
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, SCRIPT],
        env={
            "PATH": str(folder),
            **dict.fromkeys(("LIBRARIES", "FONTS", "POSTGRESQL", "GOCODE"), str(tmp_path)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    missing = [package for name, package in PACKAGES.items() if name not in present]
    if not missing:
        assert done.stderr == ""
        return
    wanted = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    assert wanted in done.stderr
    assert ("apt-get update" in done.stderr) == (uid == 0)


def test_photographs_of_npm_are_pinned_by_version_and_checksum() -> None:
    lines = (ROOT / "requirements" / "photographs.sha512").read_text().splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert packages
    for package in packages:
        assert re.fullmatch(r"(@[a-z]+/)?[a-z0-9-]+@[0-9.]+ [0-9a-f]{128}", package), package
