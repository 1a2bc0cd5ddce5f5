"""A real server and a real gateway before it, which the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from tests.web.running import Web

FILES = {
    "index.html": "<!doctype html><title>Accueil</title>",
    "worker.js": "export {};",
    "hashing/plan.json": "{}",
    "style.css": "body { }",
    "hashing/table.bin": "table",
    "hashing/LICENSE": "licence",
    "notes.md": "not served",
    ".hidden.js": "not served",
    ".git/config.js": "not served",
    "hashing/types.ts": "not served",
}


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("page")
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.js").write_text("secret")
    for name, text in FILES.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(text)
    (directory / "linked.js").symlink_to(outside / "secret.js")
    (directory / "folder").symlink_to(outside)
    return directory


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("server")
    deployment = Deployment.start(directory / "data", workers=1, settings=FEW_DECODERS)
    yield deployment
    deployment.stop()


@pytest.fixture(scope="session")
def key(server: Deployment) -> str:
    return server.make_key("web", "register")


@pytest.fixture(scope="session")
def web(
    server: Deployment, key: str, page: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    gateway = Web.start(tmp_path_factory.mktemp("web"), page, server.address, key=key)
    yield gateway
    gateway.stop()


@pytest.fixture
def start(page: Path, tmp_path: Path) -> Iterator[Callable[..., Web]]:
    """Start gateways of a test's own."""
    started: list[Web] = []

    def start_one(server: str, *options: str, **how: Any) -> Web:
        started.append(Web.start(tmp_path, page, server, *options, **how))
        return started[-1]

    yield start_one
    for gateway in started:
        gateway.kill()
