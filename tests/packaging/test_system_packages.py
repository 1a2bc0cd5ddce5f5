"""Run scripts/system-packages on machines that lack something, with a mock apt-get."""

from __future__ import annotations

import json
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
            r"^    ([a-z0-9.-]+(?::[a-z0-9-]+)?)(?: #.*)?$",
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
        (folder / name).symlink_to("/bin/true")
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, SCRIPT],
        env={"PATH": str(folder), "LIBRARIES": str(tmp_path), "POSTGRESQL": str(tmp_path)},
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


def test_photographs_of_npm_are_locked_by_a_checksum_and_name_no_place() -> None:
    folder = ROOT / "requirements" / "photographs"
    text = (folder / "package-lock.json").read_text()
    assert not re.search(r'"resolved"|"https?:', text)
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    assert wanted
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
