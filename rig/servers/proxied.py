"""Run the proxy of ``deploy/`` before a server, on loopback, with a certificate of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rig.ports import free_port
from rig.servers.certificates import in_one_file

CONFIG = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"
WEB_CONFIG = CONFIG.with_name("haproxy-web.cfg")

_READY_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy: its address, the certificate to trust, as PEM, and its process id."""

    address: str
    authority: bytes
    pid: int


def unusable() -> str:
    """Return why the proxy cannot run here; empty where it can."""
    if shutil.which("haproxy") is None:
        return "needs haproxy of the system"
    return "" if os.geteuid() == 0 else "needs root, since HAProxy changes its user"


@contextmanager
def proxied(
    server: str,
    directory: Path,
    *,
    wrapper: tuple[str, ...] = (),
    port: int = 0,
    config: Path = CONFIG,
) -> Iterator[Proxy]:
    """Run the proxy before ``server``, HOST:PORT; files are written to ``directory``.

    With ``config=WEB_CONFIG`` that is a gateway.

    ``wrapper`` is a command to run it under. The port is a free one where it is 0.
    """
    port = port or free_port()
    pem = in_one_file(directory / "certificate.pem", "127.0.0.1")
    variables = {
        "DISRUPT_LISTEN": f"127.0.0.1:{port}",
        "DISRUPT_WEB_LISTEN": f"127.0.0.1:{port}",
        "DISRUPT_CERTIFICATE": str(pem),
        "DISRUPT_SERVER": server,
        "DISRUPT_WEB": server,
    }
    with (directory / "proxy.log").open("wb") as log:
        process = subprocess.Popen(
            [*wrapper, "haproxy", "-db", "-f", config], env=os.environ | variables, stderr=log
        )
    try:
        _wait_for(port, process)
        yield Proxy(f"127.0.0.1:{port}", pem.read_bytes(), process.pid)
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up_s = time.monotonic() + _READY_WITHIN_S
    while process.poll() is None and time.monotonic() < give_up_s:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    raise RuntimeError("HAProxy does not listen")
