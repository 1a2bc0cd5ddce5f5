"""The proxy of ``deploy/`` before a gateway, in a process of its own."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.doctor.certificates import pair
from tests.server.caller import TIMEOUT_S, eventually
from tests.web.running import HOST, Answer, Web, answer_of, headers_for, raw_request

CONFIG = Path(__file__).parents[2] / "deploy" / "haproxy-web.cfg"

REQUESTS_MAX = 64
"""Requests of one network under way, as in the configuration."""

NEEDS_HAPROXY = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="needs HAProxy, which is a system's package"
)


@dataclass
class Proxy:
    """A proxy with TLS, and what browsers send to it."""

    port: int
    context: ssl.SSLContext

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        source: str = HOST,
        **headers: str,
    ) -> Answer:
        connection = http.client.HTTPSConnection(
            "localhost",
            self.port,
            timeout=TIMEOUT_S,
            context=self.context,
            source_address=(source, 0),
        )
        named = headers_for(body) if body is not None else {}
        try:
            connection.request(method, path, body, named | headers)
            return answer_of(connection)
        finally:
            connection.close()

    def connect(self, source: str = HOST) -> ssl.SSLSocket:
        connection = socket.create_connection((HOST, self.port), TIMEOUT_S, (source, 0))
        return self.context.wrap_socket(connection, server_hostname="localhost")

    @contextmanager
    def full(self) -> Iterator[None]:
        """Hold all requests that this machine's network may have under way."""
        with ExitStack() as stack:
            for _ in range(REQUESTS_MAX):
                slow = stack.enter_context(self.connect())
                slow.sendall(raw_request("GetCase", b"", length=1000))
            eventually(lambda: self.request("GET", "/").status == 429)
            yield

    def is_up(self) -> bool:
        try:
            return self.request("GET", "/").status == 200
        except OSError:
            return False


@contextmanager
def proxied(web: Web, directory: Path, port: int) -> Iterator[Proxy]:
    """Run the proxy before a gateway."""
    certificate = pair(directory, "localhost")
    pem = directory / "both.pem"
    pem.write_bytes(certificate.certificate.read_bytes() + certificate.key.read_bytes())
    variables = {
        "DISRUPT_LISTEN": f"{HOST}:{port}",
        "DISRUPT_CERTIFICATE": str(pem),
        "DISRUPT_WEB": f"{HOST}:{web.port}",
    }
    proxy = Proxy(port, ssl.create_default_context(cafile=certificate.certificate))
    process = subprocess.Popen(["haproxy", "-db", "-f", CONFIG], env=os.environ | variables)
    try:
        eventually(proxy.is_up)
        yield proxy
    finally:
        process.kill()
        process.wait()
