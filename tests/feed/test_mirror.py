"""A mirror has what its hotline shows to its key, whatever becomes of either in between."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.mirrors import FeedPage, Moment
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport
from disrupt.core.policy import ADULTS, MINORS, ApiKey, Bank, Right
from disrupt.core.states import ItemState
from disrupt.data_directory import DataDirectory
from disrupt.errors import ConfigurationError, DisruptError, UnavailableError
from disrupt.feed.mirror import Mirror, check_role, mirror_fault, now
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.registry.walk import matched_items
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import caller
from disrupt.server.mirror.following import Following
from disrupt.server.worker.feed import FeedServicer
from disrupt.services.cursors import SealedCursors
from disrupt.v1 import feed_pb2
from disrupt.wire import feed as wire
from rig.media.registrations import ACT, DAY, ensure_key, item_of, registration
from rig.model.disputes_model import OWN, PARTS
from rig.model.mirrored import shown

_ANY: Any = None
_FEED_KEY = ApiKey(
    "0a1b2c3d", "mirror", "platform", bytes(32), frozenset([Right.FEED]), frozenset(), DAY
)
_ROWS = [(*OWN, 0), *((*part, 0) for part in PARTS)]


@dataclass
class Feed:
    """The feed of a hotline in this process, by its own code and messages.

    Before each page it fails as often as ``failures`` says.
    """

    registry: RegistryWriter
    key: ApiKey
    size: int = 1000
    cut_after: int = 1_000_000

    def __post_init__(self) -> None:
        self.cursors = SealedCursors(secrets.token_bytes(32))

    async def page(self, cursor: str) -> FeedPage:
        """Return a page; fail where the feed is cut."""
        self.cut_after -= 1
        if self.cut_after < 0:
            raise UnavailableError("The connection was cut.")
        banks = self.registry.banks()
        ring = SimpleNamespace(bank_names={bank.number: bank.name for bank in banks}, banks=banks)
        state: Any = SimpleNamespace(ring=ring)
        servicer = FeedServicer(Config(data_dir=Path()), self.registry, state, _ANY, self.cursors)
        caller.set(self.key)
        request = feed_pb2.ListChangesRequest(cursor=cursor, page_size=self.size)
        response = await servicer.ListChanges(request, _ANY)
        sent = response.SerializeToString()
        return wire.read_page(feed_pb2.ListChangesResponse.FromString(sent))


def follow(mirror: Mirror, feed: Feed, *, hashes_at_once: int = 1) -> None:
    """Follow a feed once: to its end, or to where it is cut."""
    hotline: Any = feed
    parts = (mirror, hotline, _ANY)
    asyncio.run(Following(*parts, hashes_at_once=hashes_at_once, retry_s=0).follow())


class Mirroring(RuleBasedStateMachine):
    """A hotline, and a mirror that reads its feed by pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.chance = random.Random(1)
        self.stack = ExitStack()
        self.cases: dict[str, bytes] = {}
        self.pictures, self.hotlines = itertools.count(), itertools.count()
        self.withdrawn = set[bytes]()
        banks = frozenset({ADULTS.number, MINORS.number})
        self.begin_hotline(replace(_FEED_KEY, banks=banks))
        self.begin()
        follow(self.mirror, self.feed)

    def opened(self, name: str) -> Any:
        (self.folder / name).mkdir(exist_ok=True)
        return sqlite.open_writer(DataDirectory(self.folder / name).registry)

    def begin_hotline(self, key: ApiKey) -> None:
        """Begin a hotline with an item in each bank."""
        self.hotline = self.stack.enter_context(self.opened(f"hotline{next(self.hotlines)}"))
        self.hotline.add_bank(Bank(0, "list"), act=ACT)
        for organisation in "ab":
            ensure_key(self.hotline, organisation)
        self.feed = Feed(self.hotline, key)
        self.cases.clear()
        for bank in 1, 2, 4:
            self.register(bank)

    def begin(self) -> None:
        """Open the mirror, as a process that starts."""
        self.of_mirror = ExitStack()
        self.registry = self.of_mirror.enter_context(self.opened("mirror"))
        check_role(self.registry, mirrors=True)
        self.mirror = Mirror(self.registry, self.folder / "mirror" / "index")

    def teardown(self) -> None:
        self.feed.cut_after, self.feed.size = 1_000_000, 1000
        follow(self.mirror, self.feed)
        self.check_level()
        self.registry.checkpoint()
        kept = (self.folder / "mirror" / "registry.db").read_bytes()
        assert not any(value in kept for value in self.withdrawn)
        self.of_mirror.close()
        self.stack.close()
        shutil.rmtree(self.folder)

    def check_level(self) -> None:
        names = {bank.name for bank in self.hotline.banks() if bank.number in self.feed.key.banks}
        assert shown(self.registry, names) == shown(self.hotline, names)
        assert shown(self.registry, {"adults", "minors", "list"} - names) == {}
        distances = {bank.name: bank.max_distance_bits for bank in self.hotline.banks()}
        for bank in self.registry.banks():
            assert bank.is_common or (bank.name in names) == (not bank.organisations)
            assert bank.name not in names or bank.max_distance_bits == distances[bank.name]

    @invariant()
    def each_item_is_there_once(self) -> None:
        banks = {bank.name for bank in self.registry.banks()}
        count = sum(len(items) for items in matched_items(self.registry, 0, self.registry.head()))
        assert count == len(shown(self.registry, banks))

    @rule(bank=st.sampled_from([1, 2, 4]))
    def register(self, bank: int) -> None:
        item = item_of(self.chance, next(self.pictures), *_ROWS)
        done = self.hotline.register(registration(self.chance, None, item, bank=bank), day=DAY)
        self.cases[done.case_number] = item.item_id

    @precondition(lambda self: self.cases)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.cases)))
        item_id = self.cases.pop(number)
        fingerprints: Any = shown(self.hotline, {"adults", "minors", "list"}).get(item_id)
        if fingerprints:
            self.withdrawn.add(fingerprints[3][:32])
        self.hotline.withdraw(number, None, day=DAY)

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), state=st.sampled_from([ItemState.DISABLED, ItemState.ENABLED]))
    def decide(self, data: st.DataObject, state: ItemState) -> None:
        item_id = self.cases[data.draw(st.sampled_from(sorted(self.cases)))]
        self.hotline.set_states([item_id], state, Act(OPERATOR, "", Action.DISABLE, 1))

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), bank=st.sampled_from([1, 2, 4]))
    def move(self, data: st.DataObject, bank: int) -> None:
        item_id = self.cases[data.draw(st.sampled_from(sorted(self.cases)))]
        self.hotline.move_items([item_id], bank, Act(OPERATOR, "", Action.MOVE, 1))

    @precondition(lambda self: self.cases)
    @rule(data=st.data(), bits=st.integers(10, 30))
    def dispute(self, data: st.DataObject, bits: int) -> None:
        item_id = self.cases[data.draw(st.sampled_from(sorted(self.cases)))]
        for organisation in "ab":
            versions = (MatchedVersion(*OWN, bits),)
            match = self.chance.randbytes(12)
            report = OutcomeReport(
                item_id, organisation, MatchOutcome.FALSE_POSITIVE, match, versions
            )
            self.hotline.report(report, day=DAY)

    @rule(bits=st.integers(8, 31))
    def set_distance(self, bits: int) -> None:
        self.hotline.change_bank(Bank(ADULTS.number, "adults", bits), act=ACT)

    @rule(banks=st.sets(st.sampled_from([1, 2, 4]), min_size=1))
    def give_banks(self, banks: set[int]) -> None:
        self.feed.key = replace(self.feed.key, banks=frozenset(banks))

    @rule()
    def restore(self) -> None:
        """Begin another epoch: the hotline knows no earlier cursor any more."""
        self.hotline.begin_epoch()

    @rule()
    def lose(self) -> None:
        """Put another hotline in place of this one, which has lost all that was here."""
        self.begin_hotline(self.feed.key)

    @rule(size=st.integers(1, 4), pages=st.integers(0, 5), hashes=st.sampled_from([1, 100]))
    def follow_a_bit(self, size: int, pages: int, hashes: int) -> None:
        self.feed.size, self.feed.cut_after = size, pages
        follow(self.mirror, self.feed, hashes_at_once=hashes)

    @rule()
    def catch_up(self) -> None:
        self.feed.size, self.feed.cut_after = 1000, 1_000_000
        follow(self.mirror, self.feed)
        self.check_level()

    @rule()
    def begin_anew(self) -> None:
        self.of_mirror.close()
        self.begin()


