"""Places are shared fairly, and a ticket keeps a place in the line."""

from __future__ import annotations

import asyncio

import pytest

from disrupt.errors import OverloadedError
from disrupt.web import turns
from disrupt.web.tickets import Tickets
from disrupt.web.turns import NoTurnError, Place, Shares, Turns


class Line:
    """Requests that wait for turns, and the order in which they had them."""

    def __init__(self, places: int) -> None:
        self.turns = Turns(places)
        self.served: list[str] = []
        self._leave = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def ask(self, origin: str, name: str, place: Place | None = None) -> asyncio.Task[None]:
        task = asyncio.create_task(self._hold(origin.encode(), name, place))
        self._tasks.append(task)
        return task

    def replay(self, origin: str, place: Place, copies: int) -> None:
        for number in range(copies):
            self.ask(origin, f"{origin}{number}", place)

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def finish(self) -> None:
        self._leave.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hold(self, origin: bytes, name: str, place: Place | None) -> None:
        async with self.turns.turn(origin, place):
            self.served.append(name)
            await self._leave.wait()


def test_an_origin_alone_gets_half_and_another_comes_at_once() -> None:
    async def scenario() -> None:
        line = Line(8)
        for number in range(20):
            line.ask("a", f"a{number}")
        await line.settle()
        assert line.served == ["a0", "a1", "a2", "a3"]
        line.ask("b", "b0")
        await line.settle()
        assert line.served[4:] == ["b0"]
        await line.finish()

    asyncio.run(scenario())


def test_who_waits_for_a_first_turn_comes_before_the_second_of_anybody() -> None:
    async def scenario() -> None:
        line = Line(2)
        for number in range(10):
            line.ask("a", f"a{number}")
        line.ask("b", "b0")
        await line.settle()
        for name in "cde":
            line.ask(name, f"{name}0")
        await line.settle()
        assert line.served == ["a0", "b0"]
        await line.finish()
        assert line.served[2:5] == ["c0", "d0", "e0"]
        assert line.served[5:] == [f"a{number}" for number in range(1, 10)]

    asyncio.run(scenario())


def test_nobody_waits_behind_many_requests_of_many_origins_longer_than_a_turn_of_each() -> None:
    async def scenario() -> None:
        line = Line(2)
        line.ask("x", "first")
        line.ask("y", "second")
        await line.settle()
        for origin in range(20):
            for number in range(10):
                line.ask(f"o{origin}", f"o{origin}-{number}")
        line.ask("honest", "honest")
        await line.settle()
        await line.finish()
        assert line.served.index("honest") <= 2 + 20

    asyncio.run(scenario())


def test_a_request_that_gives_up_leaves_its_place_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        line = Line(1)
        line.ask("a", "a0")
        await line.settle()
        monkeypatch.setattr(turns, "WAIT_S", 0.0)
        with pytest.raises(NoTurnError):
            await line.ask("b", "b0")
        monkeypatch.setattr(turns, "WAIT_S", 60.0)
        cancelled = line.ask("c", "c0")
        line.ask("d", "d0")
        await line.settle()
        cancelled.cancel()
        await line.finish()
        assert line.served == ["a0", "d0"]

    asyncio.run(scenario())


def test_a_request_that_is_cancelled_when_it_is_called_gives_its_place_back() -> None:
    async def scenario() -> None:
        line = Line(1)
        line.ask("a", "a0")
        second = line.ask("b", "b0")
        line.ask("c", "c0")
        await line.settle()
        line._leave.set()
        line._leave = asyncio.Event()
        await asyncio.sleep(0)  # a0 leaves and calls b0, which has not run yet
        second.cancel()
        await line.settle()
        assert line.served[0] == "a0"
        assert "c0" in line.served
        await line.finish()

    asyncio.run(scenario())


def test_a_request_that_is_cancelled_just_before_its_turn_is_passed_over() -> None:
    async def scenario() -> None:
        line = Line(1)
        line.ask("a", "a0")
        second = line.ask("b", "b0")
        line.ask("c", "c0")
        await line.settle()
        line._leave.set()
        second.cancel()
        await line.settle()
        assert line.served == ["a0", "c0"]
        await line.finish()

    asyncio.run(scenario())


def test_a_full_line_sends_away_whoever_is_last_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "WAITING_MAX", 3)

    async def scenario() -> None:
        line = Line(1)
        line.ask("a", "a0")
        await line.settle()
        flood = [line.ask("b", f"b{number}") for number in range(4)]
        await line.settle()
        assert isinstance(flood[3].exception(), NoTurnError)
        line.ask("c", "c0")
        await line.settle()
        assert isinstance(flood[2].exception(), NoTurnError)
        await line.finish()
        assert line.served == ["a0", "b0", "c0", "b1"]

    asyncio.run(scenario())


def test_a_place_that_was_kept_is_before_those_who_came_later() -> None:
    async def scenario() -> None:
        line = Line(1)
        line.ask("a", "a0")
        kept = line.turns.place(b"b")
        await line.settle()
        for origin in "cdef":
            line.ask(origin, origin)
        line.ask("b", "b", kept)
        await line.settle()
        await line.finish()
        assert line.served == ["a0", "b", "c", "d", "e", "f"]

    asyncio.run(scenario())


