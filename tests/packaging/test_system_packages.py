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
    "strace": "strace",
    "node": "nodejs",
    "npm": "npm",
    "h2load": "nghttp2-client",
    "promtool": "prometheus",
    "haproxy": "haproxy",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "firefox-esr": "firefox-esr",
    "WebKitWebDriver": "webkit2gtk-driver",
    "Xvfb": "xvfb",
}


@pytest.mark.parametrize(
    "present", [tuple(PACKAGES), ("strace",), ()], ids=["all", "strace", "none"]
)
@pytest.mark.parametrize("uid", [0, 1000])
def test_what_is_missing_is_installed_or_named(
    tmp_path: Path, present: tuple[str, ...], uid: int
) -> None:
    for name, body in (("apt-get", "echo apt-get $@"), ("id", f"echo {uid}")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    for name in present:
        (tmp_path / name).symlink_to("/bin/true")
    bash = shutil.which("bash")
    assert bash
    done = subprocess.run(
        [bash, SCRIPT], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    missing = [package for command, package in PACKAGES.items() if command not in present]
    if not missing:
        assert done.stderr == ""
        return
    wanted = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    assert wanted in done.stderr
    assert ("apt-get update" in done.stderr) == (uid == 0)


@pytest.mark.parametrize("folder", [ROOT, ROOT / "requirements" / "photographs"], ids=str)
def test_packages_of_npm_are_locked_by_a_checksum_and_name_no_place(folder: Path) -> None:
    text = (folder / "package-lock.json").read_text()
    assert not re.search(r'"resolved"|"https?:', text)
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    package = json.loads((folder / "package.json").read_text())
    wanted = package.get("dependencies", {}) | package.get("devDependencies", {})
    assert wanted
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
