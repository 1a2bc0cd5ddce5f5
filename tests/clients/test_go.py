"""The contract in Go is generated as docs/clients.md says."""

from __future__ import annotations

from pathlib import Path

from tests.clients.generating import generate
from tests.needs import needs


@needs("protoc-gen-go", "protoc-gen-go-grpc")
def test_go_code_is_generated_as_one_package_where_the_page_says(tmp_path: Path) -> None:
    folder = generate("--go_out", tmp_path) / "disrupt" / "v1"
    files = sorted(folder.glob("*.go"))
    assert {"match.pb.go", "match_grpc.pb.go", "types.pb.go"} <= {file.name for file in files}
    assert all("\npackage disruptv1\n" in file.read_text() for file in files)
