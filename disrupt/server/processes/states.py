"""Tell others what the server's processes do: ``disrupt health`` on a socket, systemd by messages.

Both take a few lines, of the supervisor's one thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

STALE = "stale"
"""State of a worker that has not followed the registry for ``stale_not_ready_s``."""


async def answer_on(path: Path, states: Callable[[], dict[str, object]]) -> asyncio.Server:
    """Send each connection to a Unix socket one line, ``states()`` in JSON. Raises OSError.

    Only the user of this process may connect. A socket that a killed server left is replaced.
    """

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(states()).encode() + b"\n")
        with suppress(OSError):
            await writer.drain()
        writer.close()

    mask = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(answer, path)
    finally:
        os.umask(mask)


def notify(message: str) -> None:
    """Send the service manager a message of sd_notify(3); do nothing where none asked for them."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(message.encode(), socket.MSG_DONTWAIT, address)
