"""Settings and fixtures for tests of several rooms; none depends on the machine's speed."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import Connection

from disrupt.registry import migrations

# pytest rewrites the assertions of these modules too.
pytest.register_assert_rewrite(
    "tests.cli.shell",
    "tests.hashing.videos",
    *(f"tests.index.{name}" for name in ("conformance", "examples")),
    *(f"tests.registry.{name}" for name in ("conformance", "keys_machine", "machine")),
)

for _name, _examples in {"whole": 60, "quick": 15}.items():
    # of any machine: none depends on its speed
    settings.register_profile(
        _name,
        max_examples=_examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )

# Shell scripts start background jobs with SIGINT ignored, and programs inherit that.
# Tests that interrupt a program need it to handle SIGINT.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_SLOW_ROOMS = ("benchmarks", "cli", "clients", "fuzz", "packaging")
"""Folders that take long; single files and tests are marked ``slow``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--quick``."""
    parser.addoption(
        "--quick", action="store_true", help="leave out what takes long, and try fewer examples"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples property tests take."""
    settings.load_profile("quick" if config.getoption("--quick") else "whole")


class _AtOnce:
    """Prints a failure when it is known, since a run that is cut off prints no summary."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.write_line(f"\n{report.nodeid}, {report.when}, {report.duration:.0f} s")
            self._terminal.write_line(report.longreprtext)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Say at once what fails; processes that run tests for another one print nothing."""
    plugins = session.config.pluginmanager
    if terminal := plugins.get_plugin("terminalreporter"):
        plugins.register(_AtOnce(terminal))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave folders out: what is left to others is None."""
    room = collection_path.relative_to(Path(__file__).parent).as_posix()
    return True if config.getoption("--quick") and room in _SLOW_ROOMS else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(autouse=True, scope="session")
def _migrate_once() -> Iterator[None]:
    """Make each new registry but the first of a process by the statements that the first is of.

    Migrations take four fifths of the time in which a registry is made, and tests make thousands.
    """
    migrate, schema = migrations.upgrade, list[str]()

    def upgrade(connection: Connection) -> None:
        read = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        if connection.exec_driver_sql(read).first():
            migrate(connection)
        elif schema:
            for statement in schema:
                connection.exec_driver_sql(statement)
        else:
            migrate(connection)
            schema.extend(connection.exec_driver_sql(f"{read} ORDER BY rowid").scalars())
            newest = migrations.known_revisions()[-1]
            schema.append(f"INSERT INTO alembic_version VALUES ('{newest}')")  # noqa: S608 own

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "upgrade", upgrade)
        yield


@pytest.fixture(autouse=True)
def _log_levels() -> Iterator[None]:
    """Undo what a command that ran in this process set: the next test may look for lower levels."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
