"""What tests of several rooms need."""

from __future__ import annotations

import socket

import pytest

# their assertions explain themselves like those of tests
pytest.register_assert_rewrite(
    "tests.cli.shell",
    *(f"tests.index.{name}" for name in ("conformance", "examples")),
    *(f"tests.registry.{name}" for name in ("conformance", "machine")),
)


@pytest.fixture
def free_port() -> int:
    """A TCP port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
