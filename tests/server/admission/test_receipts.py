"""What is known of messages that are under way, from what their connections have brought."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.errors import DisruptError, LimitExceededError, OverloadedError
from disrupt.server.admission import receipts
from disrupt.server.admission.receipts import Receipt, Receipts
from disrupt.server.admission.shares import Admission, Board, Resource
from disrupt.server.admission.sockets import Sockets

MB = 10**6
PEER = "ipv4:127.0.0.1:1"


class Connection:
    """One connection, on which messages are waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.received_bytes: int | None = 0
        self.asked = 0
        self.clock_s = 0.0
        monkeypatch.setattr(Sockets, "received_bytes", self.ask)
        admission = Admission(Board(1), 0, dict.fromkeys(Resource, 100 * MB), lambda _: 0)
        self.receipts = Receipts(admission)
        self.holder = admission.holder("key")

    def ask(self, *_: object) -> int | None:
        self.asked += 1
        return self.received_bytes

    def look(self) -> None:
        self.clock_s += 1
        self.receipts.look(asyncio.get_running_loop().time() + self.clock_s)

    def begin(self, most_bytes: int) -> asyncio.Task[DisruptError | None]:
        async def wait() -> DisruptError | None:
            try:
                with Receipt(self.receipts, PEER, self.holder, most_bytes=most_bytes, within_s=60):
                    await asyncio.Event().wait()
            except DisruptError as error:
                return error
            return None

        return asyncio.create_task(wait())


