"""Fetch files by address for callers: from hosts that the operator lists, and public ones alone."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore
from httpcore import SOCKET_OPTION, AsyncNetworkBackend, AsyncNetworkStream

from disrupt.door.bodies import FILE_BYTES_MAX
from disrupt.errors import (
    DeadlineExceededError,
    InvalidRequestError,
    LimitExceededError,
    UnavailableError,
    Violation,
)

_REDIRECTS_MAX = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_CONNECT_S = 5.0
_FETCH_S = 60.0
_OK = 200
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class PublicHosts(AsyncNetworkBackend):
    """Connects to public addresses alone.

    A name is resolved once, here, where the connection is made: so it cannot change between check
    and fetch. All of its addresses have to be public.
    """

    def __init__(self, resolve: Any = None) -> None:  # noqa: ANN401 as of loop.getaddrinfo
        self._resolve = resolve
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 as the base class
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to a host. Raises InvalidRequestError for one that is not public."""
        resolve = self._resolve or asyncio.get_running_loop().getaddrinfo
        try:
            known = await resolve(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"the name {host} is not known") from error
        addresses = [str(address[0]) for *_, address in known]
        if not addresses or not all(map(is_public, addresses)):
            raise _bad("its host has an address that is not public")
        return await self._backend.connect_tcp(
            addresses[0], port, timeout, local_address, socket_options
        )

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 as the base class
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Refuse: no address names a socket."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def is_public(address: str) -> bool:
    """Tell whether an address is of the public internet, also where one of IPv6 holds one of 4."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo and parsed.teredo[1])
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
        if parsed not in _PUBLIC_6:
            return False
    return parsed.is_global and not parsed.is_multicast


class Fetcher:
    """Fetches files from ``hosts`` alone: names, with a port where it is no usual one."""

    def __init__(
        self,
        hosts: frozenset[str],
        *,
        network: AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._hosts = hosts
        self._network = network or PublicHosts()
        self._tls = tls

    @asynccontextmanager
    async def fetched(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield the parts of a file.

        Raises InvalidRequestError for an address that is not fetched, UnavailableError where its
        host does not give the file, LimitExceededError for one that is too large, and
        DeadlineExceededError for one that takes too long.
        """
        timeouts = {"timeout": {"connect": _CONNECT_S, "read": _CONNECT_S, "pool": _CONNECT_S}}
        try:
            async with (
                asyncio.timeout(_FETCH_S),
                httpcore.AsyncConnectionPool(
                    network_backend=self._network, ssl_context=self._tls, max_connections=1
                ) as pool,
            ):
                for _ in range(_REDIRECTS_MAX + 1):
                    request = pool.stream(
                        "GET", self._checked(url), extensions=timeouts, headers=_headers(url)
                    )
                    async with request as response:
                        if response.status in _REDIRECTS:
                            url = urljoin(url, _header(response, b"location"))
                            continue
                        if response.status != _OK:
                            raise UnavailableError(
                                f"The file was not fetched: its host answers {response.status}."
                            )
                        yield _bounded(response.aiter_stream())
                        return
        except TimeoutError:
            raise DeadlineExceededError("The file took too long to fetch.") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            why = str(error) or type(error).__name__
            raise UnavailableError(f"The file was not fetched: {why}.") from None
        raise _bad("it redirects too often")

    def _checked(self, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            raise _bad("it is no address") from None
        if not url.isascii():
            raise _bad("encode what is not ASCII")
        if parts.scheme not in ("http", "https"):
            raise _bad("give an http or https address")
        if parts.netloc.lower() not in self._hosts:
            raise _bad("its host is none of the door's url_hosts")
        return url


def _headers(url: str) -> list[tuple[bytes, bytes]]:
    return [(b"Host", urlsplit(url).netloc.encode()), (b"Accept", b"*/*")]


def _header(response: httpcore.Response, name: bytes) -> str:
    values = (value for key, value in response.headers if key.lower() == name)
    return next(values, b"").decode("latin-1")


async def _bounded(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    total_bytes = 0
    async for part in parts:
        total_bytes += len(part)
        if total_bytes > FILE_BYTES_MAX:
            raise LimitExceededError(
                f"At most {FILE_BYTES_MAX} bytes in a file.", limit=str(FILE_BYTES_MAX)
            )
        yield part


def _bad(why: str) -> InvalidRequestError:
    return InvalidRequestError.of(Violation("url", why))
