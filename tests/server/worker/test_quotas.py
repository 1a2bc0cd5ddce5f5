"""What an organisation looks up in a minute and a day is bounded over all workers."""

from __future__ import annotations

import io
import json
import math
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.client import MatchClient
from disrupt.core.lookups import Effort, HashLookup, LookupOptions
from disrupt.core.policy import LookupQuota
from disrupt.errors import LimitExceededError, QuotaExceededError
from disrupt.hashing.lookup import MOST_HASHES
from disrupt.hashing.videos.frames import hash_video
from disrupt.server.metrics.families import QUOTA_LEFT, Family
from disrupt.server.metrics.rows import Row, Rows
from disrupt.server.worker.quotas import Charge, LookupQuotas, charged
from disrupt.services.keys import KeyRing
from disrupt.v1 import match_pb2
from rig.callers.acts import registered
from rig.callers.caller import calling, lookup, outcome, refusal, register
from rig.callers.shell import typed
from rig.media.generated import picture
from rig.media.videos import encode, footage
from rig.processes.metrics import samples
from rig.servers.deployment import Deployment, Start
from rig.waiting import eventually
from tests.document import run_examples

PAGE = Path(__file__).parents[3] / "docs" / "keys.md"

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
            st.builds(Charge, st.integers(1, 7), st.integers(0, 40)),
            st.sampled_from([0.0, 1.0, 59.5, 60.0, 3600.0, 86_400.0]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_all_workers_together_let_in_what_fits_into_the_minute_and_the_day(
    asked: list[tuple[str, Charge, float, bool]],
) -> None:
    workers = Workers(LookupQuota("a", 5, 12, 30, 70))
    minutes, days = dict[float, Charge](), dict[float, Charge]()
    for worker, charge, pause_s, dies in asked:
        workers.now_s += pause_s
        windows = (minutes, workers.now_s // 60, (5, 30)), (days, workers.now_s // DAY_S, (12, 70))
        quotas = workers.on(worker)
        after = [
            Charge(*map(sum, zip(taken.get(window, (0, 0)), charge, strict=True)))
            for taken, window, _ in windows
        ]
        if charge.uploads > 5 or charge.hashes > 30:
            with pytest.raises(LimitExceededError):
                quotas.take("a", charge)
        elif all(
            total.uploads <= uploads and (total.hashes <= hashes or not charge.hashes)
            for total, (*_, (uploads, hashes)) in zip(after, windows, strict=True)
        ):
            quotas.take("a", charge)
            for total, (taken, window, _) in zip(after, windows, strict=True):
                taken[window] = total
        else:
            with pytest.raises(QuotaExceededError) as refused:
                quotas.take("a", charge)
            wait_s = refused.value.retry_after_s or 0.0
            workers.now_s += wait_s
            assert workers.now_s % 60 == 0  # another minute, or another day
        if dies:
            workers.restart(worker)


@given(
    hashes=st.integers(1, 30_000),
    uploads=st.none() | st.integers(1, 30_000),
    effort=st.sampled_from(Effort),
)
def test_a_call_is_charged_what_it_says_and_never_less_than_its_hashes_are_of(
    hashes: int, uploads: int | None, effort: Effort
) -> None:
    lookup = HashLookup(
        np.zeros((hashes, 32), np.uint8), LookupOptions(effort=effort), uploads=uploads
    )
    charge = charged(lookup)
    assert charge.hashes == hashes
    if uploads is None:
        assert charge.uploads == hashes
    else:
        assert charge.uploads >= uploads
        assert charge.uploads * MOST_HASHES[effort] >= hashes
        assert charge.uploads == uploads or (charge.uploads - 1) * MOST_HASHES[effort] < hashes


def test_a_refusal_says_when_the_day_is_over_if_that_is_what_is_used_up() -> None:
    workers = Workers(LookupQuota("a", 0, 2), LookupQuota("b", 2, 0))
    for name, wait_s in (("a", DAY_S / 2), ("b", 60)):
        workers.on("worker 1").take(name, Charge(2))
        with pytest.raises(QuotaExceededError) as refused:
            workers.on("worker 2").take(name)
        assert refused.value.retry_after_s == wait_s
        assert refused.value.metadata["organisation"] == name


def test_an_organisation_without_a_quota_may_look_up_as_much_as_it_likes() -> None:
    quotas = Workers(LookupQuota("a", 1, 1)).on("worker 1")
    for _ in range(3):
        quotas.take("b", Charge(10_000))
        quotas.give_back("b", Charge(10_000))


def test_what_is_given_back_may_be_taken_again() -> None:
    workers = Workers(LookupQuota("a", 2, 2))
    workers.on("worker 1").take("a", Charge(2))
    workers.on("worker 1").give_back("a", Charge(2))
    workers.on("worker 2").take("a", Charge(2))


def test_a_quota_that_is_changed_counts_what_was_looked_up_before() -> None:
    workers = Workers(LookupQuota("a", 5, 0))
    workers.on("worker 1").take("a", Charge(5))
    workers.quotas = (LookupQuota("a", 7, 0),)
    workers.on("worker 2").take("a", Charge(2))
    with pytest.raises(QuotaExceededError):
        workers.on("worker 2").take("a")
    workers.quotas = ()
    workers.on("worker 2").take("a", Charge(100))


def test_forked_workers_share_a_quota() -> None:
    workers = Workers(LookupQuota("a", 3, 0))
    child = os.fork()
    if not child:
        workers.on("worker 1").take("a", Charge(3))
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(QuotaExceededError):
        workers.on("worker 2").take("a")


def test_the_metric_says_what_is_left_and_hides_a_quota_that_is_no_more() -> None:
    workers = Workers(LookupQuota("a", 5, 0))
    workers.on("worker 2").take("a", Charge(3))
    quotas = workers.on("worker 1")

    def left() -> list[float]:
        quotas.show()
        name = f'["{QUOTA_LEFT.name}", "a", "uploads", "minute"]'
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
    assert "Quota of platform: 9 uploads a day." in command(server, "list")
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
        assert refused.quotas == (("organisation:platform", "9 uploads a day"),)
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


def test_a_picture_or_video_is_one_upload_wherever_it_is_hashed(
    start: Start, tmp_path: Path
) -> None:
    server = start(workers=1)
    directory = server.data_dir.parent
    key = server.make_key("platform", "match")
    (directory / "platform.key").write_text(key)
    (directory / "hashes.bin").write_bytes(secrets.token_bytes(32 * 300))
    file = picture(tmp_path / "a.png", 400)
    frames = hash_video(io.BytesIO(encode(list(footage(23, seconds=1)))))[0]

    def left() -> list[float]:
        name = "disrupt_quota_left"
        return [sample.value for sample in samples(server.metrics_address(), name)]

    command(server, "quota", "platform", "--per-minute", "0", "--per-day", "9")
    eventually(lambda: left() == [9.0])
    with MatchClient(server.address, key=key) as client:
        client.match_image(file)
        client.match_image(file, hash_locally=False)
        client.match_image(file, effort=Effort.THOROUGH)
        client.match_video(frames)
        eventually(lambda: left() == [5.0])
        client.match_hashes(bytes(32 * 2), uploads=2)
        client.match_hashes(bytes(32 * 1500), uploads=1)  # in one call
        eventually(lambda: left() == [2.0])
        with pytest.raises(LimitExceededError, match="counts as 1000 uploads"):
            client.match_hashes(bytes(32 * 1500))
        client.match_hashes(bytes(32 * 10_000), uploads=1)  # more than any upload has
        eventually(lambda: left() == [0.0])

    hashes = ("--hashes-per-day", "30000")
    command(server, "quota", "platform", "--per-minute", "0", "--per-day", "0", *hashes)
    eventually(lambda: left()[0] > 9)
    with MatchClient(server.address, key=key, timeout_s=20) as client:
        with pytest.raises(QuotaExceededError, match="30000 hashes a day"):
            client.match_hashes(bytes(32 * 20_000), uploads=1)
        client.match_image(file, hash_locally=False)  # which has none in MatchHashes

    port = int(server.address.rpartition(":")[2])
    run_examples(PAGE.read_text("utf-8"), directory, port)


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