TestMirroring = Mirroring.TestCase
TestMirroring.settings = settings(max_examples=6, stateful_step_count=25, deadline=None)


def test_banks_come_whole_and_go_whole_and_so_does_a_hotline() -> None:
    site = Mirroring()
    for banks in ({1, 2, 4}, {4}, {1, 2}):
        site.give_banks(banks)
        site.catch_up()
    site.lose()
    site.catch_up()
    site.teardown()


def test_a_page_that_is_not_whole_changes_nothing() -> None:
    page = feed_pb2.ListChangesResponse(next_cursor="c", banks=[feed_pb2.FeedBank(name="adults")])
    added: Any = page.changes.add().added
    added.item_id, added.bank, added.kind, added.assurance = bytes(16), "adults", 1, 1
    added.fingerprints.hashes, added.fingerprints.qualities = bytes(32), bytes([50])
    assert list(wire.read_page(page).items) == [bytes(16)]
    broken: tuple[dict[str, Any], ...] = (
        {"item_id": bytes(15)},
        {"bank": "others"},
        {"kind": 9},
        {"assurance": 9},
    )
    for fields in broken:
        wrong = feed_pb2.ListChangesResponse()
        wrong.CopyFrom(page)
        for name, value in fields.items():
            setattr(wrong.changes[0].added, name, value)
        with pytest.raises(DisruptError):
            wire.read_page(wrong)
    for hashes, qualities, below in (
        (bytes(31), bytes(1), []),
        (b"", b"", []),
        (bytes(64), bytes(1), []),
        (bytes(32), bytes(1), [1, 2]),
        (bytes(32), bytes(1), [256]),
    ):
        fingerprints = page.changes[0].added.fingerprints
        fingerprints.hashes, fingerprints.qualities = hashes, qualities
        fingerprints.below_bits[:] = below
        with pytest.raises(DisruptError):
            wire.read_page(page)


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        yield writer


