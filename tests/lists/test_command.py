"""`disrupt lists` beside a running server: a list matches, is withdrawn, and says why it failed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from rig.model.list_machine import pdq
from rig.servers.deployment import BIN, Deployment


def test_lists_run_beside_a_server(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"hash\n{pdq(1)}\n{pdq(2)}\n")
    with Deployment.start(tmp_path / "data") as server:

        def lists(*words: str) -> subprocess.CompletedProcess[str]:
            command = [str(BIN / "disrupt"), "lists", *words, "--data-dir", str(server.data_dir)]
            return subprocess.run(command, capture_output=True, text=True, check=False)

        def status() -> dict[str, object]:
            row: dict[str, object] = json.loads(lists("status", "--json").stdout)["lists"][0]
            return row

        assert not lists("add", "partner", "--kind", "file", "--path", str(path)).returncode
        done = lists("run")
        assert not done.returncode, done.stderr
        assert status()["entries"] == 2
        path.unlink()
        assert lists("run").returncode == 1
        assert status()["failure"] == "malformed"
        assert status()["entries"] == 2
        assert not lists("remove", "partner").returncode
        assert not json.loads(lists("status", "--json").stdout)["lists"]
