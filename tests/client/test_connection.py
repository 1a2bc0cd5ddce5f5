"""Beyond this machine nothing goes out in plaintext."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from disrupt.client import MatchClient
from disrupt.client.connection import connect
from disrupt.errors import ConfigurationError, UnavailableError
from disrupt.v1 import match_pb2
from rig.callers.sdk import ONCE, Call
from rig.callers.shell import run
from rig.servers.certificates import self_signed
from rig.servers.scripted import scripted


@pytest.mark.parametrize("server", ["127.0.0.1:1234", "127.9.9.9:1", "LocalHost:1", "[::1]:9"])
def test_loopback_is_plaintext(server: str) -> None:
    target = connect(server, "key")
    assert (target.server, target.credentials) == (server, None)


@pytest.mark.parametrize("server", ["disrupt.example", "10.0.0.1", "[::1]", "10.0.0.1:1,10.0.0.2"])
def test_an_address_without_a_port_is_refused_and_named(server: str) -> None:
    with pytest.raises(ConfigurationError, match="has no port: write HOST:PORT") as refused:
        connect(server, "key")
    assert refused.value.metadata["setting"] == "server"
    assert repr(server.rpartition(",")[2]) in refused.value.message


@pytest.mark.parametrize(
    "server",
    [
        "10.0.0.1:50051",
        "0.0.0.0:50051",
        "[2001:db8::1]:50051",
        "disrupt.example:443",
        "localhost.example:50051",
        "127.0.0.1.example:50051",
        "2130706433:50051",
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


def test_tls_works_with_the_authority_named_and_with_no_other(tmp_path: Path) -> None:
    private, signed = self_signed("127.0.0.1")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(signed)
    credentials = grpc.ssl_server_credentials([(private, signed)])
    answer = match_pb2.GetIndexStatusResponse(generation=5)
    with scripted(answer, credentials=credentials) as server:
        with MatchClient(server.address, key="key", tls_ca=ca) as client:
            assert client.index_status().generation == 5
        variables = {"DISRUPT_SERVER": server.address, "DISRUPT_KEY": "key"}
        other_ca = tmp_path / "other.pem"
        other_ca.write_bytes(self_signed("127.0.0.1")[1])
        done = run("match", "--hash", "00" * 32, "--tls-ca", other_ca, **variables)
    assert len(server.seen) == 1
    assert done.code == 1
    assert len(done.err.splitlines()) == 1, "one sentence, and no log lines of gRPC"


def test_a_connection_that_does_not_come_about_says_why_and_what_to_do(
    call: Call,
) -> None:
    answer = match_pb2.GetIndexStatusResponse()
    private, signed = self_signed("127.0.0.1")
    _, other_certificate = self_signed("127.0.0.1")
    ended_private, ended = self_signed("127.0.0.1", days=-0.5)
    elsewhere_private, elsewhere = self_signed("127.0.0.2")
    tls = grpc.ssl_server_credentials([(private, signed)])
    elsewhere_tls = grpc.ssl_server_credentials([(elsewhere_private, elsewhere)])
    ended_tls = grpc.ssl_server_credentials([(ended_private, ended)])
    with (
        scripted(answer) as plain,
        scripted(answer, credentials=tls) as secure,
        scripted(answer, credentials=elsewhere_tls) as renamed,
        scripted(answer, credentials=ended_tls) as expired,
    ):
        for address, tls_ca, advice in (
            (secure.address, None, "plaintext unless tls_ca is given"),
            (plain.address, signed, "does not speak TLS"),
            (secure.address, other_certificate, "signed by no authority that is trusted here"),
            (secure.address.replace("127.0.0.1", "localhost"), signed, "for another name"),
            (renamed.address, elsewhere, "for another name"),
            (expired.address, ended, "has expired"),
            ("nowhere.invalid:1", None, "its name is not known"),
        ):
            with pytest.raises(UnavailableError, match=advice) as refused:
                call("index_status", address=address, settings=ONCE | {"tls_ca": tls_ca})
            assert address in refused.value.message
    with pytest.raises(UnavailableError, match="nothing listens there"):
        call("index_status", address=plain.address)


def test_a_certificate_that_is_not_trusted_is_not_asked_for_again(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pause_async(_: float) -> None:
        raise AssertionError("tried again")

    def pause(_: float) -> None:
        raise AssertionError("tried again")

    private, signed = self_signed("127.0.0.1")
    _, other = self_signed("127.0.0.1")
    tls = grpc.ssl_server_credentials([(private, signed)])
    with scripted(match_pb2.GetIndexStatusResponse(), credentials=tls) as server:
        named = server.address.replace("127.0.0.1", "localhost")
        monkeypatch.setattr("disrupt.client.calls.time.sleep", pause)
        monkeypatch.setattr("disrupt.client.calls.asyncio.sleep", pause_async)
        for address, tls_ca in ((server.address, other), (named, signed)):
            with pytest.raises(UnavailableError, match="certificate"):
                call("index_status", address=address, settings={"tls_ca": tls_ca})
        with pytest.raises(AssertionError, match="tried again"):
            call("index_status", settings={})  # where nothing listens
