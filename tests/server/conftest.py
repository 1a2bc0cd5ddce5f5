"""A real server for the tests of a module, and a disposable one for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.harness.deployment import Deployment
from tests.server.caller import Caller, calling

RIGHTS = ("match", "register", "staff", "feed", "operator")


def _stop(server: Deployment) -> None:
    if server.process.poll() is None:
        server.stop()
    elif server.process.stdout:
        server.process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start a server of two workers, with limits low enough to be reached."""
    directory = tmp_path_factory.mktemp("server")
    config = directory / "config.toml"
    config.write_text("max_message_bytes = 200000\nmax_hashes_per_lookup = 1000\n")
    deployment = Deployment.start(directory / "data", "--config", str(config))
    yield deployment
    _stop(deployment)


@pytest.fixture(scope="module")
def secrets(server: Deployment) -> dict[str, str]:
    """Make a key for each right."""
    return {right: server.make_key(right, right) for right in RIGHTS}


@pytest.fixture
def platform(server: Deployment, secrets: dict[str, str]) -> Iterator[Caller]:
    """Connect as a platform, which looks up."""
    with calling(server.address, secrets["match"], large=True) as caller:
        yield caller


@pytest.fixture
def helpline(server: Deployment, secrets: dict[str, str]) -> Iterator[Caller]:
    """Connect as a helpline, which registers."""
    with calling(server.address, secrets["register"]) as caller:
        yield caller


@pytest.fixture
def staff(server: Deployment, secrets: dict[str, str]) -> Iterator[Caller]:
    """Connect as staff, who register pictures on the server."""
    with calling(server.address, secrets["staff"]) as caller:
        yield caller


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Start servers on one data directory of the test's own, with few processes for pictures."""
    started: list[Deployment] = []
    few = tmp_path / "few.toml"
    few.write_text("hashing_workers = 1\n")

    def start_one(*options: str, **settings: object) -> Deployment:
        if "--config" not in options:
            options = (*options, "--config", str(few))
        started.append(Deployment.start(tmp_path / "data", *options, **settings))  # type: ignore[arg-type]
        return started[-1]

    yield start_one
    for deployment in started:
        with suppress(ProcessLookupError):
            _stop(deployment)
