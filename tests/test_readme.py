"""The README's first steps, run as they stand, in one shell, beside one photograph."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import skimage

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PHOTO = Path(skimage.__file__).parent / "data" / "chelsea.png"

_MARK = "-- the next command --"
_SERVER = "127.0.0.1:50051"


def examples() -> list[tuple[str, str]]:
    """Every console line and Python block, in order, with the output written below it."""
    found: list[tuple[str, str]] = []
    for language, body in re.findall(
        r"^```(console|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL
    ):
        if language == "python":
            found.append((f"python - <<'PYTHON'\n{body}PYTHON", "..."))
            continue
        for step in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            found.append((command, output.strip()))
    return found


def test_the_first_steps_come_out_as_written(tmp_path: Path, free_port: int) -> None:
    shutil.copy(PHOTO, tmp_path / "photo.jpg")
    script = [
        # the case number and PIN that submit printed are what a reader would copy
        "copy() { sed -n 's/.*Case number: *//p' submitted | head -n 1 | tr -d ' '; }",
        "trap 'kill %1; wait' EXIT",
    ]
    for command, output in examples():
        line = command.replace("CASE-NUMBER", '"$(copy)"')
        if line.startswith("disrupt submit"):
            line += " | tee submitted"
        if "CASE-NUMBER" in command:
            line = f"DISRUPT_PIN=$(sed -n 's/.*PIN: *//p' submitted | head -n 1) {line}"
        if line.endswith("&"):
            line = line.replace("&", "> ready & until grep -q ready ready; do sleep 0.1; done")
            line += "; cat ready"
        script += [f"echo '{_MARK}'", line]
        assert output or "keys create" in command, f"what does `{command}` print?"
    here = f"127.0.0.1:{free_port}"
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DISRUPT_SERVER": here,
        "DISRUPT_LISTEN": here,
    }
    done = subprocess.run(
        [
            "bash",
            "-e",
            "-u",
            "-o",
            "pipefail",
            "-c",
            "\n".join(script).replace(_SERVER, here),
        ],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(_MARK)[1:]
    for (command, expected), got in zip(examples(), printed, strict=True):
        pattern = re.sub(r"([\[\]])", r"[\1]", expected).replace("...", "*").replace(_SERVER, here)
        assert fnmatch.fnmatchcase(got.strip(), pattern), (
            f"{command}\nprinted:\n{got}\nwritten:\n{expected}"
        )


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_to_files_that_exist(target: str) -> None:
    assert (ROOT / target).exists()
