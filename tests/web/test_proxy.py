"""The proxy of ``deploy/`` before the gateway passes page and calls on, and says who calls."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from benchmarks.harness import proxied as harness
from benchmarks.harness.proxied import WEB_CONFIG, proxied
from disrupt.v1 import registration_pb2
from tests.client.scripted import scripted
from tests.web.running import Running, running

runs = pytest.mark.skipif(bool(why := harness.unusable()), reason=why)

GET = registration_pb2.GetCaseRequest().SerializeToString()


@runs
def test_a_caller_is_known_by_its_address_and_not_by_what_it_claims(tmp_path: Path) -> None:
    options = {"proxy_headers": True, "forwarded_allow_ips": ["127.0.0.1"]}
    with (
        scripted(registration_pb2.GetCaseResponse()) as server,
        running(server.address, options=options) as gateway,
        proxied(f"127.0.0.1:{gateway.port}", tmp_path, config=WEB_CONFIG) as proxy,
    ):
        tls = ssl.create_default_context(cadata=proxy.authority.decode())
        page = Running(int(proxy.address.rpartition(":")[2]), gateway.origins, tls)
        shown = page.ask("GET", "/")
        answer = page.call("GetCase", GET, x_forwarded_for="192.0.2.1")
        health = page.ask("GET", "/health")
    assert shown.status == answer.status == 200
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    (seen,) = server.seen
    passed = registration_pb2.GetCaseRequest.FromString(seen.request)
    assert passed.access.origin_token == gateway.origins.token("127.0.0.1")
    assert health.status == 404


@runs
def test_where_the_proxy_answers_by_itself_it_speaks_to_the_person(
    tmp_path: Path, free_port: int
) -> None:
    short = tmp_path / "haproxy-web.cfg"
    short.write_text(WEB_CONFIG.read_text().replace("retries 10", "retries 0"))
    with proxied(f"127.0.0.1:{free_port}", tmp_path, config=short) as proxy:
        tls = ssl.create_default_context(cadata=proxy.authority.decode())
        answer = Running(int(proxy.address.rpartition(":")[2]), tls=tls).ask("GET", "/")
    assert answer.status == 503
    assert answer.headers["cache-control"] == "no-store"
    said = answer.body.decode()
    assert "Le service ne répond pas" in said
    assert "3018" in said
    assert "503" not in said
