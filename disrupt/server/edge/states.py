"""Tell others what the server's processes do: commands on a socket, systemd by messages.

Both take a few lines, of the supervisor's one thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

STALE = "stale"
"""State of a worker that has not followed the registry for ``stale_not_ready_s``."""

DRAINING = "draining"
"""State of a process that another one replaces, and that answers its last calls."""

WAITING = "waiting"
"""State of a writer while the writer of another machine leads."""

_REQUEST_WITHIN_S = 5.0

Requests: TypeAlias = Mapping[str, Callable[[int], Awaitable[dict[str, object]]]]
"""What answers each request, given the descriptor of the connection that waits for it."""


def bound(path: Path) -> socket.socket:
    """Return a Unix socket at a path, for the user of this process alone. Raises OSError.

    One that a killed server left is replaced.
    """
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


async def answer_on(listener: socket.socket, requests: Requests) -> asyncio.Server:
    """Answer each connection: a line with a request, and one with the answer, in JSON."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, TimeoutError):
            async with asyncio.timeout(_REQUEST_WITHIN_S):
                request = (await reader.readline()).decode().strip()
            if request in requests:
                descriptor = writer.get_extra_info("socket").fileno()
                writer.write(encoded(await requests[request](descriptor)))
                await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(answer, sock=listener)


def encoded(answer: dict[str, object]) -> bytes:
    """Return an answer as it is sent."""
    return json.dumps(answer).encode() + b"\n"


def notify(message: str) -> None:
    """Send the service manager a message of sd_notify(3); do nothing where none asked for them."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message.encode(), socket.MSG_DONTWAIT, address)
