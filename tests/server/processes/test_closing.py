"""A listener that closes beside another on its port resets no connection."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from disrupt.server.processes import closing
from tests.server.caller import eventually

CLIENTS = 400
BACKLOG = 128
TIMEOUT_S = 60.0


@pytest.fixture
def listeners() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two listeners on a port, over which the kernel spreads connections."""
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        for each in (first, second):
            each.listen(BACKLOG)
        yield first, second


def answer_slowly(listener: socket.socket, word: bytes) -> None:
    """Take one connection after another, so that others wait in the queue."""
    with suppress(OSError):  # it is closed
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(word)
            time.sleep(0.002)


def connect(address: tuple[str, int]) -> bytes:
    try:
        with socket.create_connection(address, timeout=TIMEOUT_S) as connection:
            return connection.recv(1)
    except ConnectionError:
        return b"reset"


def connects(address: tuple[str, int], stack: ExitStack) -> bool:
    """Tell whether a connection is made before its first packet is sent again."""
    try:
        stack.enter_context(socket.create_connection(address, timeout=0.3))
    except TimeoutError:
        return False
    return True


def test_connections_reach_a_listener_or_the_other(
    listeners: tuple[socket.socket, socket.socket],
) -> None:
    first, second = listeners
    answering = [
        threading.Thread(target=answer_slowly, args=arguments, daemon=True)
        for arguments in ((first, b"1"), (second, b"2"))
    ]
    for thread in answering:
        thread.start()
    address = first.getsockname()
    with ThreadPoolExecutor(32) as threads:
        answers = [threads.submit(connect, address) for _ in range(CLIENTS)]
        while not any(answer.done() for answer in answers):
            time.sleep(0.001)
        asyncio.run(closing.run_these_empty([first.fileno()]))
        first.shutdown(socket.SHUT_RDWR)
        first.close()
        counts = Counter(answer.result() for answer in answers)
    assert {*counts} <= {b"1", b"2"}
    assert counts.total() == CLIENTS
    assert connect(address) == b"2"
    second.shutdown(socket.SHUT_RDWR)
    for thread in answering:  # which would take the connections of other tests
        thread.join()


def test_who_listens_alone_takes_those_that_came_and_nobody_after(
    listeners: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "_LONGEST_S", TIMEOUT_S)
    first, second = listeners
    second.close()
    address = first.getsockname()
    with ExitStack() as stack:
        stack.enter_context(socket.create_connection(address))
        emptied = threading.Thread(
            target=lambda: asyncio.run(closing.run_these_empty([first.fileno()])), daemon=True
        )
        emptied.start()
        eventually(lambda: not connects(address, stack))
        assert emptied.is_alive()
        first.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                stack.enter_context(first.accept()[0])
        emptied.join(TIMEOUT_S)
        assert not emptied.is_alive()


def test_only_listeners_of_tcp_that_share_their_port_are_closed_to_others() -> None:
    with ExitStack() as stack:
        shared = stack.enter_context(socket.create_server(("127.0.0.1", 0), reuse_port=True))
        alone = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        bound = stack.enter_context(socket.socket())
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", 0))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(f"\0disrupt-test-{os.getpid()}")  # a name that is no file
        unix.listen()
        connected = stack.enter_context(socket.create_connection(shared.getsockname()))
        others = [each.fileno() for each in (alone, bound, unix, connected)]
        reading, writing = os.pipe()
        try:
            assert closing._shares_its_port(shared.fileno())
            assert not any(map(closing._shares_its_port, (*others, reading, writing, 9999)))
        finally:
            os.close(reading)
            os.close(writing)


def test_looking_for_listeners_leaves_no_descriptor_and_no_filter_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as alone:
        asyncio.run(closing.run_empty())
        before = len([*Path("/proc/self/fd").iterdir()])
        asyncio.run(closing.run_empty())
        assert len([*Path("/proc/self/fd").iterdir()]) == before
        with socket.create_connection(alone.getsockname(), timeout=TIMEOUT_S):
            pass
