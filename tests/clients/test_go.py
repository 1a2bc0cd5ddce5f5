"""The contract in Go is generated as docs/clients.md says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.clients.generating import generate


@pytest.mark.skipif(
    not (shutil.which("protoc-gen-go") and shutil.which("protoc-gen-go-grpc"))
    and "CI" not in os.environ,
    reason="needs protoc-gen-go; scripts/system-packages says how to install it",
)
def test_go_code_is_generated_as_one_package_where_the_page_says(tmp_path: Path) -> None:
    folder = generate("--go_out", tmp_path) / "disrupt" / "v1"
    files = sorted(folder.glob("*.go"))
    assert {"match.pb.go", "match_grpc.pb.go", "types.pb.go"} <= {file.name for file in files}
    assert all("\npackage disruptv1\n" in file.read_text() for file in files)