def played(play: Callable[[Connection], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    return asyncio.run(play(Connection(monkeypatch)))


def test_bytes_of_an_abandoned_message_are_not_charged_to_a_waiting_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> bool:
        waits = connection.begin(MB)
        given_up = connection.begin(30 * MB)
        await asyncio.sleep(0)
        connection.look()
        connection.received_bytes = 20 * MB
        connection.look()
        given_up.cancel()
        await asyncio.wait([given_up])
        connection.look()
        await asyncio.sleep(0)
        return waits.done()

    assert played(play, monkeypatch) is False


def test_of_several_messages_that_are_too_large_together_the_youngest_ends_and_may_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> tuple[bool, DisruptError | None]:
        first, second = connection.begin(MB), connection.begin(MB)
        await asyncio.sleep(0)
        connection.look()
        connection.received_bytes = 3 * MB
        connection.look()
        return first.done(), await second

    ended, error = played(play, monkeypatch)
    assert not ended
    assert type(error) is OverloadedError


def test_a_message_that_is_alone_and_too_large_is_told_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> DisruptError | None:
        message = connection.begin(MB)
        await asyncio.sleep(0)
        connection.look()
        connection.received_bytes = 3 * MB
        connection.look()
        return await message

    error = played(play, monkeypatch)
    assert type(error) is LimitExceededError
    assert str(MB) in str(error)


def test_the_largest_message_that_fits_is_awaited_though_framing_comes_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> bool:
        message = connection.begin(100 * MB)
        await asyncio.sleep(0)
        connection.look()
        connection.received_bytes = 100 * MB + 60_000  # 9 bytes a frame of 16 KiB
        connection.look()
        await asyncio.sleep(0)
        return message.done()

    assert played(play, monkeypatch) is False


def test_what_a_connection_brought_before_a_message_began_is_not_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> bool:
        connection.received_bytes = 1000 * MB
        message = connection.begin(MB)
        await asyncio.sleep(0)
        connection.look()
        await asyncio.sleep(0)
        return message.done()

    assert played(play, monkeypatch) is False


def test_what_a_new_connection_brought_before_it_was_known_is_of_its_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> DisruptError | None:
        connection.received_bytes = None
        message = connection.begin(MB)
        await asyncio.sleep(0)
        connection.look()
        connection.received_bytes = 3 * MB
        connection.look()
        return await message

    assert type(played(play, monkeypatch)) is LimitExceededError


def test_whole_messages_of_a_connection_that_was_not_known_yet_are_not_of_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> bool:
        connection.received_bytes = None
        for _ in range(3):
            with Receipt(
                connection.receipts, PEER, connection.holder, most_bytes=MB, within_s=60
            ) as receipt:
                receipt.received(MB)
        message = connection.begin(MB)
        await asyncio.sleep(0)
        connection.look()
        connection.received_bytes = 3 * MB + 1000
        connection.look()
        await asyncio.sleep(0)
        return message.done()

    assert played(play, monkeypatch) is False


def test_whole_messages_are_not_of_the_next_though_nobody_looked_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> bool:
        with Receipt(
            connection.receipts, PEER, connection.holder, most_bytes=MB, within_s=60
        ) as receipt:
            connection.look()
            receipt.received(MB)  # its bytes came after that look
        message = connection.begin(MB)
        await asyncio.sleep(0)
        connection.received_bytes = MB + MB + 1000
        connection.look()
        await asyncio.sleep(0)
        return message.done()

    assert played(play, monkeypatch) is False


def test_messages_that_bring_less_than_estimated_hide_nothing_of_later_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> DisruptError | None:
        for _ in range(20_000):  # estimated at 1 KiB each, 20 MB
            with Receipt(
                connection.receipts, PEER, connection.holder, most_bytes=MB, within_s=60
            ) as receipt:
                receipt.received(0)
        message = connection.begin(MB)
        await asyncio.sleep(0)
        connection.look()
        connection.received_bytes = 3 * MB
        connection.look()
        return await message

    assert type(played(play, monkeypatch)) is LimitExceededError


@pytest.mark.parametrize("ends", ["given up", "ended"])
def test_a_message_cannot_hide_behind_messages_that_end(
    ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play(connection: Connection) -> DisruptError | None:
        large = connection.begin(300 * MB)
        await asyncio.sleep(0)
        for _ in range(100):
            small = [connection.begin(MB) for _ in range(3)]
            await asyncio.sleep(0)
            assert connection.received_bytes is not None
            connection.received_bytes += 4 * MB  # all of it for the large one
            connection.look()
            if ends == "given up":
                for message in small:
                    message.cancel()
            await asyncio.sleep(0)
            if large.done():
                break
        return await asyncio.wait_for(large, 1)

    assert type(played(play, monkeypatch)) is OverloadedError


_KINDS = ("begin", "bring", "bring", "whole", "give up")


@given(
    st.lists(
        st.tuples(st.sampled_from(_KINDS), st.integers(0, 3), st.integers(1, 20), st.booleans()),
        min_size=5,
        max_size=30,
    )
)
def test_messages_never_hold_more_than_is_counted(events: list[tuple[str, int, int, bool]]) -> None:
    """The model knows what came for each message; the connection only the sum."""

    async def play() -> None:
        admission = Admission(Board(1), 0, dict.fromkeys(Resource, 100 * MB), lambda _: 0)
        receipts = Receipts(admission)
        came: dict[Receipt, int] = {}
        received_bytes = 0
        connection = receipts.connection(PEER, 0)
        for kind, number, size_mb, looks in events:
            if kind == "begin" or not came:
                most_bytes = 3 * size_mb * MB
                receipt = Receipt(
                    receipts, PEER, admission.holder("key"), most_bytes=most_bytes, within_s=60
                )
                came[receipt.__enter__()] = 0
                continue
            receipt = list(came)[number % len(came)]
            if kind == "bring":
                brought = min(size_mb * MB, receipt.most_bytes - came[receipt])
                came[receipt] += brought
                received_bytes += brought
            elif kind == "whole":
                size_bytes = came.pop(receipt)
                received_bytes += size_bytes // 256 + 1024  # framing, and the call itself
                receipt.received(size_bytes)
                receipt.__exit__(None, None, None)
            else:
                del came[receipt]
                receipt.__exit__(KeyError, None, None)
            if looks:
                connection.look(received_bytes, 0)
                assert sum(came.values()) <= connection.held_bytes <= connection.brought_bytes

    asyncio.run(play())


def test_a_connection_that_brings_nothing_is_asked_about_less_often_and_again_once_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(connection: Connection) -> tuple[int, DisruptError | None]:
        message = connection.begin(MB)
        await asyncio.sleep(0)
        now_s = asyncio.get_running_loop().time()
        for tick in range(2, 202):  # a second
            connection.receipts.look(now_s + tick * 0.005)
        asked = connection.asked
        connection.received_bytes = 3 * MB
        for tick in range(202, 213):
            connection.receipts.look(now_s + tick * 0.005)
        return asked, await message

    asked, error = played(play, monkeypatch)
    assert asked <= 25
    assert type(error) is LimitExceededError


def test_messages_are_watched_from_the_first_on_and_nothing_while_there_are_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers: list[float] = []

    async def sleep(seconds: float) -> None:
        timers.append(seconds)
        await pause(seconds)

    async def play(connection: Connection) -> None:
        looks: list[float] = []
        monkeypatch.setattr(connection.receipts, "look", looks.append)
        watch = asyncio.create_task(connection.receipts.watch())
        for _ in range(2):
            looks.clear()
            timers.clear()
            await pause(0.2)
            assert len(timers) <= 1
            message = connection.begin(MB)
            async with asyncio.timeout(60):
                while len(looks) < 3:
                    await pause(0.01)
            message.cancel()
            with pytest.raises(asyncio.CancelledError):
                await message
        watch.cancel()

    pause = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(receipts, "_FORGET_S", 3600.0)
    played(play, monkeypatch)
