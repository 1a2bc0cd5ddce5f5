"""`url=` reaches listed hosts on public addresses alone, whatever a name or a redirect says."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.door import fetching
from disrupt.door.fetching import Fetcher, PublicHosts, is_public
from disrupt.errors import DisruptError, InvalidRequestError, LimitExceededError, UnavailableError

Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def host(*answers: Answer) -> Iterator[tuple[str, list[str]]]:
    """Serve answers in turn, the last one for ever; yield host:port, and the paths asked for."""
    left, asked = list(answers), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def fetched(fetcher: Fetcher, url: str) -> bytes:
    async def whole() -> bytes:
        async with fetcher.fetched(url) as chunks:
            return b"".join([chunk async for chunk in chunks])

    return asyncio.run(whole())


def resolving(*addresses: str) -> Callable[..., Awaitable[list[tuple[object, ...]]]]:
    """Return a resolver that answers with these addresses, and takes one away at each question."""
    left = list(addresses)

    async def resolve(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    return resolve


PRIVATE = [
    "127.0.0.1",
    "169.254.169.254",
    "10.1.2.3",
    "192.168.0.1",
    "0.0.0.0",  # noqa: S104 no listener
    "100.64.0.1",
    "224.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:127.0.0.1",
    "2002:7f00:1::",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "::127.0.0.1",
    "fec0::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_listed_name_with_a_private_address_is_not_asked(address: str) -> None:
    network = PublicHosts(resolving(address))
    fetcher = Fetcher(frozenset({"media.example.org"}), network=network)
    with pytest.raises(InvalidRequestError, match="not public"):
        fetched(fetcher, "http://media.example.org/a.jpg")


@given(st.ip_addresses())
def test_what_is_public_is_global(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822")))


def test_one_private_address_among_several_is_enough() -> None:
    async def resolve(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        addresses = ("93.184.216.34", "127.0.0.1")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    fetcher = Fetcher(frozenset({"media.example.org"}), network=PublicHosts(resolve))
    with pytest.raises(InvalidRequestError, match="not public"):
        fetched(fetcher, "http://media.example.org/a.jpg")


def test_a_name_that_changes_between_check_and_fetch_is_resolved_once() -> None:
    class Recording(httpcore.AnyIOBackend):
        def __init__(self) -> None:
            self.connected: list[str] = []

        async def connect_tcp(
            self, host: str, *_: object, **__: object
        ) -> httpcore.AsyncNetworkStream:
            self.connected.append(host)
            raise httpcore.ConnectError("no network here")

    network = PublicHosts(resolving("93.184.216.34", "127.0.0.1"))
    network._backend = recording = Recording()
    with pytest.raises(UnavailableError):
        fetched(Fetcher(frozenset({"a.example.org"}), network=network), "http://a.example.org/a")
    assert recording.connected == ["93.184.216.34"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a",
        "http://169.254.169.254/latest",
        "http://other.example.org/a",
        "http://media.example.org:8080/a",
        "http://media.example.org@127.0.0.1/a",
        "http://user:word@media.example.org/a",
        "http://media.example.org.evil.example/a",
        "file:///etc/passwd",
        "http://media.example.org/\u00e9",
        "media.example.org/a",
        "http://[::1",
        "",
    ],
)
def test_what_is_not_listed_is_not_asked(url: str) -> None:
    with pytest.raises(InvalidRequestError):
        fetched(Fetcher(frozenset({"media.example.org"})), url)


def test_a_redirect_to_a_host_that_is_not_listed_is_not_followed() -> None:
    with host((200, {}, b"secret")) as (inner, asked):
        with host((302, {"Location": f"http://{inner}/b"}, b"")) as (outer, _):
            fetcher = Fetcher(frozenset({outer}), network=httpcore.AnyIOBackend())
            with pytest.raises(InvalidRequestError, match="url_hosts"):
                fetched(fetcher, f"http://{outer}/a")
        assert asked == []


def test_files_and_redirects_on_a_host_are_followed_a_few_times() -> None:
    with host((302, {"Location": "/b"}, b""), (200, {}, b"file")) as (address, asked):
        fetcher = Fetcher(frozenset({address}), network=httpcore.AnyIOBackend())
        assert fetched(fetcher, f"http://{address}/a") == b"file"
        assert asked == ["/a", "/b"]
    with host((302, {"Location": "/a"}, b"")) as (address, asked):
        fetcher = Fetcher(frozenset({address}), network=httpcore.AnyIOBackend())
        with pytest.raises(InvalidRequestError, match="too often"):
            fetched(fetcher, f"http://{address}/a")
        assert len(asked) == 4


def test_a_file_without_end_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "FILE_BYTES_MAX", 1000)
    with host((200, {}, bytes(5000))) as (address, _):
        fetcher = Fetcher(frozenset({address}), network=httpcore.AnyIOBackend())
        with pytest.raises(LimitExceededError):
            fetched(fetcher, f"http://{address}/a")


def test_a_host_that_does_not_give_the_file_is_told() -> None:
    with host((404, {}, b"")) as (address, _):
        fetcher = Fetcher(frozenset({address}), network=httpcore.AnyIOBackend())
        with pytest.raises(UnavailableError, match="404"):
            fetched(fetcher, f"http://{address}/a")
    with pytest.raises(DisruptError):
        fetched(fetcher, f"http://{address}/a")