def test_only_an_empty_registry_becomes_a_mirrors_and_stays_one(registry: RegistryWriter) -> None:
    check_role(registry, mirrors=False)
    ensure_key(registry, "a")
    with pytest.raises(ConfigurationError):
        check_role(registry, mirrors=True)


def test_a_mirrors_registry_is_served_by_nothing_else(registry: RegistryWriter) -> None:
    check_role(registry, mirrors=True)
    check_role(registry, mirrors=True)
    with pytest.raises(ConfigurationError):
        check_role(registry, mirrors=False)


@pytest.mark.parametrize(
    ("boot", "boot_s", "clock_s", "answers"),
    [
        ("same", 3600.0, 86_400.0, True),  # the clock was set by a day, and does not count
        ("same", 3601.0, 0.0, False),
        ("other", 5.0, 3600.0, True),
        ("other", 5.0, 3601.0, False),
        ("other", 5.0, -1.0, False),  # set back while it was off: nobody knows for how long
    ],
)
def test_a_mirror_stops_at_its_age(
    registry: RegistryWriter,
    monkeypatch: pytest.MonkeyPatch,
    boot: str,
    boot_s: float,
    clock_s: float,
    answers: bool,
) -> None:
    check_role(registry, mirrors=True)
    assert mirror_fault(registry, 3600)
    level = Moment("same", 100.0, 1e9)
    registry.note_feed_level(level, 1, "cursor", generations=None)
    later = Moment(boot, level.boot_s + boot_s, level.clock_s + clock_s)
    monkeypatch.setattr("disrupt.feed.mirror.now", lambda: later)
    assert (not mirror_fault(registry, 3600)) == answers


def test_the_hotline_may_ask_for_an_earlier_end(registry: RegistryWriter) -> None:
    check_role(registry, mirrors=True)
    page = FeedPage({}, "cursor", caught_up=True, banks=[], answered_at_s=1, max_age_s=60)
    registry.follow_feed(page, day=DAY)
    level = replace(now(), boot_s=now().boot_s - 61)
    registry.note_feed_level(level, 1, "cursor", generations=None)
    assert mirror_fault(registry, 3600)
    registry.follow_feed(replace(page, max_age_s=3600), day=DAY)
    assert not mirror_fault(registry, 3600)
