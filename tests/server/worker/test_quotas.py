"""What an organisation looks up in a minute and a day is bounded over all workers."""

from __future__ import annotations

import json
import math
import os
import secrets
from collections.abc import Iterator

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.client import MatchClient
from disrupt.core.policy import LookupQuota
from disrupt.errors import LimitExceededError, QuotaExceededError
from disrupt.server.metrics.families import QUOTA_LEFT, Family
from disrupt.server.metrics.rows import Row, Rows
from disrupt.server.worker.quotas import LookupQuotas
from disrupt.services.keys import KeyRing
from disrupt.v1 import match_pb2
from rig.callers.acts import registered
from rig.callers.caller import calling, lookup, outcome, refusal, register
from rig.callers.shell import typed
from rig.processes.metrics import samples
from rig.servers.deployment import Deployment, Start
from rig.waiting import eventually

WORKERS = ("worker 1", "worker 2", "worker 3")
DAY_S = 86_400
NOON_S = 20_000 * DAY_S + DAY_S // 2


@pytest.fixture(autouse=True)
def own_row() -> Iterator[None]:
    yield
    Family.use(Row())


class Workers:
    """Workers with rows in one memory, and a clock."""

    def __init__(self, *quotas: LookupQuota) -> None:
        self.now_s = float(NOON_S)
        self.rows = Rows(["supervisor", *WORKERS])
        self.quotas = quotas
        self._made: dict[str, LookupQuotas] = {}
        for _ in range(2):  # the first time, not all have counts yet
            for worker in WORKERS:
                self.on(worker)

    def on(self, worker: str) -> LookupQuotas:
        """Return the quotas as a worker sees them, once it has looked."""
        Family.use(self.rows.of(worker), self.rows)
        quotas = self._made.setdefault(worker, LookupQuotas(lambda: self.now_s))
        quotas.follow(KeyRing(quotas=self.quotas, day=""))
        return quotas

    def restart(self, worker: str) -> None:
        """Let another process take the place of a worker."""
        del self._made[worker]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(WORKERS),
            st.integers(1, 7),
            st.sampled_from([0.0, 1.0, 59.5, 60.0, 3600.0, 86_400.0]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_all_workers_together_let_in_what_fits_into_the_minute_and_the_day(
    asked: list[tuple[str, int, float, bool]],
) -> None:
    workers = Workers(LookupQuota("a", 5, 12))
    minutes, days = dict[float, int](), dict[float, int]()
    for worker, amount, pause_s, dies in asked:
        workers.now_s += pause_s
        minute, day = workers.now_s // 60, workers.now_s // DAY_S
        quotas = workers.on(worker)
        fits = minutes.get(minute, 0) + amount <= 5 and days.get(day, 0) + amount <= 12
        if amount > 5:
            with pytest.raises(LimitExceededError):
                quotas.take("a", amount)
        elif fits:
            quotas.take("a", amount)
            minutes[minute] = minutes.get(minute, 0) + amount
            days[day] = days.get(day, 0) + amount
        else:
            with pytest.raises(QuotaExceededError) as refused:
                quotas.take("a", amount)
            wait_s = refused.value.retry_after_s or 0.0
            workers.now_s += wait_s
            assert workers.now_s % 60 == 0  # another minute, or another day
        if dies:
            workers.restart(worker)


def test_a_refusal_says_when_the_day_is_over_if_that_is_what_is_used_up() -> None:
    workers = Workers(LookupQuota("a", 0, 2), LookupQuota("b", 2, 0))
    for name, wait_s in (("a", DAY_S / 2), ("b", 60)):
        workers.on("worker 1").take(name, 2)
        with pytest.raises(QuotaExceededError) as refused:
            workers.on("worker 2").take(name)
        assert refused.value.retry_after_s == wait_s
        assert refused.value.metadata["organisation"] == name


def test_an_organisation_without_a_quota_may_look_up_as_much_as_it_likes() -> None:
    quotas = Workers(LookupQuota("a", 1, 1)).on("worker 1")
    for _ in range(3):
        quotas.take("b", 10_000)
        quotas.give_back("b", 10_000)


def test_what_is_given_back_may_be_taken_again() -> None:
    workers = Workers(LookupQuota("a", 2, 2))
    workers.on("worker 1").take("a", 2)
    workers.on("worker 1").give_back("a", 2)
    workers.on("worker 2").take("a", 2)


def test_a_quota_that_is_changed_counts_what_was_looked_up_before() -> None:
    workers = Workers(LookupQuota("a", 5, 0))
    workers.on("worker 1").take("a", 5)
    workers.quotas = (LookupQuota("a", 7, 0),)
    workers.on("worker 2").take("a", 2)
    with pytest.raises(QuotaExceededError):
        workers.on("worker 2").take("a")
    workers.quotas = ()
    workers.on("worker 2").take("a", 100)


def test_forked_workers_share_a_quota() -> None:
    workers = Workers(LookupQuota("a", 3, 0))
    child = os.fork()
    if not child:
        workers.on("worker 1").take("a", 3)
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(QuotaExceededError):
        workers.on("worker 2").take("a")


def test_the_metric_says_what_is_left_and_hides_a_quota_that_is_no_more() -> None:
    workers = Workers(LookupQuota("a", 5, 0))
    workers.on("worker 2").take("a", 3)
    quotas = workers.on("worker 1")

    def left() -> list[float]:
        quotas.show()
        name = f'["{QUOTA_LEFT.name}", "a", "minute"]'
        return dict(workers.rows.of("worker 1").read())[name]

    assert left() == [2.0]
    workers.quotas = ()
    workers.on("worker 1")
    assert math.isnan(left()[0])


def command(server: Deployment, *words: str) -> str:
    """Run a command of `disrupt keys`; return what it prints."""
    done = typed("keys", *words, "--data-dir", server.data_dir)
    assert done.code == 0, done.err
    return done.out


def test_the_keys_of_an_organisation_share_its_quota_over_all_workers(start: Start) -> None:
    server = start(workers=2)
    words = ("--right", "match", "--right", "register", "--organisation", "platform")
    one, two = (command(server, "create", name, *words).split()[-1] for name in ("one", "two"))

    def left() -> list[float]:
        """Return what the workers say is left."""
        name = "disrupt_quota_left"
        return [sample.value for sample in samples(server.metrics_address(), name)]

    command(server, "quota", "platform", "--per-minute", "0", "--per-day", "9")
    assert "Quota of platform: 9 a day." in command(server, "list")
    eventually(lambda: left() == [9.0, 9.0])
    codes = []
    for key in (one, two) * 4:
        with calling(server.address, key) as caller:
            codes.append(outcome(lambda: caller("MatchHashes", lookup(bytes(32), bytes(32)))))
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert codes == [grpc.StatusCode.OK] * 4 + [exhausted] * 4
    with calling(server.address, two) as caller:
        caller("MatchHashes", lookup(bytes(32)))  # the last one
        picture = match_pb2.MatchImageRequest(image=b"not even a picture")
        refused = refusal(lambda: caller("MatchImage", picture))
        assert (refused.code, refused.reason) == (exhausted, "QUOTA_EXCEEDED")
        assert refused.quotas == (("organisation:platform", "9 lookups a day"),)
        assert 0 < (refused.retry_after_s or 0) <= 86_400
        caller("GetIndexStatus", match_pb2.GetIndexStatusRequest())
        registered(caller, secrets.token_bytes(32))
    with MatchClient(server.address, key=one, timeout_s=20) as client:
        with pytest.raises(QuotaExceededError) as error:
            client.match_hashes(bytes(32))
        assert (error.value.retry_after_s or 0) > 0
        assert error.value.metadata["organisation"] == "platform"
        with pytest.raises(LimitExceededError):
            client.match_hashes(bytes(32 * 10))
    with calling(server.address, server.make_key("other", "match")) as caller:
        caller("MatchHashes", lookup(*[bytes(32)] * 10))
    eventually(lambda: left() == [0.0, 0.0])
    command(server, "quota", "platform", "--per-minute", "0", "--per-day", "0")
    eventually(lambda: left() == [])
    with calling(server.address, one) as caller:
        caller("MatchHashes", lookup(*[bytes(32)] * 10))


def test_a_key_that_has_registered_a_lot_is_told_when_to_come_back(start: Start) -> None:
    server = start(settings="max_registered_hashes_per_h = 5", workers=1)
    busy, calm = (server.make_key(name, "register") for name in ("busy", "calm"))
    with calling(server.address, busy) as caller:
        first = register(*(secrets.token_bytes(32) for _ in range(5)))
        answer = caller("RegisterHashes", first)
        refused = refusal(lambda: registered(caller, secrets.token_bytes(32)))
        assert (refused.reason, refused.retry_after_s is not None) == ("OVERLOADED", True)
        assert caller("RegisterHashes", first) == answer
    log = server.data_dir.with_name(f"{server.data_dir.name}.log").read_text()
    (line,) = (json.loads(line) for line in log.splitlines() if "quota_used_up" in line)
    names = {
        sample.labels["key"]: sample.labels["name"]
        for sample in samples(server.metrics_address(), "disrupt_key_info")
    }
    assert line["key_name"] == names[line["key_id"]] == "busy"
    assert {"busy", "calm", "no key"} == {*names.values()}
    with calling(server.address, calm) as caller:
        registered(caller, secrets.token_bytes(32))
