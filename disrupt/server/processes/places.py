"""The addresses of a server, kept by sockets of the supervisor while its processes come and go."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass

from disrupt.errors import ConfigurationError
from disrupt.server.config import Config

_METRICS_BACKLOG = 16


@dataclass(frozen=True, slots=True)
class Place:
    """An address with its port, and the socket that keeps it for the server."""

    address: str
    socket: socket.socket


Places = Mapping[str, Place]
"""By the name of their setting."""


def reserve(config: Config) -> Places:
    """Bind a socket for each address of the settings. Raises ConfigurationError."""
    places = {"listen": _reserve(config.listen, config.address)}
    if config.client_listen is not None and config.client_address is not None:
        places["client_listen"] = _reserve(config.client_listen, config.client_address)
    if config.metrics_listen is not None and config.metrics_address is not None:
        places["metrics_listen"] = _listen_for_metrics(
            config.metrics_listen, config.metrics_address
        )
    return places


def _reserve(listen: str, parts: tuple[str, int]) -> Place:
    """Bind a socket beside which the workers listen on the same address."""
    host, port = parts
    try:
        family, kind, _, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            # without SO_REUSEPORT, so that another program on this port is an error
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
        reserved = socket.socket(family, kind)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(target)
    except OSError as error:
        raise ConfigurationError(f"Cannot listen on {listen}: {error.strerror}.") from error
    return Place(_address(host, reserved), reserved)


def _address(host: str, bound: socket.socket) -> str:
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{bound.getsockname()[1]}"


def _listen_for_metrics(listen: str, parts: tuple[str, int]) -> Place:
    """Listen for whoever reads metrics."""
    host, port = parts
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_METRICS_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {listen}, which metrics_listen names: {error.strerror}."
        ) from error
    return Place(_address(host, listener), listener)
