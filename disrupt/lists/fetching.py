"""Ask a partner's server: over TLS alone, without redirects, in bounded time and size."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpcore

from disrupt.errors import ConfigurationError
from disrupt.lists.pages import ListReadError

BODY_BYTES_MAX = 64 * 2**20
_TIMEOUT_S = 60.0
_BODY_S = 300.0
_TRIES = 3
_PAUSE_S = 1.0
_OK, _TOO_MANY, _SERVER_ERROR = range(200, 300), 429, 500


class Http:
    """Calls of one run. GET is tried again where that may help."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._pool = httpcore.ConnectionPool(max_connections=1)
        self._sleep = sleep

    def ask(self, method: str, url: str, headers: Mapping[str, str], content: bytes = b"") -> bytes:
        """Return the body of an answer.

        ListReadError: ``unreachable``, ``refused`` (a status other than 2xx), ``too_large``.
        """
        check_address(url)
        tries = _TRIES if method == "GET" else 1
        for left in reversed(range(tries)):
            try:
                return self._once(method, url, headers, content)
            except ListReadError as error:
                if not left or error.code != "unreachable":
                    raise
            self._sleep(_PAUSE_S * 2 ** (tries - 1 - left))
        raise AssertionError

    def _once(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> bytes:
        limits = dict.fromkeys(("connect", "read", "write", "pool"), _TIMEOUT_S)
        until_s, body = time.monotonic() + _BODY_S, bytearray()
        try:
            with self._pool.stream(
                *(method, url),
                headers=[*headers.items(), ("Host", urlsplit(url).netloc)],
                content=content or None,
                extensions={"timeout": limits},
            ) as answer:
                status = answer.status
                if status == _TOO_MANY or status >= _SERVER_ERROR:
                    raise ListReadError("unreachable", f"The source answers {status}.")
                if status not in _OK:
                    raise ListReadError("refused", f"The source answers {status}.")
                for piece in answer.iter_stream():
                    body += piece
                    if len(body) > BODY_BYTES_MAX or time.monotonic() > until_s:
                        raise ListReadError("too_large", "A page is too large, or too slow.")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            name = type(error).__name__
            raise ListReadError("unreachable", f"The source gives no answer: {name}.") from error
        return bytes(body)


def check_address(url: str) -> None:
    """Raise ConfigurationError unless an address is of https, or of this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        return
    raise ConfigurationError("The address of a source begins with https://.", setting="url")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
