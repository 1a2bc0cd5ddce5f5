"""`disrupt door` says what is wrong with its settings, and listens where it is told."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from disrupt.cli import main
from rig.servers.deployment import BIN
from rig.servers.door import TOKEN
from tests.door.sites import Site


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    return file


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        (["--listen", "0.0.0.0:0"], "--tls-cert"),
        (["--listen", "nowhere"], "--listen"),
        (["--grpc-listen", "0.0.0.0:0"], "--grpc-listen"),
        (["--tls-cert", "/cert.pem"], "--tls-key"),
        (["--policy", "/nowhere.toml"], "--policy"),
        (["--token-file", "/nowhere"], "--token-file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_work_is_named(
    monkeypatch: pytest.MonkeyPatch, tokens: Path, options: list[str], setting: str
) -> None:
    monkeypatch.setenv("DISRUPT_KEY", "key-of-the-platform")
    arguments = ["door", "--token-file", str(tokens), *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert setting in result.stderr


@pytest.mark.parametrize("text", ["", "short\n", f"{TOKEN}/{TOKEN}\n"])
def test_weak_tokens_are_refused(monkeypatch: pytest.MonkeyPatch, tokens: Path, text: str) -> None:
    monkeypatch.setenv("DISRUPT_KEY", "key-of-the-platform")
    tokens.write_text(text)
    result = CliRunner().invoke(main, ["door", "--token-file", str(tokens)])
    assert result.exit_code == 2
    assert "--token-file" in result.stderr


def test_without_tokens_it_listens_on_sockets_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISRUPT_KEY", "key-of-the-platform")
    result = CliRunner().invoke(main, ["door"])
    assert result.exit_code == 2
    assert "--token-file" in result.stderr


def test_a_socket_needs_no_token(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "door.sock"
    (tmp_path / "key").write_text(site.key)
    command: list[str | Path] = [
        BIN / "disrupt",
        "door",
        "--listen",
        f"unix:{path}",
        "--grpc-listen",
        f"unix:{path}.grpc",
        "--server",
        site.address,
    ]
    process = subprocess.Popen(
        [*command, "--key-file", tmp_path / "key", "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout is not None
        ready = f"The door is ready on unix:{path} and grpc://unix:{path}.grpc\n"
        assert process.stdout.readline() == ready
        for socket_of in (path, path.with_name("door.sock.grpc")):
            assert socket_of.stat().st_mode & 0o777 == 0o660
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(path))
        connection.request("POST", "/v1/match", site.registered.read_bytes())
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait() in (0, -signal.SIGTERM)


def test_its_description_names_every_route(site: Site) -> None:
    described = site.door.ask("GET", "/openapi/openapi.json", token="").json
    assert described["openapi"] == "3.1.0"
    assert {"/h/hash", "/m/lookup", "/hooks/pict-rs", "/v1/match"} <= set(described["paths"])
    for methods in described["paths"].values():
        assert all(call["summary"] for call in methods.values())
