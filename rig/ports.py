"""Find TCP ports of loopback that nothing listens on."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack

_PORTS = range(12_000, 32_000)
"""Below the ports that the kernel gives to clients: a free one stays so till it is listened on."""


def free_port() -> int:
    """Return a free port."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return free ports, all different."""
    ports: list[int] = []
    with ExitStack() as stack:
        while len(ports) < count:
            port = secrets.choice(_PORTS)
            try:
                probe = stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            ports.append(probe.getsockname()[1])
    return ports
