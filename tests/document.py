"""Run the examples of a page of Markdown in one shell, and compare their output."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

_MARK = "-- the next command --"
_SERVER = "127.0.0.1:50051"


def examples(text: str) -> list[tuple[str, str]]:
    """Return each console line and Python block, in order, with the output written below it."""
    steps: list[tuple[str, str]] = []
    for language, body in re.findall(
        r"^```(console|python)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    ):
        if language == "python":
            steps.append((f"python - <<'PYTHON'\n{body}PYTHON", "..."))
            continue
        for step in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, output = step.partition("\n")
            steps.append((command, output.strip()))
    return steps


def run_examples(text: str, directory: Path, port: int) -> None:
    """Fail unless each command succeeds and prints what is written; ``...`` is anything."""
    script = [
        # A reader would copy the case number and PIN that submit printed.
        "copy() { sed -n 's/^Numéro de dossier: *//p' submitted | head -n 1 | tr -d ' '; }",
        "trap '{ kill %1 && wait; } 2>/dev/null || true' EXIT",
    ]
    for command, _ in examples(text):
        line = command.replace("CASE-NUMBER", '"$(copy)"')
        if line.startswith("disrupt submit"):
            line += " | tee submitted"
        if "CASE-NUMBER" in command:
            line = f"DISRUPT_PIN=$(sed -n 's/^Code PIN: *//p' submitted | head -n 1) {line}"
        if line.endswith("&"):
            line = ": > ready; " + line.replace(
                "&", "> ready & until grep -q ready ready; do sleep 0.1; done"
            )
            line += "; cat ready"
        script += [f"echo '{_MARK}'", line]
    here = f"127.0.0.1:{port}"
    env = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DISRUPT_SERVER": here,
        "DISRUPT_LISTEN": here,
        "LC_ALL": "C.UTF-8",  # of which the commands for people affected speak French
    }
    done = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", "\n".join(script).replace(_SERVER, here)],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = done.stdout.split(_MARK)[1:]
    for (command, expected), got in zip(examples(text), printed, strict=True):
        pattern = re.sub(r"([\[\]])", r"[\1]", expected).replace("...", "*").replace(_SERVER, here)
        assert fnmatch.fnmatchcase(got.strip(), pattern), (
            f"{command}\nprinted:\n{got}\nwritten:\n{expected}"
        )


def table(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table under a heading, without its head and backquotes."""
    _, _, after = text.partition(f"\n## {heading}\n")
    section, _, _ = after.partition("\n## ")
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip("` ") for cell in row] for row in rows[2:]]
