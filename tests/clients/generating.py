"""Run the commands of docs/clients.md that generate code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import google.rpc

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text()
_GOOGLE_APIS = Path(google.rpc.__path__[0]).parents[1]


def generate(option: str, directory: Path, *path: Path) -> Path:
    """Run the command with ``option`` in a directory that looks as the page says; return ``gen``.

    ``path`` are folders of plugins. ``protoc`` is that of grpcio-tools.
    """
    commands = re.findall(r"^    (protoc (?:.*\\\n)*.*)$", PAGE, re.MULTILINE)
    (command,) = [command for command in commands if option in command]
    for name, target in (("proto", ROOT / "proto"), ("googleapis", _GOOGLE_APIS)):
        (directory / name).symlink_to(target)
    (directory / "gen").mkdir()
    done = subprocess.run(
        [
            "bash",
            "-e",
            "-c",
            f'protoc() {{ {sys.executable} -m grpc_tools.protoc "$@"; }}\n{command}',
        ],
        cwd=directory,
        env=os.environ | {"PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory / "gen"
