"""The command serves with TLS beyond this machine, and refuses what cannot work."""

from __future__ import annotations

import http.client
import signal
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.deployment import BIN
from tests.doctor.certificates import pair
from tests.server.caller import TIMEOUT_S, eventually
from tests.web.running import HOST, Web

NOWHERE = f"{HOST}:1"


def refused(page: Path, *options: str) -> str:
    command: list[str | Path] = [
        BIN / "disrupt",
        "web",
        "--page",
        page,
        "--server",
        NOWHERE,
        *options,
    ]
    done = subprocess.run(
        command, env={"DISRUPT_KEY": "k"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert not done.stdout
    return done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--listen", "0.0.0.0:0"), "--tls-cert"),
        (("--listen", "[::]:0"), "--tls-cert"),
        (("--tls-cert", "cert.pem"), "belong together"),
        (("--tls-cert", "missing.pem", "--tls-key", "missing.pem"), "missing.pem cannot be read"),
        (("--listen", "8080"), "HOST:PORT"),
        (("--listen", "127.0.0.1:70000"), "HOST:PORT"),
        (("--listen", "192.0.2.1:1", "--tls-cert", "a", "--tls-key", "b"), "cannot be used"),
        (("--trusted-proxy", "proxy.example.org"), "no address or network"),
        (("--trusted-proxy", "10.0.0.1/8"), "no address or network"),
        (("--page", "/nonexistent"), "index.html"),
        (("--key-file", "/nonexistent"), "There is no file /nonexistent"),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(
    page: Path, options: tuple[str, ...], said: str
) -> None:
    assert said in refused(page, *options)


def test_a_key_of_another_certificate_is_named(page: Path, tmp_path: Path) -> None:
    own, other = (pair(tmp_path / name, "localhost") for name in ("own", "other"))
    said = refused(page, "--tls-cert", str(own.certificate), "--tls-key", str(other.key))
    assert f"{other.key} is the key of another certificate" in said


def test_a_port_that_is_taken_is_said_so(web: Web, page: Path) -> None:
    assert "Cannot listen" in refused(page, "--listen", f"{HOST}:{web.port}")


def fetched(web: Web, trusted: Path) -> int:
    context = ssl.create_default_context(cafile=trusted)
    connection = http.client.HTTPSConnection(
        "localhost", web.port, timeout=TIMEOUT_S, context=context
    )
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_tls_is_spoken_and_a_renewed_certificate_is_shown(
    start: Callable[..., Web], tmp_path: Path
) -> None:
    first = pair(tmp_path, "localhost")
    options = ("--tls-cert", str(first.certificate), "--tls-key", str(first.key))
    bounds = {"connections.HANDSHAKE_S": 0.5}
    web = start(NOWHERE, *options, bounds=bounds)
    assert fetched(web, first.certificate) == 200
    with web.connect() as silent:
        assert silent.recv(1) == b""  # no handshake in time
    with web.connect() as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200" not in plain.recv(1000)

    old = first.certificate.read_bytes()
    (tmp_path / "old.pem").write_bytes(old)
    pair(tmp_path, "localhost")
    assert first.certificate.read_bytes() != old
    web.process.send_signal(signal.SIGHUP)
    eventually(lambda: "certificate_loaded" in web.log.read_text())
    assert fetched(web, first.certificate) == 200
    with pytest.raises(ssl.SSLError):
        fetched(web, tmp_path / "old.pem")

    first.key.write_text("no key")
    web.process.send_signal(signal.SIGHUP)
    eventually(lambda: "certificate_refused" in web.log.read_text())
    assert fetched(web, first.certificate) == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told_to(start: Callable[..., Web], number: int) -> None:
    assert start(NOWHERE).stop(number) == 0
