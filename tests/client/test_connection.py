"""Beyond this machine nothing goes out in plaintext."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from disrupt.client import AsyncMatchClient, MatchClient, RetryPolicy
from disrupt.client.connection import connect
from disrupt.errors import ConfigurationError, UnavailableError
from disrupt.v1 import match_pb2
from tests.client.scripted import scripted

ONCE = RetryPolicy(attempts=1)


def certificate(*, ended: bool = False, ip: str = "127.0.0.1") -> tuple[bytes, bytes]:
    """Return the key and self-signed certificate of an address, as PEM; ``ended``: expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=2))
        .not_valid_after(now + dt.timedelta(hours=-1 if ended else 1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ip))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private, signed.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("server", "canonical"),
    [
        ("127.0.0.1:1234", "127.0.0.1:1234"),
        ("127.9.9.9", "127.9.9.9:50051"),
        ("localhost", "localhost:50051"),
        ("LocalHost:1", "LocalHost:1"),
        ("[::1]:9", "[::1]:9"),
    ],
)
def test_loopback_is_plaintext(server: str, canonical: str) -> None:
    target = connect(server, "key")
    assert (target.server, target.credentials) == (canonical, None)


@pytest.mark.parametrize(
    "server",
    [
        "10.0.0.1:50051",
        "0.0.0.0:50051",
        "[2001:db8::1]:50051",
        "disrupt.example",
        "localhost.example:50051",
        "127.0.0.1.example:50051",
        "2130706433",
    ],
)
def test_everything_else_is_tls(server: str) -> None:
    assert connect(server, "key").credentials is not None


@pytest.mark.parametrize(
    "server",
    ["", ":50051", "host:", "host:0", "host:65536", "host:port", "unix:/tmp/x", "dns:///host",
     "http://host:1", "::1", "host name", "host:1\n", "ho\0st"],
)  # fmt: skip
def test_what_is_no_address_is_refused(server: str) -> None:
    with pytest.raises(ConfigurationError):
        connect(server, "key")


@pytest.mark.parametrize("key", ["", " ", "two words", "line\nbreak", "clé", "k\0"])
def test_what_is_no_key_is_refused_without_repeating_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connect("localhost", key)
    assert key.strip() == "" or key not in refused.value.message


@pytest.mark.parametrize("tls_ca", [b"", b"no certificate", Path("/nowhere/ca.pem")])
def test_certificates_that_are_none_are_refused(tls_ca: bytes | Path) -> None:
    with pytest.raises(ConfigurationError):
        connect("localhost", "key", tls_ca)


def test_a_client_certificate_needs_its_key_and_a_readable_pair(tmp_path: Path) -> None:
    private, signed = certificate()
    other_private, _ = certificate()
    (tmp_path / "key.pem").write_bytes(private)
    connection = connect("localhost", "key", None, signed, tmp_path / "key.pem")
    assert connection.credentials is not None, "TLS on loopback, too"
    for pair, setting in (
        ((signed, None), "client_key"),
        ((None, private), "client_cert"),
        ((signed, other_private), "client_key"),
        ((b"none", private), "client_cert"),
        ((signed, b"none"), "client_key"),
        ((signed, "/nowhere/key.pem"), "client_key"),
        ((signed, 1), "client_key"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            connect("localhost", "key", None, *pair)
        assert refused.value.metadata == {"setting": setting}


@pytest.mark.slow
def test_tls_works_with_the_authority_named_and_with_no_other(tmp_path: Path) -> None:
    private, signed = certificate()
    ca = tmp_path / "ca.pem"
    ca.write_bytes(signed)
    credentials = grpc.ssl_server_credentials([(private, signed)])
    answer = match_pb2.GetIndexStatusResponse(generation=5)
    with scripted(answer, credentials=credentials) as server:
        with MatchClient(server.address, key="key", tls_ca=ca) as client:
            assert client.index_status().generation == 5
        _, other_certificate = certificate()
        other_ca = tmp_path / "other.pem"
        other_ca.write_bytes(other_certificate)
        for tls_ca in (other_certificate, None):
            with (
                MatchClient(server.address, key="key", tls_ca=tls_ca, retries=ONCE) as client,
                pytest.raises(UnavailableError),
            ):
                client.index_status()
        command = [
            *(sys.executable, "-m", "disrupt", "match", "--hash", "00" * 32),
            *("--tls-ca", str(other_ca)),
        ]
        done = subprocess.run(
            command,
            env=os.environ | {"DISRUPT_SERVER": server.address, "DISRUPT_KEY": "key"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert len(server.seen) == 1
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, "one sentence, and no log lines of gRPC"


def in_thread(address: str, tls_ca: bytes | None) -> None:
    with MatchClient(address, key="key", tls_ca=tls_ca, retries=ONCE) as client:
        client.index_status()


def in_loop(address: str, tls_ca: bytes | None) -> None:
    async def ask() -> None:
        async with AsyncMatchClient(address, key="key", tls_ca=tls_ca, retries=ONCE) as client:
            await client.index_status()

    asyncio.run(ask())


@pytest.fixture(params=[in_thread, in_loop])
def ask(request: pytest.FixtureRequest) -> Callable[[str, bytes | None], None]:
    chosen: Callable[[str, bytes | None], None] = request.param
    return chosen


def test_a_connection_that_does_not_come_about_says_why_and_what_to_do(
    ask: Callable[[str, bytes | None], None],
) -> None:
    answer = match_pb2.GetIndexStatusResponse()
    private, signed = certificate()
    _, other_certificate = certificate()
    ended_private, ended = certificate(ended=True)
    elsewhere_private, elsewhere = certificate(ip="127.0.0.2")
    tls = grpc.ssl_server_credentials([(private, signed)])
    elsewhere_tls = grpc.ssl_server_credentials([(elsewhere_private, elsewhere)])
    ended_tls = grpc.ssl_server_credentials([(ended_private, ended)])
    mutual_tls = grpc.ssl_server_credentials(
        [(private, signed)], root_certificates=other_certificate, require_client_auth=True
    )
    with (
        scripted(answer) as plain,
        scripted(answer, credentials=tls) as secure,
        scripted(answer, credentials=elsewhere_tls) as renamed,
        scripted(answer, credentials=ended_tls) as expired,
        scripted(answer, credentials=mutual_tls) as mutual,
    ):
        for address, tls_ca, advice in (
            (secure.address, None, "plaintext unless tls_ca is given"),
            (plain.address, signed, "does not speak TLS"),
            (secure.address, other_certificate, "signed by no authority that is trusted here"),
            (secure.address.replace("127.0.0.1", "localhost"), signed, "for another name"),
            (renamed.address, elsewhere, "for another name"),
            (expired.address, ended, "has expired"),
            (mutual.address, signed, "may ask for a client certificate.*--client-cert"),
            ("nowhere.invalid:1", None, "its name is not known"),
        ):
            with pytest.raises(UnavailableError, match=advice) as refused:
                ask(address, tls_ca)
            assert address in refused.value.message
    with pytest.raises(UnavailableError, match="nothing listens there"):
        ask(plain.address, None)