def test_copies_of_one_ticket_keep_no_newcomer_out() -> None:
    async def scenario() -> None:
        line = Line(4)
        early = {origin: line.turns.place(origin.encode()) for origin in "abc"}
        line.ask("x", "x")
        for origin, place in early.items():
            line.replay(origin, place, 600)
        await line.settle()
        line.ask("newcomer", "newcomer")
        await line.settle()
        await line.finish()
        assert line.served.index("newcomer") <= 8

    asyncio.run(scenario())


def test_many_tickets_of_one_round_give_an_origin_one_turn_in_it() -> None:
    async def scenario() -> None:
        line = Line(2)
        hoard = [line.turns.place(b"a") for _ in range(600)]
        line.ask("x", "x")
        line.ask("y", "y")
        await line.settle()
        for number, place in enumerate(hoard):
            line.ask("a", f"a{number}", place)
        line.ask("newcomer", "newcomer")
        await line.settle()
        await line.finish()
        assert line.served[:4] == ["x", "y", "a0", "newcomer"]

    asyncio.run(scenario())


def test_a_place_counts_once_while_it_waits_and_after_its_turn() -> None:
    async def scenario() -> None:
        line = Line(1)
        kept = line.turns.place(b"a")
        assert line.turns.place(b"a", kept) == kept
        line.ask("a", "first", kept)
        await line.settle()
        assert line.turns.place(b"a", kept) != kept
        waiting = line.turns.place(b"a")
        line.ask("a", "second", waiting)
        await line.settle()
        assert line.turns.place(b"a", waiting) != waiting
        await line.finish()
        assert line.turns.place(b"a", waiting) != waiting

    asyncio.run(scenario())


def test_a_full_line_keeps_nobody_from_a_place_that_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "WAITING_MAX", 3)

    async def scenario() -> None:
        line = Line(8)
        early = [line.turns.place(b"a") for _ in range(7)]
        line.ask("c", "c0")
        for place in early:
            line.ask("a", "a", place)
        await line.settle()
        line.turns._round += 100  # the places of all who wait are lower than a newcomer's
        line.ask("b", "b0")
        await line.settle()
        assert line.served == ["c0", "a", "a", "a", "b0"]
        await line.finish()

    asyncio.run(scenario())


def test_what_is_remembered_of_turns_ends_with_the_tickets() -> None:
    now_s = 0.0

    async def scenario() -> None:
        nonlocal now_s
        places = Turns(4, lambda: now_s)
        for number in range(50):
            now_s += 100.0
            async with places.turn(str(number).encode()):
                pass
        assert len(places._had_turns._entries) < 9
        assert len(places._last_round._entries) < 9

    asyncio.run(scenario())


def test_what_left_the_line_delays_nobody_of_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        line = Line(1)
        line.ask("a", "a0")
        await line.settle()
        monkeypatch.setattr(turns, "WAIT_S", 0.0)
        for number in range(100):
            line.ask("b", f"b{number}")
        await asyncio.gather(*line._tasks[1:], return_exceptions=True)
        monkeypatch.setattr(turns, "WAIT_S", 60.0)
        line.ask("b", "neighbour")
        line.ask("c", "c0")
        await line.settle()
        await line.finish()
        assert line.served == ["a0", "neighbour", "c0"]
        assert not line.turns._waiting

    asyncio.run(scenario())


def test_a_share_is_at_most_what_it_leaves_free_unless_it_is_the_first() -> None:
    shares = Shares(100)
    with shares.growing(b"a") as a, shares.growing(b"b") as b, shares.growing(b"c") as c:
        a(90)
        with pytest.raises(OverloadedError):
            a(5)
        b(10)
        with pytest.raises(OverloadedError):
            c(1)
    with shares.growing(b"a") as a, shares.growing(b"a") as more:
        a(50)
        with pytest.raises(OverloadedError):
            more(1)
    assert shares.free == 100
    assert not shares.held


def test_a_ticket_is_for_one_origin_one_body_and_a_while() -> None:
    now_s = 1000.0
    tickets = Tickets(lambda: now_s)
    place = Place(7, 42, 1600)
    ticket = tickets.seal(place, b"origin", bytes(32))
    assert tickets.open(ticket, b"origin", bytes(32)) == place
    assert tickets.open(ticket, b"other", bytes(32)) is None
    assert tickets.open(ticket, b"origin", b"\x01" * 32) is None
    now_s += 300.0
    assert tickets.open(tickets.seal(place, b"origin", bytes(32)), b"origin", bytes(32)) == place
    assert Tickets(lambda: now_s).open(ticket, b"origin", bytes(32)) is None
    now_s += 301.0
    for text in (ticket, tickets.seal(place, b"origin", bytes(32))):
        assert tickets.open(text, b"origin", bytes(32)) is None


@pytest.mark.parametrize("text", ["", "x", "AAAA", "é", "A" * 76, "A" * 75, "=" * 76])
def test_what_is_no_ticket_is_void(text: str) -> None:
    assert Tickets().open(text, b"origin", bytes(32)) is None


def test_a_changed_ticket_is_void() -> None:
    tickets = Tickets()
    ticket = tickets.seal(Place(1, 2, 2**40), b"origin", bytes(32))
    for at in range(len(ticket) - 2):  # of the last character, some bits say nothing
        other = "A" if ticket[at] != "A" else "B"
        changed = ticket[:at] + other + ticket[at + 1 :]
        assert tickets.open(changed, b"origin", bytes(32)) is None
