"""What a listener with a certificate reads again, and for how long sessions are resumed."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from disrupt.server.processes.listeners import Credentials
from tests.doctor.certificates import Pair, pair

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


@dataclass
class Listener:
    """A listener of one process, with a clock of the test's."""

    shown: Pair
    known: Pair
    port: int = 0
    now_s: float = 1000.0

    def context(self, version: ssl.TLSVersion) -> ssl.SSLContext:
        """Return what a client needs that shows its certificate."""
        context = ssl.create_default_context(cafile=str(self.shown.certificate))
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(self.known.certificate, self.known.key)
        return context

    def connect(
        self, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> tuple[ssl.SSLSession | None, bool | None]:
        """Connect until HTTP/2 is spoken; return the session, and whether it was resumed."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
        ):
            secure.sendall(_PREFACE)
            assert secure.recv(9)
            return secure.session, secure.session_reused


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    authority = pair(tmp_path / "authority", "some authority")
    known = pair(tmp_path / "client", "client", issuer=authority)
    made = Listener(pair(tmp_path / "server", "localhost"), known)
    credentials = Credentials(
        made.shown.certificate, made.shown.key, authority.certificate, lambda: made.now_s
    )
    with listening(credentials) as made.port:
        yield made


@contextmanager
def listening(credentials: Credentials) -> Iterator[int]:
    """Serve no calls; give the port."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", credentials.of_listener())
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_for_a_minute_and_certificates_verified_after_that(
    listener: Listener, version: ssl.TLSVersion
) -> None:
    context = listener.context(version)
    session, _ = listener.connect(context)
    listener.now_s += 59
    again, resumed = listener.connect(context, session)
    assert resumed
    listener.now_s += 1
    for known in (session, again):
        assert listener.connect(context, known)[1] is False


def test_a_renewed_certificate_is_shown_from_the_next_connection_on(tmp_path: Path) -> None:
    first = pair(tmp_path / "served", "localhost")
    renewed = pair(tmp_path / "renewed", "localhost")
    former = first.certificate.read_text()

    with listening(Credentials(first.certificate, first.key)) as port:

        def shown() -> str:
            return ssl.get_server_certificate(("127.0.0.1", port), timeout=5)

        assert shown() == former
        shutil.copy(renewed.certificate, first.certificate)
        assert shown() == former  # its key is not there yet
        shutil.copy(renewed.key, first.key)
        assert shown() == renewed.certificate.read_text()
        first.key.unlink()
        assert shown() == renewed.certificate.read_text()


def test_a_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    own, other = (pair(tmp_path / name, "localhost") for name in ("own", "other"))
    with pytest.raises(ValueError, match=f"{other.key} is the key of another certificate"):
        Credentials(own.certificate, other.key).of_listener()
