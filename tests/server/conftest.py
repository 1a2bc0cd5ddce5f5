"""A real server for all tests of the session, and a disposable one for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from disrupt.server.metrics.families import Family
from disrupt.server.metrics.rows import Row
from rig.callers.caller import Caller, calling
from rig.servers.deployment import FEW_DECODERS, Deployment

RIGHTS = ("match", "register", "staff", "feed", "operator", "review")


def _stop(server: Deployment) -> None:
    if server.process.poll() is None:
        server.stop()
    elif server.process.stdout:
        server.process.stdout.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start a server of two workers, with limits low enough to be reached."""
    deployment = Deployment.start(
        tmp_path_factory.mktemp("server") / "data",
        settings=f"max_message_bytes = 600000\n{FEW_DECODERS}",
    )
    yield deployment
    _stop(deployment)


@pytest.fixture(scope="module")
def secrets(server: Deployment) -> dict[str, str]:
    """Make a key for each right, which no other module uses: it tries wrong PINs, and so on."""
    return {right: server.make_key(right, right) for right in RIGHTS}


@pytest.fixture
def platform(server: Deployment, secrets: dict[str, str]) -> Iterator[Caller]:
    """Connect as a platform, which looks up."""
    with calling(server.address, secrets["match"], large=True) as caller:
        yield caller


@pytest.fixture
def platforms(server: Deployment, secrets: dict[str, str]) -> Iterator[list[Caller]]:
    """Open eight connections of one platform, which the kernel spreads over the workers."""
    with ExitStack() as stack:
        yield [stack.enter_context(calling(server.address, secrets["match"])) for _ in range(8)]


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
def reviewer(server: Deployment, secrets: dict[str, str]) -> Iterator[Caller]:
    """Connect as staff who review items of every bank."""
    with calling(server.address, secrets["review"]) as caller:
        yield caller


@pytest.fixture
def row() -> Iterator[Row]:
    """Let what this process counts be in a row of the test's own."""
    row = Row()
    Family.use(row)
    yield row
    Family.use(Row())


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Start servers on one data directory of the test's own, with few processes that decode."""
    started: list[Deployment] = []

    def start_one(*options: str, settings: str = "", **how: Any) -> Deployment:
        settings = FEW_DECODERS + settings
        started.append(Deployment.start(tmp_path / "data", *options, settings=settings, **how))
        return started[-1]

    yield start_one
    for deployment in started:
        with suppress(ProcessLookupError):
            _stop(deployment)
