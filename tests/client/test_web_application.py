"""The application of docs/on-a-match.md, run as it is written, holds and queues."""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from disrupt.client import MatchClient
from disrupt.core.cases import AgeBand
from disrupt.submission.client import SubmissionClient
from rig.media.generated import picture
from rig.ports import free_port
from rig.servers.deployment import Deployment
from rig.waiting import eventually

PAGE = (Path(__file__).parents[2] / "docs" / "on-a-match.md").read_text()
RULE, APPLICATION = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(deployment: Deployment, tmp_path: Path) -> Path:
    """Return a folder with the code, a key, and two pictures, of which one is registered."""
    key = deployment.make_key("platform with an application", "match")
    helpline = deployment.make_key("helpline of an application", "register")
    registered = picture(tmp_path / "registered.png", 7301)
    picture(tmp_path / "other.png", 7302)
    with SubmissionClient(deployment.address, key=helpline) as submission:
        submission.submit([registered], age=AgeBand.ADULT)
    with MatchClient(deployment.address, key=key) as client:
        eventually(lambda: bool(client.match_image(registered).matches))
    (tmp_path / "platform.key").write_text(key)
    # the rule alone, without the lookup below it
    (tmp_path / "rule.py").write_text(RULE.partition("\nkey = ")[0])
    return tmp_path


@contextmanager
def running(folder: Path, server: str) -> Iterator[int]:
    """Run the application; yield its port."""
    (folder / "application.py").write_text(APPLICATION.replace("127.0.0.1:50051", server))
    port = free_port()
    # no bytecode: that of a file written again in the same second would run in its place
    command = [sys.executable, "-B", "-m", "uvicorn", "--port", str(port)]
    command += ["--log-level", "warning"]
    process = subprocess.Popen([*command, "application:app"], cwd=folder)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def upload(port: int, data: bytes) -> str:
    """Upload a file once the application answers; return its name."""

    def sent() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("POST", "/uploads", data)
            response = connection.getresponse()
            assert response.status == 202
            names.append(re.findall(b"[0-9a-f]{32}", response.read())[0].decode())
        finally:
            connection.close()
        return names[0]

    names: list[str] = []
    eventually(sent, passing=(OSError,))
    return names[0]


def test_uploads_are_blocked_published_or_held(deployment: Deployment, site: Path) -> None:
    with running(site, deployment.address) as port:
        files = {
            "block": (site / "registered.png").read_bytes(),
            "publish": (site / "other.png").read_bytes(),
            "hold": b"no picture",
        }
        names = {folder: upload(port, data) for folder, data in files.items()}
        eventually(lambda: all((site / folder / name).exists() for folder, name in names.items()))


def test_without_an_answer_an_upload_waits_over_a_restart(
    deployment: Deployment, site: Path
) -> None:
    with running(site, f"127.0.0.1:{free_port()}") as port:
        name = upload(port, (site / "other.png").read_bytes())
    assert (site / "held" / name).exists()
    with running(site, deployment.address):
        eventually((site / "publish" / name).exists)
