"""Follow docs/install-sdk.md to the letter in a plain environment, up to the first lookup."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rig.media.generated import picture
from rig.servers.deployment import Deployment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "install-sdk.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BIN = Path(sys.executable).parent


def commands(heading: str) -> str:
    """Return the indented lines of a section."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return "".join(re.findall(r"^    (.*\n)", section, re.MULTILINE))


def build(sources: Path, directory: Path) -> Path:
    """Build the wheel of these sources."""
    options = [
        "--wheel",
        "--offline",
        "--no-build-isolation",
        "--quiet",
        "--python",
        sys.executable,
    ]
    subprocess.run([BIN / "uv", "build", *options, "--out-dir", directory, sources], check=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


def shell(script: str, directory: Path) -> str:
    """Return the output of commands as a reader types them, without this environment."""
    path = os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin"])
    (directory / "bin").mkdir(exist_ok=True)
    for name, program in (("uv", BIN / "uv"), ("python3", Path(sys.executable).resolve())):
        if not (directory / "bin" / name).exists():
            (directory / "bin" / name).symlink_to(program)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    }
    done = subprocess.run(
        ["bash", "-e", "-u", "-c", script],
        cwd=directory,
        env=inherited | {"PATH": f"{directory / 'bin'}{os.pathsep}{path}", "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def test_the_wheel_is_the_same_from_the_same_sources_elsewhere(wheel: Path, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, sources)
    for name in ("disrupt", "indexer"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    again = build(sources, tmp_path / "again")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


_OF_THE_SERVER = """
from importlib.util import find_spec
from disrupt.extras import PACKAGES
print([name for name in PACKAGES["server"] if find_spec(name)])
"""


def try_the_commands(server: Deployment, directory: Path) -> None:
    """Run the commands of platforms and victims, and some of the server's, which are refused."""
    picture(directory / "own.png", 6)
    (directory / "register.key").write_text(server.make_key("helpline of the page", "register"))
    disrupt = f"DISRUPT_SERVER={server.address} venv/bin/disrupt"
    assert shell(f"{disrupt} health", directory) == "serving (one worker was asked)\n"
    matched = shell(f"{disrupt} match --json --key-file platform.key photo.jpg", directory)
    assert json.loads(matched)["matches"] == []
    submitted = json.loads(
        shell(f"{disrupt} submit --json --age adult --key-file register.key own.png", directory)
    )
    known = f"--json --key-file register.key {submitted['case']}"
    disrupt = f"DISRUPT_PIN={submitted['pin']} {disrupt}"
    assert len(json.loads(shell(f"{disrupt} status {known}", directory))["items"]) == 1
    assert json.loads(shell(f"{disrupt} withdraw --yes {known}", directory))["items"] == []

    for command in ("disrupt serve --data-dir data", "disrupt doctor --help", "disrupt-index"):
        sentence, code = shell(f"venv/bin/{command} 2>&1 || echo $?", directory).splitlines()
        assert sentence.endswith(
            f"uv pip install --python {directory}/venv 'disrupt-hashes[server]'"
        )
        assert code == "2"


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_the_page_leads_to_a_first_lookup(
    tool: str, wheel: Path, deployment: Deployment, tmp_path: Path
) -> None:
    shutil.copy(wheel, tmp_path)
    (tmp_path / "requirements").mkdir()
    for name in ("sdk.txt", "decoders.txt"):
        shutil.copy(ROOT / "requirements" / name, tmp_path / "requirements")
    picture(tmp_path / "photo.png", 5).rename(tmp_path / "photo.jpg")
    (tmp_path / "platform.key").write_text(deployment.make_key(tool, "match"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    shell(
        commands("Get the wheel").replace("VERSION", PROJECT["version"]).replace("SHA256", digest),
        tmp_path,
    )
    shell(commands(f"Install with {tool}"), tmp_path)
    (example,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "lookup.py").write_text(example.replace("127.0.0.1:50051", deployment.address))
    printed = shell("venv/bin/python -I lookup.py", tmp_path)
    assert re.fullmatch(r"index of \d+ items\n0 matches\n", printed)
    (say_version,) = re.findall(r"`(python -c \"import disrupt; .*)`", PAGE)
    assert shell(f"venv/bin/{say_version}", tmp_path).strip() == PROJECT["version"]
    assert shell("venv/bin/disrupt --version", tmp_path).strip().endswith(PROJECT["version"])
    assert shell(f"venv/bin/python -I -c '{_OF_THE_SERVER}'", tmp_path) == "[]\n"
    if tool == "uv":
        shell("uv pip check --python venv", tmp_path)
        try_the_commands(deployment, tmp_path)
        shell(commands("What it brings"), tmp_path)
        shell("venv/bin/python -I -c 'import av, pillow_heif'", tmp_path)
        # uv refuses a changed wheel
        (tmp_path / wheel.name).write_bytes(wheel.read_bytes() + b"\0")
        with pytest.raises(AssertionError, match=r"(?i)hash"):
            shell(commands("Install with uv").replace("uv venv venv", "uv venv other"), tmp_path)
