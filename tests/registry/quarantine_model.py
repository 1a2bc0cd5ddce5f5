"""A random walk of reports, staff and time beside a naive model of the quarantine policy."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.outcomes import MatchOutcome, OutcomeReport, QuarantinePolicy
from disrupt.core.policy import ADULTS, MINORS, Bank
from disrupt.core.states import ItemState
from disrupt.registry.contract import RegistryWriter
from tests.registry.examples import ensure_key, item_of, registration

POLICY = QuarantinePolicy(organisations=2, beyond_bits=12)
H = 3600
REVIEW_S = 72 * H


def day_of(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).date().isoformat()


@dataclass
class ModelItem:
    """A case with one item; the last of ``item_ids`` is its own, the others are older ones."""

    number: str
    picture: int
    bank: Bank
    state: ItemState
    registered_on: str
    item_ids: list[bytes]
    since_s: int | None = None
    last: dict[str, tuple[MatchOutcome, int]] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    """Organisations whose reports counted while it was quarantined."""

    def against(self) -> set[str]:
        return {
            organisation
            for organisation, (outcome, bits) in self.last.items()
            if outcome == MatchOutcome.FALSE_POSITIVE and 12 < bits <= 31
        }

    def is_due(self, since_s: int) -> bool:
        if self.state not in {ItemState.QUARANTINED, ItemState.WAITING}:
            return False
        if self.since_s is None:
            return self.registered_on < day_of(since_s)
        return self.since_s <= since_s


class Walk:
    """Take random steps on few items at a time, so that each goes through many states."""

    def __init__(self, writer: RegistryWriter, seed: int) -> None:
        self.writer = writer
        self.chance = random.Random(seed)
        self.now_s = 1_795_000_000
        self.pictures = 0
        self.by_server = 0
        """Number of acts of the server itself."""
        self.items = [self._added() for _ in range(3)]
        for organisation in "abc":
            ensure_key(writer, organisation)

    def take(self, steps: int) -> None:
        """Take steps; compare all states after each, and the acts of the server at the end."""
        doing: list[tuple[Callable[[ModelItem], None], int]] = [
            (self.report, 24),
            (self.renew, 2),
            (self.decide, 1),
            (self.let_time_pass, 8),
            (self.begin_anew, 2),
        ]
        steppers, weights = zip(*doing, strict=True)
        for _ in range(steps):
            (step,) = self.chance.choices(steppers, weights)
            step(self.chance.choice(self.items))
            for item in self.items:
                record = self.writer.case(item.number)
                assert record is not None
                (stored,) = record.items
                assert (stored.item_id, stored.state) == (item.item_ids[-1], item.state)
        actors = [record.act.actor for record in self.writer.acts(steps)]
        assert actors.count(SERVER) == self.by_server
        assert self.by_server > steps // 40

    def _added(self) -> ModelItem:
        self.pictures += 1
        bank = self.chance.choice([ADULTS, ADULTS, MINORS])
        item, day = item_of(self.chance, self.pictures), day_of(self.now_s)
        request = registration(self.chance, None, item, bank=bank.number)
        number = self.writer.register(request, day=day).case_number
        return ModelItem(number, self.pictures, bank, ItemState.LIVE, day, [item.item_id])

    def report(self, item: ModelItem) -> None:
        organisation = self.chance.choice("abc")
        outcome = self.chance.choice([MatchOutcome.FALSE_POSITIVE] * 4 + [MatchOutcome.BLOCKED])
        bits = self.chance.choice([12, 13, 13, 20, 31, 32])
        report = OutcomeReport(self.chance.choice(item.item_ids), organisation, outcome, bits)
        self.writer.report(report, POLICY, day=day_of(self.now_s), at_s=self.now_s)
        item.last[organisation] = (outcome, bits)
        against = item.against()
        if organisation not in against:
            return
        enough = len(against) > 1 and not against <= item.counted
        if item.state == ItemState.LIVE and item.bank == ADULTS and enough:
            item.state, item.since_s = ItemState.QUARANTINED, self.now_s
            self.by_server += 1
        if item.state == ItemState.QUARANTINED:
            item.counted |= against

    def renew(self, item: ModelItem) -> None:
        rows = [(2, at, 0) for at in range(len(item.item_ids))]
        new = item_of(self.chance, item.picture, (0, 0, 0), *rows)
        request = registration(self.chance, item.number, new, bank=item.bank.number)
        self.writer.register(request, day=day_of(self.now_s))
        item.item_ids.append(new.item_id)
        if item.state == ItemState.ENABLED:  # which was decided of other hashes
            item.state, item.since_s = ItemState.LIVE, None

    def decide(self, item: ModelItem) -> None:
        state = self.chance.choice([ItemState.ENABLED, ItemState.DISABLED])
        act = Act("0a1b2c3d", "hotline", Action.ENABLE, self.now_s)
        self.writer.set_states([item.item_ids[0]], state, act)
        if item.state != state:
            item.state, item.since_s = state, self.now_s

    def begin_anew(self, item: ModelItem) -> None:
        self.writer.withdraw(item.number, None, day=day_of(self.now_s))
        self.items[self.items.index(item)] = self._added()

    def let_time_pass(self, _: ModelItem) -> None:
        self.now_s += self.chance.choice([H, 24 * H, REVIEW_S - H, REVIEW_S])
        since_s = self.now_s - REVIEW_S
        due = [item for item in self.items if item.is_due(since_s)]
        released = self.writer.release(since_s=since_s, at_s=self.now_s)
        assert set(released) == {item.item_ids[-1] for item in due}
        for item in due:
            item.state, item.since_s = ItemState.LIVE, self.now_s
        self.by_server += len(due)
