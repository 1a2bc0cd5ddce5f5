"""The proxy of ``deploy/`` before the gateway passes the page and its calls on, and not health."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.v1 import registration_pb2
from tests.server.caller import distinctive, eventually, register
from tests.web.proxying import NEEDS_HAPROXY, Proxy, proxied
from tests.web.running import HOST, Web, raw_request

pytestmark = NEEDS_HAPROXY

ROOM = 100_000
PART = 30_000
"""Bytes that a caller gets who holds none, and who holds as many does not."""


@pytest.fixture
def proxy(
    server: Deployment, key: str, start: Callable[..., Web], tmp_path: Path, free_port: int
) -> Iterator[Proxy]:
    web = start(server.address, "--trusted-proxy", HOST, key=key)
    with proxied(web, tmp_path, free_port) as proxy:
        yield proxy


@pytest.fixture
def lonely_web(start: Callable[..., Web]) -> Web:
    """Start a gateway that has no server, and little room for bodies."""
    return start(f"{HOST}:1", "--trusted-proxy", HOST, bounds={"gateway.BODIES_BYTES_MAX": ROOM})


@pytest.fixture
def lonely(lonely_web: Web, tmp_path: Path, free_port: int) -> Iterator[Proxy]:
    with proxied(lonely_web, tmp_path, free_port) as proxy:
        yield proxy


def forged(number: int) -> dict[str, str]:
    """Return headers by which a caller claims an address."""
    return {"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"}


def test_the_page_and_its_calls_pass_and_health_does_not(proxy: Proxy) -> None:
    assert proxy.request("GET", "/worker.js").header("cache-control") == "no-store"
    body = register(distinctive()).SerializeToString()
    answer = proxy.request("POST", "/v1/RegisterHashes", body, **forged(1))
    assert answer.status == 200
    assert registration_pb2.RegisterHashesResponse.FromString(answer.body).receipt.case_number
    assert proxy.request("GET", "/health").status == 404


def test_a_caller_is_known_by_its_address_and_not_by_what_it_claims(lonely: Proxy) -> None:
    def answered(source: str, claim: int) -> str:
        headers = forged(claim)
        path = "/v1/RegisterHashes"
        return lonely.request("POST", path, bytes(PART), source=source, **headers).reason

    with lonely.connect("127.0.0.2") as holder:
        holder.sendall(raw_request("RegisterHashes", bytes(PART), 2 * PART, **forged(1)))
        claims = itertools.cycle(range(2, 200))
        eventually(lambda: answered("127.0.0.2", next(claims)) == "OVERLOADED")
        assert answered("127.0.0.3", 1) == "LIMIT_EXCEEDED"  # it was read: too many items


def test_a_network_has_so_many_requests_under_way_each_on_a_connection(lonely: Proxy) -> None:
    lonely.context.set_alpn_protocols(["h2", "http/1.1"])
    with lonely.full(), lonely.connect("127.0.0.2") as other:
        assert other.selected_alpn_protocol() == "http/1.1"
        other.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert other.recv(1000).startswith(b"HTTP/1.1 200 ")
    eventually(lonely.is_up)


def test_where_the_proxy_answers_by_itself_it_speaks_to_the_person(
    lonely: Proxy, lonely_web: Web
) -> None:
    with lonely.full():
        answers = [lonely.request("GET", "/")]
    lonely_web.kill()
    answers.append(lonely.request("GET", "/"))
    assert [answer.status for answer in answers] == [429, 503]
    for answer in answers:
        assert answer.header("content-type") == "text/html; charset=utf-8"
        assert answer.header("cache-control") == "no-store"
        assert answer.header("server") is None
        said = answer.body.decode()
        for words in ("<title>Accueil</title>", "Le service est très demandé", "3018", "is busy"):
            assert words in said
        assert str(answer.status) not in said
