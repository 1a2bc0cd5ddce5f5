"""Settings and fixtures for tests of several rooms; none depends on the machine's speed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from rig.servers.deployment import Deployment
    from rig.servers.postgresql import PostgreSql

# pytest rewrites the assertions of these modules too.
pytest.register_assert_rewrite(
    "rig", "tests.hashing.videos", "tests.index.conformance", "tests.registry.conformance"
)

settings.register_profile(
    "any machine", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Shell scripts start background jobs with SIGINT ignored, and programs inherit that.
# Tests that interrupt a program need it to handle SIGINT.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SLOW = (
    *("benchmarks", "cli", "clients", "deploy", "doctor", "fuzz", "indexer", "isolation", "oracle"),
    *("packaging", "proofs", "server/node", "web/hashing"),
    *("archives/test_ray.py", "web/test_command.py"),
    *("feed/test_compaction.py", "feed/test_erasure.py", "feed/test_follower.py"),
    *("feed/test_passing_errors.py", "feed/test_refusals.py", "hashing/test_animations.py"),
    *("hashing/test_degenerate_pictures.py", "hashing/test_isobmff.py"),
    *("hashing/test_luma.py", "hashing/test_readings.py", "hashing/test_regions.py"),
    *("hashing/test_videos.py", "index/test_live_machine.py"),
    *("operators/test_ownership.py", "operators/test_restore.py"),
    *(
        "operators/test_restore_renewed.py",
        "registry/test_erasure.py",
        "registry/test_processes.py",
    ),
    *("registry/test_reconciliation.py", "server/edge/test_part_failure.py"),
    *("server/supervisor/test_forking.py", "server/supervisor/test_handover.py"),
    *("server/upkeep/test_full_disk.py", "services/test_throttle.py"),
    *("services/test_video_bounds.py", "test_demo.py"),
    *("test_documents.py", "test_readme.py", "test_site.py"),
)
"""Folders and files that ``--quick`` leaves out, because they take long."""

_SERVERS = {"deployment", "server", "start"}
"""Fixtures that start a server: ``--quick`` leaves out every test that uses one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--quick`` and ``--proofs``."""
    parser.addoption("--quick", action="store_true", help="leave out what takes long")
    parser.addoption("--proofs", action="store_true", help="run tests/proofs whole, with figures")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of proofs that ran whole."""
    if not terminalreporter.config.getoption("--proofs"):
        return
    for report in terminalreporter.getreports("passed"):
        for name, line in report.user_properties:
            if name == "figures":
                proof = Path(report.location[0]).stem.removeprefix("test_")
                terminalreporter.write_line(f"{proof}: {line}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out _SLOW, and what needs a server, for ``--quick``."""
    if not config.getoption("--quick"):
        return
    slow = {Path(__file__).parent / name for name in _SLOW}

    def is_slow(item: pytest.Item) -> bool:
        used = item.fixturenames if isinstance(item, pytest.Function) else ()
        return bool(_SERVERS & set(used) or slow & {item.path, *item.path.parents})

    config.hook.pytest_deselected(items=[item for item in items if is_slow(item)])
    items[:] = [item for item in items if not is_slow(item)]


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run a server with one worker, for all tests that change nothing but cases of their own."""
    from rig.servers.deployment import FEW_DECODERS, Deployment

    directory = tmp_path_factory.mktemp("deployment") / "data"
    with Deployment.start(directory, workers=1, settings=FEW_DECODERS) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """Run a server of PostgreSQL for this test process; skip where none is installed."""
    from rig.servers.postgresql import PostgreSql, commands

    if not commands():
        pytest.skip("PostgreSQL is not installed: scripts/system-packages")
    with PostgreSql.create() as server:
        yield server


@pytest.fixture
def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    from rig.ports import free_port

    return free_port()
