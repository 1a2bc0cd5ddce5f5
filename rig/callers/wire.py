"""HTTP/2 over a plain socket, for calls that begin a message and do not end it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RemoteSettingsChanged, StreamEnded, StreamReset
from h2.settings import SettingCodes

_WINDOW_MAX = 2**31 - 1


class Wire:
    """One connection. It obeys flow control, and reads only when asked to."""

    def __init__(self, address: str, *, window: int = _WINDOW_MAX) -> None:
        """Open a connection that takes ``window`` bytes of each answer."""
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), 60)
        self._h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: window})
        self._h2.increment_flow_control_window(_WINDOW_MAX - 65535)
        self._flush()
        self._calls: set[int] = set()
        self._is_settled = False
        """True once the server's settings are known, or the connection is over."""
        self.ended: set[int] = set()
        """Calls that the server has ended."""

    def begin(self, method: str, key: str | None, data: bytes = b"") -> int:
        """Begin a call, send as many bytes of it as there is room for, and return its number."""
        call = self._h2.get_next_available_stream_id()
        headers = [
            *((":method", "POST"), (":scheme", "http"), (":path", method), (":authority", "test")),
            *(("te", "trailers"), ("content-type", "application/grpc")),
            *([("authorization", f"Bearer {key}")] if key is not None else []),
        ]
        self._h2.send_headers(call, headers)
        self._calls.add(call)
        self.send(call, data)
        return call

    def send(self, call: int, data: bytes) -> int:
        """Send as many bytes as there is room for; return how many that were."""
        sent = 0
        while call not in self.ended:
            room = self._h2.local_flow_control_window(call)
            size = min(len(data) - sent, self._h2.max_outbound_frame_size, room)
            if size <= 0:
                break
            self._h2.send_data(call, data[sent : sent + size])
            self._flush()
            sent += size
        self._flush()
        return sent

    def read(self, seconds: float = 0.0) -> None:
        """Read what the server says within so long."""
        until_s = time.monotonic() + seconds
        while select.select([self._socket], [], [], max(0.0, until_s - time.monotonic()))[0]:
            data = self._socket.recv(1 << 20)
            if not data:
                self.ended.update(self._calls)
                self._is_settled = True
                return
            for event in self._h2.receive_data(data):
                if isinstance(event, StreamEnded | StreamReset):
                    self.ended.add(event.stream_id or 0)
                elif isinstance(event, RemoteSettingsChanged):
                    self._is_settled = True
            self._flush()

    def settle(self) -> None:
        """Read until the server's settings are known."""
        self.until(lambda: self._is_settled)

    def until(self, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        """Read until something holds."""
        give_up_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < give_up_s
            self.read(0.05)

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())


def begun(size_bytes: int, data: bytes = b"") -> bytes:
    """Return the beginning of a message of ``size_bytes``."""
    return b"\0" + size_bytes.to_bytes(4) + data
