"""A proxy on a real socket that loses the answers to calls that name a case."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

_CASE_NUMBER = re.compile(rb"[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{3}")


class Losing:
    """Pass connections on to ``server``, without the answers after a request that names a case.

    ``asked`` is set when such a request was passed on.
    """

    def __init__(self, listener: socket.socket, server: str) -> None:
        host, _, port = server.rpartition(":")
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self.asked = threading.Event()
        self._server = (host, int(port))
        self._listener = listener
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._loses = True

    def heal(self) -> None:
        """End the connections that lost answers. Answers on later ones are passed on."""
        with self._lock:
            self._loses = False
            self.end_connections()

    def end_connections(self) -> None:
        """End all connections."""
        _end(*self._sockets)

    def close(self) -> None:
        """End all connections and threads. Close the listener first."""
        self.end_connections()
        for thread in self._threads:
            thread.join()
        for open_socket in self._sockets:
            open_socket.close()

    def accept(self) -> None:
        """Pass connections on until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    try:
                        server = socket.create_connection(self._server)
                    except OSError:  # no server is listening
                        client.close()
                        continue
                    self._sockets += [client, server]
                    losing = threading.Event()
                    loses = self._loses
                ways = (
                    (self._pass_requests, (client, server, losing if loses else None)),
                    (_pass_answers, (server, client, losing)),
                )
                for way, arguments in ways:
                    self._threads.append(threading.Thread(target=way, args=arguments))
                    self._threads[-1].start()

    def _pass_requests(
        self, client: socket.socket, server: socket.socket, losing: threading.Event | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                names_a_case = _CASE_NUMBER.search(data)
                if names_a_case and losing:
                    losing.set()
                server.sendall(data)
                if names_a_case:
                    self.asked.set()
        _end(client, server)


def _pass_answers(server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(65536):
            if not losing.is_set():
                client.sendall(data)
    _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for open_socket in sockets:
        with contextlib.suppress(OSError):
            open_socket.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def losing_answers(server: str) -> Iterator[Losing]:
    """Yield a proxy in front of ``server``, HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Losing(listener, server)
        accepting = threading.Thread(target=proxy.accept)
        accepting.start()
        try:
            yield proxy
        finally:
            _end(listener)
            accepting.join()
            proxy.close()
