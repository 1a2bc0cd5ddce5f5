"""The contract in Go is generated as docs/clients.md says, and a client of it looks pictures up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from rig.servers.door import TOKEN, door
from tests.clients.generating import generate
from tests.clients.registered import Registered
from tests.needs import needs

_GO_PATH = "/usr/share/gocode"
"""Where Debian keeps the sources of libraries in Go."""


@needs("protoc-gen-go", "protoc-gen-go-grpc")
def test_go_code_is_generated_as_one_package_where_the_page_says(tmp_path: Path) -> None:
    folder = generate("--go_out", tmp_path) / "disrupt" / "v1"
    files = sorted(folder.glob("*.go"))
    assert {"match.pb.go", "match_grpc.pb.go", "types.pb.go"} <= {file.name for file in files}
    assert all("\npackage disruptv1\n" in file.read_text() for file in files)


@needs("go", "protoc-gen-go", "protoc-gen-go-grpc")
def test_a_door_answers_a_client_in_go(registered: Registered, tmp_path: Path) -> None:
    generated = generate("--go_out", tmp_path)
    sources = tmp_path / "src"
    shutil.copytree(Path(__file__).parent / "go", sources / "client")
    shutil.copytree(generated / "disrupt", sources / "disrupt.example" / "disrupt")
    paths = {
        "GO111MODULE": "off",
        "GOPATH": f"{tmp_path}:{_GO_PATH}",
        "GOCACHE": str(tmp_path / "cache"),
    }
    client = tmp_path / "client"
    build: list[str | Path] = ["nice", "go", "build", "-p", "1", "-o", client, "./src/client"]
    subprocess.run(build, cwd=tmp_path, env=os.environ | paths, check=True)
    with door(tmp_path / "door", registered.server, registered.key) as running:
        done = subprocess.run(
            [client, running.grpc, registered.file],
            env={"DISRUPT_TOKEN": TOKEN},
            capture_output=True,
            text=True,
            check=True,
        )
    assert json.loads(done.stdout) == ["adults"]
