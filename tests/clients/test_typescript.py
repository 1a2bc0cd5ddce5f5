"""A client in another language, generated from proto/, against a real server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from disrupt.hashing import ImageFingerprints, fingerprint_image
from rig.media.generated import picture
from rig.servers.deployment import Deployment
from rig.servers.door import TOKEN, door
from tests.clients.generating import generate
from tests.clients.registered import Registered
from tests.needs import needs

HERE = Path(__file__).parent / "typescript"


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    path = f"{cwd / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the locked packages, generate and compile the client; type errors fail."""
    copy = tmp_path_factory.mktemp("clients") / "typescript"
    shutil.copytree(HERE, copy, ignore=shutil.ignore_patterns("node_modules", "gen", "dist"))
    run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", cwd=copy)
    generate("--es_out", copy, copy / "node_modules" / ".bin")
    run("npm", "run", "build", cwd=copy)
    return copy


@pytest.fixture(scope="module")
def answers(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return what the client prints of a server's answers."""
    directory = tmp_path_factory.mktemp("server")
    file = directory / "picture.png"
    Image.open(picture(file, 1)).verify()
    outcome = fingerprint_image(file.read_bytes())
    assert isinstance(outcome, ImageFingerprints)
    canonical = outcome.fingerprints[0]
    server = Deployment.start(directory / "data")
    try:
        printed = run(
            *("node", "dist/src/walkthrough.js", f"http://{server.address}"),
            canonical.hash.hex(),
            cwd=built,
            DISRUPT_MATCH_KEY=server.make_key("platform", "match"),
            DISRUPT_REGISTER_KEY=server.make_key("helpline", "register"),
        )
    finally:
        assert server.stop() == 0
    return json.loads(printed)


@needs("node", "npm")
def test_a_hash_registered_from_typescript_matches_until_it_is_withdrawn(answers: Any) -> None:
    assert answers["before"] == []
    (item,) = answers["items"]
    assert answers["registered"] == [{"item": item, "bank": "adults", "distance": 0}]
    assert answers["derived"], "the case number that the device showed before it sent anything"
    assert answers["replayed"]
    assert answers["status"] == "WITHDRAWN"
    assert answers["withdrawn"] == []


@needs("node", "npm")
def test_typescript_reads_error_details(answers: Any) -> None:
    violated = answers["violated"]
    assert (violated["status"], violated["reason"]) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert [violation["field"] for violation in violated["violations"]] == ["hashes"]
    assert "32" in violated["violations"][0]["description"]
    for name, status, reason in (
        ("refused", "UNAUTHENTICATED", "KEY_REFUSED"),
        ("lacking", "PERMISSION_DENIED", "RIGHT_MISSING"),
        ("closed", "NOT_FOUND", "CASE_REFUSED"),
    ):
        assert (answers[name]["status"], answers[name]["reason"]) == (status, reason)
        assert answers[name]["message"]


@needs("node", "npm")
def test_a_door_answers_a_client_in_typescript(
    built: Path, registered: Registered, tmp_path: Path
) -> None:
    with door(tmp_path, registered.server, registered.key) as running:
        command = ("node", "dist/src/picture.js", f"http://{running.grpc}", registered.file)
        printed = run(*command, cwd=built, DISRUPT_TOKEN=TOKEN)
    assert json.loads(printed) == ["adults"]
