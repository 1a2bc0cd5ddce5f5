"""``disrupt desk`` as it is installed: what it refuses, and that it serves and ends."""

from __future__ import annotations

import logging
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from disrupt.desk import commands
from disrupt.errors import ConfigurationError
from rig.servers.certificates import in_one_file
from rig.servers.deployment import BIN

ORIGIN = "https://desk.example.org"


@pytest.fixture
def logging_again() -> Iterator[None]:
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("logging_again")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "0.0.0.0:0"), "give --tls-cert and --tls-key"),
        (("--listen", "8082"), "HOST:PORT"),
        (("--tls-cert", "missing.pem"), "belong together"),
        (("--server", "a b"), "no server address"),
        (("--origin", "http://desk.example.org"), "takes https:// and a name"),
        (("--origin", "https://192.0.2.1"), "takes https:// and a name"),
        (("--origin", "https://desk.example.org/"), "takes https:// and a name"),
        (("--origin", "https://Desk.example.org"), "takes https:// and a name"),
        (("--state-dir", "/proc/1/desk"), "cannot keep passkeys"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_with_the_option(
    options: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    arguments = ["--listen", "127.0.0.1:0", "--origin", ORIGIN, "--state-dir", str(tmp_path / "d")]
    done = CliRunner().invoke(commands.desk, [*arguments, *options])
    assert isinstance(done.exception, ConfigurationError)
    assert words in done.exception.message


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    pem = in_one_file(tmp_path / "certificate.pem", "127.0.0.1")
    tls = ("--tls-cert", str(pem), "--tls-key", str(pem), "--listen", "127.0.0.1:0")
    state = ("--origin", ORIGIN, "--state-dir", str(tmp_path / "d"))
    command = [str(BIN / "disrupt"), "desk", *state, *tls]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        ready = process.stdout.readline()
        url = ready.removeprefix("The desk is ready on ").strip()
        trusting = ssl.create_default_context(cafile=pem)
        with urlopen(f"{url}/", context=trusting) as answer:  # noqa: S310 of this machine
            assert b"<title>" in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
