"""A random walk of reports, keys, staff and time beside a naive model of disputes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from disrupt.core.acts import Act, Action
from disrupt.core.case_erasures import day_of
from disrupt.core.changes import Cursor, StateChange, shown_item
from disrupt.core.disputes import Version
from disrupt.core.media import FINGERPRINT, NOT_NARROWED, MediaKind, StoredItem, is_answered
from disrupt.core.outcomes import (
    Dispute,
    MatchedVersion,
    MatchOutcome,
    NarrowingPolicy,
    OutcomeReport,
    Settlement,
)
from disrupt.core.policy import ADULTS, FIRST_BANKS, MINORS, ApiKey, Bank
from disrupt.core.review import ItemFilter, ReviewedItem
from disrupt.core.states import ItemState
from disrupt.core.transforms import PLANS
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import api_key, keys_of, registration
from rig.model.naive_disputes import not_answered, shows_whole

POLICIES = [NarrowingPolicy(), NarrowingPolicy(3, 8, 150)]
DAY_S = 24 * 3600
OWN: Version = (0, 0)
WIDE = range(len(PLANS[1]) // 2)
WHOLE = [OWN, (0, 1), *[(1, at) for at in WIDE if PLANS[1][at].area_permille >= 750][:2]]
PARTS = [(1, at) for at in WIDE if PLANS[1][at].area_permille < 750][:20]
DISPUTED = [*WHOLE[:3], *PARTS[:3]]


@dataclass
class ModelItem:
    """A case with one item; the last of ``item_ids`` is its own, the others are older ones."""

    number: str
    picture: int
    bank: Bank
    item_ids: list[bytes]
    hashes: dict[Version, bytes]
    state: ItemState = ItemState.LIVE
    disputes: list[Dispute] = field(default_factory=list)
    matches: list[OutcomeReport] = field(default_factory=list)
    """A report of each match that it ever had."""

    @property
    def item_id(self) -> bytes:
        return self.item_ids[-1]


class Mirror:
    """Reads the feed, and the table of disputes where the feed asks for that."""

    def __init__(self, writer: RegistryWriter) -> None:
        self.writer = writer
        self.cursor = Cursor(writer.head().epoch, 0)
        self.items: dict[int, StoredItem] = {}
        self.disputes: set[Dispute] = set()

    def follow(self, limit: int) -> None:
        while True:
            changes, self.cursor = self.writer.changes(self.cursor, limit)
            for change in changes:
                item = shown_item(change)
                if item is None:
                    self.items.pop(change.number, None)
                else:
                    assert change.number not in self.items
                    self.items[change.number] = item
            if any(isinstance(change, StateChange) for change in changes):
                self.disputes = set(self.writer.disputes())
            if not changes:
                return


class Walk:
    """Take random steps on few items at a time, so that each goes through many disputes."""

    def __init__(self, writer: RegistryWriter, seed: int) -> None:
        self.writer = writer
        self.chance = random.Random(seed)
        self.now_s = 1_795_000_000
        self.policy = POLICIES[0]
        self.pictures = 0
        self.valid = set[str]()
        """Organisations that have a valid key."""
        self.narrowed = 0
        """Number of items that were narrowed after a step."""
        for organisation in "abcd":
            self.let_in(organisation)
        self.items = [self._added() for _ in range(3)]
        self.mirror = Mirror(writer)

    @property
    def day(self) -> str:
        return day_of(self.now_s)

    def act(self, action: Action = Action.CONFIRM) -> Act:
        return Act("0a1b2c3d", "hotline", action, self.now_s)

    def take(self, steps: int) -> None:
        """Take steps; compare what lookups and staff are told after each."""
        doing: list[tuple[Callable[[ModelItem], None], int]] = [
            (self.report, 40),
            (self.report_again, 10),
            (self.settle, 4),
            (self.renew, 6),
            (self.move, 2),
            (self.set_state, 2),
            (self.change_keys, 6),
            (self.let_time_pass, 3),
            (self.begin_anew, 1),
        ]
        steppers, weights = zip(*doing, strict=True)
        for _ in range(steps):
            (step,) = self.chance.choices(steppers, weights)
            step(self.chance.choice(self.items))
            self.compare()
        assert self.narrowed > steps // 10

    def compare(self) -> None:
        keys = self.writer.keys()
        self.valid = {key.organisation for key in keys if key.valid_on(self.day)}
        self.mirror.follow(self.chance.randint(1, 9))
        shown = [item for item in self.items if item.state.matches]
        by_id = {item.item_id: item for item in self.mirror.items.values()}
        assert by_id.keys() == {item.item_id for item in shown}
        fresh = Mirror(self.writer)
        fresh.follow(100)
        matched = self.writer.matched_items(0, self.writer.head(), 100)
        at = 0
        for item_id, length in zip(matched.item_id, matched.lengths, strict=True):
            own = slice(at, at := at + int(length))
            stored = by_id[item_id.tobytes()]
            for each in (stored, fresh.items[stored.number]):
                np.testing.assert_array_equal(each.below_bits, matched.below_bits[own])
        for item in shown:
            expected = not_answered(item.hashes.keys(), self.counted(item), self.policy)
            assert silent(by_id[item.item_id]) == expected
            self.narrowed += bool(expected)
        assert len(matched) == len(shown)
        told = {
            dispute
            for item in self.items
            for dispute in item.disputes
            if dispute.settlement != Settlement.WIDENED
        }
        assert set(self.writer.disputes()) == told
        ids = {item.item_id for item in shown}
        assert {each for each in self.mirror.disputes if each.item_id in ids} == {
            each for each in told if each.item_id in ids
        }
        self.compare_review()

    def compare_review(self) -> None:
        """Compare what staff are shown, page by page, with what the rule says."""
        wanted = ItemFilter(frozenset(bank.number for bank in FIRST_BANKS))
        by_id = {item.item_id: item for item in self.items}
        limit, listed = self.chance.randint(1, 3), list[ReviewedItem]()
        place: int | None = None
        while place != 0:
            page = self.writer.items_for_review(wanted, limit, place)
            listed += page.items
            place = page.before
        assert sorted(each.item_id for each in listed) == sorted(by_id)
        needs = []
        for each in listed:
            item = by_id[each.item_id]
            counted = self.counted(item)
            assert (each.disputes is None) == (not counted)
            reasons = self.reasons(item) if item.state.matches else set()
            needs.append(bool(reasons))
            if each.disputes is not None:
                named = {dispute.organisation for dispute in counted}
                assert each.disputes.organisations == len(named)
                assert each.disputes.needs_staff == reasons
        assert needs == sorted(needs, reverse=True)
        are_open = [self.is_open(by_id[each.item_id]) for each in listed]
        for some, expected in (
            (replace(wanted, needs_staff=True), needs),
            (replace(wanted, disputed=True), are_open),
        ):
            page = self.writer.items_for_review(some, 9)
            assert [each.item_id for each in page.items] == [
                each.item_id for each, is_so in zip(listed, expected, strict=True) if is_so
            ]
        asked = [
            reason for item in self.items if item.state.matches for reason in self.reasons(item)
        ]
        counts = self.writer.count_disputes()
        assert counts == {
            reason: asked.count(reason) for reason in ("within_floor", "minor", "near_tenth")
        }

    def counted(self, item: ModelItem) -> list[Dispute]:
        return [
            each
            for each in item.disputes
            if each.settlement != Settlement.WIDENED and each.organisation in self.valid
        ]

    def key_of(self, organisation: str) -> ApiKey:
        return keys_of(self.writer, organisation)[-1]

    def is_open(self, item: ModelItem) -> bool:
        return any(each.settlement is None for each in self.counted(item))

    def reasons(self, item: ModelItem) -> set[str]:
        counted = self.counted(item)
        unsettled = [each for each in counted if each.settlement is None]
        floor_bits = self.policy.floor_bits
        reasons = set()
        if any(
            shows_whole(each.version[:2]) and each.version.distance_bits <= floor_bits
            for each in unsettled
        ):
            reasons.add("within_floor")
        if item.bank == MINORS and unsettled:
            reasons.add("minor")
        # without a bound, so many would fall silent more than staff have upheld
        without = [replace(self.policy, silent_permille=permille) for permille in (0, 1000)]
        upheld, all_of_them = (not_answered(item.hashes, counted, policy) for policy in without)
        falling = {version for version, _ in all_of_them - upheld}
        may_fall = len(item.hashes) * self.policy.silent_permille // 1000
        if falling and len(falling) / max(may_fall, 1) >= 0.8:
            reasons.add("near_tenth")
        return reasons

    def report(self, item: ModelItem) -> None:
        versions = self.chance.sample(DISPUTED, self.chance.randint(1, 3))
        bits = sorted(self.chance.choice([3, 8, 9, 12, 13, 20, 31]) for _ in versions)
        outcome = self.chance.choices([MatchOutcome.FALSE_POSITIVE, MatchOutcome.BLOCKED], [6, 1])
        said = OutcomeReport(
            self.chance.choice(item.item_ids),
            self.chance.choice("abcd"),
            outcome[0],
            self.chance.randbytes(12),
            tuple(
                MatchedVersion(*version, distance)
                for version, distance in zip(versions, bits, strict=True)
            ),
        )
        item.matches.append(said)
        self._report(item, said)

    def report_again(self, item: ModelItem) -> None:
        if item.matches:
            said = self.chance.choice(item.matches)
            outcome = self.chance.choice([*MatchOutcome])
            self._report(item, replace(said, outcome=outcome))

    def _report(self, item: ModelItem, said: OutcomeReport) -> None:
        self.writer.report(said, day=self.day)
        of_match = [
            each
            for each in item.disputes
            if (each.organisation, each.match) == (said.organisation, said.match)
        ]
        still = [each for each in of_match if each.settlement == Settlement.WIDENED]
        known = {each.version[:2] for each in still}
        if said.outcome != MatchOutcome.FALSE_POSITIVE:
            item.disputes = [
                each for each in item.disputes if each not in of_match or each in still
            ]
        elif still == of_match:
            item.disputes += [
                Dispute(
                    *(item.item_id, said.organisation, said.match, version, self.day),
                    Settlement.WIDENED if self._is_widened(item, said, version) else None,
                )
                for version in said.versions
                if version[:2] not in known
            ]

    def _is_widened(self, item: ModelItem, said: OutcomeReport, version: MatchedVersion) -> bool:
        return any(
            each.settlement == Settlement.WIDENED
            and each.organisation == said.organisation
            and each.version[:2] == version[:2]
            and each.version.distance_bits <= version.distance_bits
            for each in item.disputes
        )

    def settle(self, item: ModelItem) -> None:
        settlement = self.chance.choice([*Settlement])
        action = Action.WIDEN if settlement == Settlement.WIDENED else Action.UPHOLD
        named = self.chance.choice(item.item_ids)
        done = self.writer.settle_disputes([named], settlement, self.act(action))
        settled = [
            each if each.settlement == Settlement.WIDENED else replace(each, settlement=settlement)
            for each in item.disputes
        ]
        is_changed = settled != item.disputes
        assert done.item_ids == (item.item_id,) * is_changed
        if is_changed:
            newest = self.writer.acts(1)[0]
            assert (newest.act, newest.item_id) == (self.act(action), item.item_id)
        item.disputes = settled

    def renew(self, item: ModelItem) -> None:
        """Register the picture again: some hashes stay, some are others, some change places."""
        hashes = dict(item.hashes)
        for version in self.chance.sample(PARTS, 3):
            hashes[version] = self.chance.randbytes(32)
        one, other = self.chance.sample(DISPUTED[len(WHOLE[:2]) :], 2)
        hashes[one], hashes[other] = hashes[other], hashes[one]
        if self.chance.random() < 0.3:
            hashes[one] = hashes[other]
        new = item_with(self.chance, hashes)
        request = registration(self.chance, item.number, new, bank=item.bank.number)
        self.writer.register(request, day=self.day)
        nearest = dict[tuple[str, bytes, Version], Dispute]()
        for old in sorted(item.disputes, key=lambda each: each.version.distance_bits):
            for version, value in hashes.items():
                if item.hashes.get(old.version[:2]) == value:
                    moved = MatchedVersion(*version, old.version.distance_bits)
                    nearest.setdefault(
                        (old.organisation, old.match, version),
                        replace(old, item_id=new.item_id, version=moved),
                    )
        item.disputes = [*nearest.values()]
        item.hashes = hashes
        item.item_ids.append(new.item_id)
        if item.state.matches:  # staff have enabled no hashes that they have not seen
            item.state = ItemState.LIVE

    def move(self, item: ModelItem) -> None:
        item.bank = self.chance.choice(FIRST_BANKS)
        self.writer.move_items([item.item_id], item.bank.number, self.act(Action.MOVE))

    def set_state(self, item: ModelItem) -> None:
        item.state = self.chance.choice(
            [ItemState.LIVE, ItemState.ENABLED, ItemState.LIVE, ItemState.DISABLED]
        )
        self.writer.set_states([item.item_id], item.state, self.act(Action.ENABLE))

    def change_keys(self, _: ModelItem) -> None:
        """Revoke an organisation's key, give it another, or let its key expire."""
        organisation = self.chance.choice("abcd")
        stored = self.key_of(organisation)
        if stored.revoked_on:
            self.let_in(organisation)
        elif self.chance.random() < 0.5:
            self.writer.revoke_key(stored.key_id, day=self.day, act=self.act())
        else:
            days = self.chance.choice([0, 1, 3])
            expires_on = self.chance.choice(["", day_of(self.now_s + days * DAY_S)])
            self.writer.change_key(replace(stored, expires_on=expires_on), act=self.act())

    def let_in(self, organisation: str) -> None:
        key_id = f"{len(self.writer.keys()):08}"
        key = replace(api_key(key_id), organisation=organisation)
        self.writer.add_key(key, act=self.act())

    def let_time_pass(self, _: ModelItem) -> None:
        self.now_s += self.chance.choice([3600, DAY_S, 4 * DAY_S])
        self.policy = self.chance.choice(POLICIES)
        self.writer.refresh_narrowings(self.policy, day=self.day)

    def begin_anew(self, item: ModelItem) -> None:
        self.writer.withdraw(item.number, None, day=self.day)
        self.items[self.items.index(item)] = self._added()

    def _added(self) -> ModelItem:
        self.pictures += 1
        bank = self.chance.choice([ADULTS, ADULTS, MINORS])
        hashes = {
            version: hashlib.sha256(repr((self.pictures, version)).encode()).digest()
            for version in [*WHOLE, *PARTS]
        }
        item = item_with(self.chance, hashes)
        request = registration(self.chance, None, item, bank=bank.number)
        number = self.writer.register(request, day=self.day).case_number
        return ModelItem(number, self.pictures, bank, [item.item_id], hashes)


def item_with(chance: random.Random, hashes: dict[Version, bytes]) -> NewItem:
    """Return an item of these versions, each of one hash, that of one of them in both profiles."""
    rows = np.zeros(len(hashes) + 1, FINGERPRINT)
    for at, ((plan, ordinal), value) in enumerate([*hashes.items(), (OWN, hashes[OWN])]):
        rows[at] = (np.frombuffer(value, np.uint8), 50, 1 + at // len(hashes), plan, ordinal, 0, 0)
    return NewItem(chance.randbytes(16), MediaKind.IMAGE, rows)


def silent(item: StoredItem) -> set[tuple[Version, int]]:
    """Return the versions and the distances at which lookups do not answer them."""
    distances = np.arange(32, dtype=np.uint16)
    return {
        ((int(row["plan"]), int(row["ordinal"])), int(bits))
        for row, below in zip(item.fingerprints, item.below_bits, strict=True)
        if below != NOT_NARROWED
        for bits in distances[~is_answered(distances, below)]
    }
