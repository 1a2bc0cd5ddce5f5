"""A proxy on a real socket that keeps every byte that it passes on."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Recording:
    """The bytes that clients sent to the server."""

    address: str
    sent: bytearray = field(default_factory=bytearray)


def _pass_on(source: socket.socket, target: socket.socket, kept: bytearray | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if kept is not None:
                kept += data
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def recording(server: str) -> Iterator[Recording]:
    """Run a proxy in front of ``server``, HOST:PORT."""
    host, _, port = server.rpartition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    recorded = Recording(f"127.0.0.1:{listener.getsockname()[1]}")
    open_sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                upstream = socket.create_connection((host, int(port)))
                open_sockets.extend((client, upstream))
                for arguments in ((client, upstream, recorded.sent), (upstream, client, None)):
                    threads.append(threading.Thread(target=_pass_on, args=arguments))
                    threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield recorded
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for open_socket in open_sockets:
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for open_socket in open_sockets:
            open_socket.close()
