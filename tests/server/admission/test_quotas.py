"""What an organisation takes over time, of all workers, against one clocked queue and by hand."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from structlog.testing import capture_logs

from disrupt.core.organisations import NO_LIMIT, Kind, Organisation
from disrupt.errors import QuotaExceededError, UsedQuota
from disrupt.server.admission.quotas import BURST_NS, Meter, Meters
from disrupt.server.admission.shares import Admission, Board, Resource

ROWS = 3
NS = 10**9


class Machine(RuleBasedStateMachine):
    """Three workers, one of which may be replaced at any time, against a queue that all share.

    The queue is the textbook's: the time at which all that was let in has been served.
    """

    @initialize(rate=st.sampled_from([0.5, 1, 8, 1000]), began_s=st.integers(0, 10**6))
    def begin(self, rate: float, began_s: int) -> None:
        self.rate = rate
        self.now_ns = self.served_ns = began_s * NS
        self.figures = Meters(4, ROWS).figures(2, Kind.PICTURES)
        self.workers = [self.worker(row) for row in range(ROWS)]

    def worker(self, row: int) -> Meter:
        return Meter(self.figures, row, "o", Kind.PICTURES, self.rate, lambda: self.now_ns)

    @rule(seconds=st.sampled_from([0, 0.001, 0.25, 1, 9, 10, 11, 500]))
    def wait(self, seconds: float) -> None:
        self.now_ns += round(seconds * NS)

    @rule(row=st.integers(0, ROWS - 1), amount=st.sampled_from([1, 4, 10, 5000]))
    def take(self, row: int, amount: int) -> None:
        owed_ns = max(0, self.served_ns - self.now_ns)
        meter = self.workers[row]
        if owed_ns <= BURST_NS:
            meter.check()
            meter.charge(amount)
            self.served_ns = self.now_ns + owed_ns + round(amount * NS / self.rate)
        else:
            with pytest.raises(QuotaExceededError) as refused:
                meter.check()
            wait_s = (owed_ns - BURST_NS) / NS
            assert wait_s <= (refused.value.retry_after_s or 0) <= wait_s + 0.001

    @rule(row=st.integers(0, ROWS - 1))
    def replace(self, row: int) -> None:
        self.workers[row] = self.worker(row)


TestMachine = Machine.TestCase
TestMachine.settings = settings(stateful_step_count=40)


def test_forked_workers_share_a_quota() -> None:
    meters = Meters(2, 2)
    mine, theirs = (
        Meter(meters.figures(1, Kind.HASHES), row, "o", Kind.HASHES, 1.0, lambda: NS)
        for row in range(2)
    )
    child = os.fork()
    if not child:
        theirs.check()
        theirs.charge(11)
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(QuotaExceededError) as refused:
        mine.check()
    assert refused.value.retry_after_s == 1


@pytest.mark.parametrize("rate", [1e-9, 1e-300])
def test_the_least_rate_is_one_that_is_used_up_for_ever(rate: float) -> None:
    figures = Meters(1, 1).figures(0, Kind.HASHES)
    meter = Meter(figures, 0, "o", Kind.HASHES, rate, lambda: NS)
    for _ in range(9):
        meter.charge(10_000)
    with pytest.raises(QuotaExceededError):
        meter.check()


def admission(organisations: dict[str, Organisation], rates: dict[Kind, float]) -> Admission:
    return Admission(
        Board(1),
        0,
        dict.fromkeys(Resource, 10),
        {"a": 0, "b": 1}.__getitem__,
        lambda name: organisations.get(name) or Organisation(name),
        rates,
    )


def taken(worker: Admission, name: str, kind: Kind) -> int:
    """Take one after the other until that is refused, at most 100; return how many."""
    for count in range(100):
        try:
            worker.holder(name).check_quota(kind)
        except QuotaExceededError:
            return count
        worker.holder(name).charge(kind, 1)
    return 100


def test_an_organisation_has_its_own_quota_or_that_of_everybody() -> None:
    own = {"a": Organisation("a", {Kind.HASHES: 2, Kind.PICTURES: NO_LIMIT})}
    worker = admission(own, {Kind.HASHES: 1, Kind.PICTURES: 1})
    assert 21 <= taken(worker, "a", Kind.HASHES) <= 25
    assert 11 <= taken(worker, "b", Kind.HASHES) <= 13
    assert taken(worker, "a", Kind.PICTURES) == 100
    assert 11 <= taken(worker, "b", Kind.PICTURES) <= 13
    assert taken(worker, "b", Kind.VIDEO_MIB) == 100


def test_a_change_of_quotas_holds_for_calls_that_are_open() -> None:
    organisations: dict[str, Organisation] = {}
    worker = admission(organisations, {})
    holder = worker.holder("a")
    assert taken(worker, "a", Kind.HASHES) == 100
    organisations["a"] = Organisation("a", {Kind.HASHES: 0.001}, "cn")
    worker.refresh()
    assert worker.holder("a") is holder
    assert holder.certificate == "cn"
    assert taken(worker, "a", Kind.HASHES) == 1
    del organisations["a"]
    worker.refresh()
    assert taken(worker, "a", Kind.HASHES) == 100


def test_a_caller_whose_number_changes_gets_a_new_place_and_gives_back_in_the_old_one() -> None:
    numbers = {"a": 0}
    worker = Admission(Board(1), 0, dict.fromkeys(Resource, 10), numbers.__getitem__)
    old = worker.holder("a")
    old.take(Resource.CALLS)
    numbers["a"] = 5
    worker.refresh()
    assert worker.holder("a") is not old
    assert worker.board.total(old.place, Resource.CALLS) == 1
    old.give_back(Resource.CALLS)
    assert (worker.board.figures == 0).all()
    del numbers["a"]
    worker.refresh()
    with pytest.raises(KeyError):
        worker.holder("a")


def test_a_refusal_names_the_organisation_and_the_limit_and_is_logged_once_a_minute() -> None:
    now_s = [0]
    figures = Meters(1, 1).figures(0, Kind.HASHES)
    meter = Meter(figures, 0, "some platform", Kind.HASHES, 2.5, lambda: now_s[0] * NS)
    meter.charge(1000)
    with capture_logs() as logs:
        for now_s[0] in (0, 59, 60):
            with pytest.raises(QuotaExceededError, match=r"2\.5 hashes looked up a sec") as refused:
                meter.check()
    assert refused.value.quotas == (
        UsedQuota("organisation:some platform", "2.5 hashes looked up a second"),
    )
    assert [(line["event"], line["organisation"]) for line in logs] == [
        ("quota_used_up", "some platform")
    ] * 2
