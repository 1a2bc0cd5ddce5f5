"""A relay on a real socket that loses the answers to calls that name a case."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rig.faults.relay import Ends, Relay

_CASE_NUMBER = re.compile(rb"[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{3}")


class Losing(Relay):
    """Pass connections on without the answers after a request that names a case.

    ``asked`` is set when such a request was passed on.
    """

    def __init__(self, port: int) -> None:
        self.asked = threading.Event()
        self._loses = True
        self._losing: set[Ends] = set()
        super().__init__(port)

    def heal(self) -> None:
        """End the connections that lost answers. Answers on later ones are passed on."""
        self._loses = False
        self.cut()

    def _pass(self, data: bytes, target: socket.socket, pair: Ends) -> None:
        client, server = pair
        if target is client and pair in self._losing:
            return
        names_a_case = target is server and _CASE_NUMBER.search(data)
        if names_a_case and self._loses:
            self._losing.add(pair)
        super()._pass(data, target, pair)
        if names_a_case:
            self.asked.set()


@contextmanager
def losing_answers(server: str) -> Iterator[Losing]:
    """Yield a relay in front of ``server``, HOST:PORT of loopback."""
    relay = Losing(int(server.rpartition(":")[2]))
    try:
        yield relay
    finally:
        relay.close()
