"""``disrupt web`` as operators run it: what it refuses, what it logs, and how it ends."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from disrupt.core.cases import case_number
from disrupt.errors import CaseRefusedError, ConfigurationError, PermissionDeniedError
from disrupt.v1 import registration_pb2
from disrupt.web import commands
from rig.servers.certificates import in_one_file
from rig.servers.deployment import BIN
from rig.servers.gateway import Running, whole_page
from rig.servers.scripted import scripted, status_of
from tests.web.test_files import needs_npm

pytestmark = needs_npm

ACCESS = registration_pb2.CaseAccess(case_number=case_number(7), pin="123456789012")
GET = registration_pb2.GetCaseRequest(access=ACCESS).SerializeToString()
CALLER = "192.0.2.77"
SAID = (
    *("--operator", "Association Exemple", "--contact", "aide@example.org"),
    *("--notice", "https://example.org/notice?a=1"),
    *("--logo", str(Path(commands.__file__).parent / "page" / "favicon.svg")),
)
"""The options that say who runs the page."""


@contextmanager
def web(
    server: str, log: Path, *options: str, listen: str = "127.0.0.1:0", tls: Path | None = None
) -> Iterator[tuple[Running, subprocess.Popen[str]]]:
    """Run the command, with ``tls`` by a certificate; yield what it serves and its process."""
    whole_page()
    if tls:
        options = (*options, "--tls-cert", str(tls), "--tls-key", str(tls))
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [BIN / "disrupt", "web", "--server", server, "--listen", listen, *options],
            env=os.environ | {"DISRUPT_KEY": "key-of-the-gateway"},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout
            ready = process.stdout.readline()
            url = f"{'https' if tls else 'http'}://{listen.removesuffix('0')}"
            assert ready.startswith(f"The page is ready on {url}"), log.read_text()
            trusted = ssl.create_default_context(cafile=tls) if tls else None
            yield Running(int(ready.rpartition(":")[2]), tls=trusted), process
        finally:
            process.kill()


def test_no_line_of_the_log_says_who_asked_or_for_what(tmp_path: Path) -> None:
    lacking = status_of(PermissionDeniedError("This key has no right register."))
    log = tmp_path / "log"
    with (
        scripted(status_of(CaseRefusedError()), lacking) as server,
        web(server.address, log, "--trusted-proxy", "127.0.0.1", *SAID) as (page, process),
    ):
        forwarded = {"x_forwarded_for": CALLER}
        assert page.call("GetCase", GET, **forwarded).status == 404
        assert page.call("GetCase", GET, **forwarded).status == 503
        assert page.call("GetCase", GET[:-1], **forwarded).status == 400
        assert page.ask("GET", f"/{ACCESS.case_number}").status == 404
        with socket.create_connection(("127.0.0.1", page.port)) as caller:
            caller.sendall(b"\x16\x03\x01" + ACCESS.pin.encode() + b"\r\n\r\n")
            assert caller.recv(1000).startswith(b"HTTP/1.1 400 ")
        with socket.create_connection(("127.0.0.1", page.port)) as caller:
            caller.sendall(b"POST / HTTP/1.1\r\n" + ACCESS.pin.encode())
        process.terminate()
        assert process.wait() == 0
    written = log.read_text()
    assert '"event": "gateway_key_refused"' in written
    for told in (CALLER, "127.0.0.1", ACCESS.case_number, ACCESS.pin, "GetCase"):
        assert told not in written


def test_a_call_under_way_is_answered_before_it_ends(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_request: bytes) -> registration_pb2.GetCaseResponse:
        entered.set()
        leave.wait()
        return registration_pb2.GetCaseResponse()

    statuses: list[int] = []
    with scripted(slow) as server, web(server.address, tmp_path / "log") as (page, process):
        asking = threading.Thread(target=lambda: statuses.append(page.call("GetCase", GET).status))
        asking.start()
        entered.wait()
        process.send_signal(signal.SIGTERM)
        leave.set()
        asking.join()
        assert process.wait() == 0
    assert statuses == [200]


@pytest.fixture
def logging_again() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("logging_again")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "0.0.0.0:0"), "give --tls-cert and --tls-key"),
        (("--listen", "8080"), "HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "HOST:PORT"),
        (
            ("--listen", "nowhere.invalid:80", "--tls-cert", "a", "--tls-key", "a", *SAID),
            "Cannot listen",
        ),
        (("--trusted-proxy", "proxy.example"), "addresses and networks"),
        (("--trusted-proxy", "10.0.0.1/8"), "addresses and networks"),
        (("--tls-cert", "missing.pem"), "belong together"),
        (("--tls-cert", "missing.pem", "--tls-key", "missing.pem"), "cannot be used"),
        (("--server", "a b"), "no server address"),
        (("--operator", "x" * 81), "at most 80 characters"),
        (("--operator", "Association\nExemple"), "takes a line"),
        (("--notice", "http://example.org/"), "begins with https://"),
        (("--notice", "javascript:alert(1)//https://example.org/"), "begins with https://"),
        (("--notice", "https://example.org@elsewhere.example/"), "begins with https://"),
        (("--contact", "javascript:alert(1)"), "e-mail address, a telephone number"),
        (("--logo", "missing.png"), "cannot be read"),
        (("--language", "de"), "no language 'de' (--language). It has: fr, en, es"),
        (("--trusted-proxy", "127.0.0.1", "--operator", "A"), "give --contact, --notice, --logo"),
        (
            ("--listen", "0.0.0.0:0", "--tls-cert", "a", "--tls-key", "a"),
            "give --operator, --contact, --notice, --logo. Without them the page starts",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_the_option(
    options: tuple[str, ...], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "read_page", dict)
    arguments = ["--listen", "127.0.0.1:0", *options]
    done = CliRunner().invoke(commands.web, arguments, env={"DISRUPT_KEY": "key"})
    assert isinstance(done.exception, ConfigurationError)
    assert words in done.exception.message


def test_it_serves_who_runs_it_and_beyond_loopback_tls(tmp_path: Path) -> None:
    pem = in_one_file(tmp_path / "certificate.pem", "127.0.0.1")
    beyond = web("127.0.0.1:1", tmp_path / "log", *SAID, listen="0.0.0.0:0", tls=pem)
    with beyond as (page, _process):
        answer, logo = page.ask("GET", "/operator.json"), page.ask("GET", "/logo.svg")
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == {
        "name": "Association Exemple",
        "contact": {"text": "aide@example.org", "href": "mailto:aide@example.org"},
        "notice": "https://example.org/notice?a=1",
        "logo": "/logo.svg",
    }
    assert logo.headers["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in logo.headers["content-security-policy"]
