"""A listener of its own takes only connections with a client certificate, and needs a key, too."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.deployment import CommandFailedError, Deployment
from disrupt.client import MatchClient, RetryPolicy
from disrupt.core.cases import case_number
from disrupt.errors import (
    CertificateRefusedError,
    DisruptError,
    UnauthenticatedError,
    UnavailableError,
)
from tests.doctor.certificates import Pair, pair
from tests.server.caller import eventually
from tests.server.running import Start, typed

pytestmark = pytest.mark.slow

ONCE = RetryPolicy(attempts=1)


@dataclass
class Site:
    """A server with both listeners, and the certificates of an authority for clients."""

    server: Deployment
    authority: Pair
    shown: Pair
    address: str
    client_address: str
    directory: Path

    def client(self, name: str) -> Pair:
        """Make a client certificate, signed by the authority."""
        return pair(self.directory / name, name, issuer=self.authority)

    def command(self, *words: str) -> Any:
        done = typed("disrupt", *words, "--json", "--data-dir", self.server.data_dir)
        return json.loads(done)

    def look_up(self, secret: str, pair: Pair | None, *, plain: bool = False) -> str:
        """Look a hash up; return the reason of the error, empty where it is answered."""
        address = self.address if plain else self.client_address
        with MatchClient(
            address,
            key=secret,
            tls_ca=self.shown.certificate,
            client_cert=pair.certificate if pair else None,
            client_key=pair.key if pair else None,
            retries=ONCE,
            connections=1,
        ) as client:
            try:
                client.match_hashes(bytes(32))
            except DisruptError as error:
                return error.reason
        return ""


@pytest.fixture
def site(start: Start, tmp_path: Path) -> Site:
    shown = pair(tmp_path / "server", "localhost")
    authority = pair(tmp_path / "authority", "some authority")
    server = start(
        *("--tls-cert", str(shown.certificate), "--tls-key", str(shown.key)),
        *("--client-listen", "127.0.0.1:0", "--client-ca", str(authority.certificate)),
        workers=2,
    )
    assert server.process.stdout is not None
    second = server.process.stdout.readline().strip()
    assert second.startswith("With client certificates on 127.0.0.1:")
    ports = (server.address.rpartition(":")[2], second.rpartition(":")[2])
    address, client_address = (f"localhost:{port}" for port in ports)
    return Site(server, authority, shown, address, client_address, tmp_path)


def test_only_a_client_certificate_and_a_key_together_are_let_in(site: Site) -> None:
    secret = site.server.make_key("platform", "match")
    known = site.client("anybody")
    stranger = pair(site.directory / "stranger", "anybody")
    expired = pair(site.directory / "expired", "anybody", days=0, issuer=site.authority)
    assert site.look_up(secret, known) == ""
    for other in (None, stranger, expired):
        assert site.look_up(secret, other) == UnavailableError.reason
    assert site.look_up("disrupt_none", known) == UnauthenticatedError.reason
    assert site.look_up(secret, None, plain=True) == ""


def test_an_organisation_may_be_bound_to_the_name_of_a_certificate(site: Site) -> None:
    secret = site.server.make_key("platform", "match")
    other_secret = site.server.make_key("other", "match")
    named, other = site.client("platform.example"), site.client("other.example")
    site.command("organisations", "set", "platform", "--certificate", "platform.example")
    refused = CertificateRefusedError.reason
    eventually(lambda: all(site.look_up(secret, None, plain=True) == refused for _ in range(8)))
    assert site.look_up(secret, named) == ""
    assert site.look_up(secret, other) == refused
    assert site.look_up(other_secret, named) == "", "bound to none"
    site.command("organisations", "set", "platform", "--certificate", "any")
    eventually(lambda: all(site.look_up(secret, None, plain=True) == "" for _ in range(8)))


def test_another_authority_holds_from_the_next_connection_on(site: Site) -> None:
    secret = site.server.make_key("platform", "match")
    old, new_authority = site.client("client"), pair(site.directory / "new", "new authority")
    new = pair(site.directory / "renewed", "client", issuer=new_authority)
    both = site.directory / "both.pem"
    both.write_bytes(
        site.authority.certificate.read_bytes() + new_authority.certificate.read_bytes()
    )
    shutil.move(both, site.authority.certificate)
    eventually(lambda: site.look_up(secret, new) == "")
    assert site.look_up(secret, old) == ""
    site.authority.certificate.write_text("no certificate")
    eventually(lambda: site.look_up(secret, new) == "")  # the authorities from before hold
    shutil.copy(new_authority.certificate, site.authority.certificate)
    eventually(lambda: site.look_up(secret, old) == UnavailableError.reason)
    assert site.look_up(secret, new) == ""


def test_disrupt_health_asks_through_it(site: Site) -> None:
    known = site.client("monitor")
    words = ("health", "--server", site.client_address, "--tls-ca", site.shown.certificate)
    shown = ("--client-cert", known.certificate, "--client-key", known.key)
    assert typed("disrupt", *words, *shown) == "serving\n"
    with pytest.raises(CommandFailedError):
        typed("disrupt", *words)


@pytest.mark.parametrize(
    ("right", "command", "answer"),
    [
        ("review", ("review", "items"), '"items": []'),
        ("review", ("review", "erase-case", "--case-file", "case"), "There is no case"),
        ("match", ("match", "--self-test"), '{"passed": true'),
    ],
    ids=["review", "erasures", "match"],
)
def test_commands_show_the_certificate(
    site: Site,
    right: str,
    command: tuple[str, ...],
    answer: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = site.client("caller")
    monkeypatch.chdir(site.directory)
    monkeypatch.setenv("DISRUPT_KEY", site.server.make_key("caller", right))
    Path("case").write_text(str(case_number(1)))

    def said(*more: str | Path) -> str:
        words = ("--json", "--server", site.client_address, "--tls-ca", site.shown.certificate)
        try:
            return typed("disrupt", *command, *words, *more)
        except CommandFailedError as failure:
            return str(failure)

    assert answer not in said()
    assert answer in said("--client-cert", known.certificate, "--client-key", known.key)


def test_a_key_that_does_not_fit_yet_leaves_the_pair_from_before(site: Site) -> None:
    secret, known = site.server.make_key("platform", "match"), site.client("client")
    new = pair(site.directory / "server renewed", "localhost")
    shutil.copy(new.key, site.shown.key)
    for _ in range(4):
        assert site.look_up(secret, known) == ""
    old = site.directory / "old.pem"
    shutil.copy(site.shown.certificate, old)
    shutil.copy(new.certificate, site.shown.certificate)  # which the client trusts from now on
    eventually(lambda: all(site.look_up(secret, known) == "" for _ in range(8)))
    site.shown = Pair(old, site.shown.key)
    assert site.look_up(secret, known) == UnavailableError.reason, "not the old one any more"
