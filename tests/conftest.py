"""Settings and fixtures for tests of several rooms; none depends on the machine's speed."""

from __future__ import annotations

import signal
import socket

import pytest
from hypothesis import HealthCheck, settings

# pytest rewrites the assertions of these modules too.
pytest.register_assert_rewrite(
    "tests.cli.shell",
    "tests.hashing.videos",
    *(f"tests.index.{name}" for name in ("conformance", "examples")),
    *(f"tests.registry.{name}" for name in ("conformance", "machine")),
)

settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Shell scripts start background jobs with SIGINT ignored, and programs inherit that.
# Tests that interrupt a program need it to handle SIGINT.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
