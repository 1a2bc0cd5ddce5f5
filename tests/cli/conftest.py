"""A server for all tests, whose pictures differ, and commands that know its address and keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from tests.cli.shell import Shell


@pytest.fixture(scope="session")
def disrupt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    server = Deployment.start(
        tmp_path_factory.mktemp("cli") / "data", workers=1, settings=FEW_DECODERS
    )
    try:
        yield Shell(
            server.address,
            server.make_key("helpline", "register"),
            server.make_key("platform", "match"),
            server.make_key("hotline", "review"),
        )
    finally:
        server.stop()
