"""Settings and fixtures for tests of several rooms; none depends on the machine's speed."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

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

_SLOW = (
    *("benchmarks", "cli", "clients", "doctor", "fuzz", "indexer", "isolation", "packaging"),
    *("server", "test_demo.py", "test_documents.py", "test_readme.py", "test_site.py"),
    *("client/test_against_server.py", "client/test_flows.py", "feed/test_compaction.py"),
    *("feed/test_erasure.py", "feed/test_passing_errors.py", "feed/test_refusals.py"),
    *("hashing/test_formats.py", "hashing/test_heif.py", "registry/test_erasure.py"),
    *("registry/test_reconciliation.py", "services/test_video_bounds.py"),
    "submission/test_nothing_leaks.py",
)
"""Tests that start programs, or compute for long: ``--quick`` leaves them out."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--quick``."""
    parser.addoption("--quick", action="store_true", help="leave out what takes long")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out _SLOW for ``--quick``."""
    if not config.getoption("--quick"):
        return
    slow = [Path(__file__).parent / name for name in _SLOW]
    left_out = [item for item in items if {item.path, *item.path.parents}.intersection(slow)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture
def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
