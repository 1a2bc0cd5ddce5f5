"""When reports hide an item, on a real registry against a plain model of who said what."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from disrupt.core.media import ItemState
from disrupt.core.outcomes import Outcome
from disrupt.core.policy import ADULTS, MINORS, ApiKey, Right
from disrupt.core.waiting import ReportPolicy
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from disrupt.server.upkeep import review_limit
from disrupt.services.reports import Reports
from disrupt.services.tokens import MatchTokens
from tests.properties import FEW
from tests.registry.examples import ACT, DAY, registration

TOKENS = MatchTokens(b"s" * 32)
ORGANISATIONS = {"0000000a": "North", "0000000b": "South", "0000000c": "North", "0000000d": "West"}
KEYS = tuple(ORGANISATIONS)
BEYOND_BITS = 12
DISTANCES = (12, 13, 31, 32)
"""The last is of a lookup that only an operator may ask for."""

WITHIN_H = 72
LIVE, WAITING, DISABLED = ItemState


@contextmanager
def opened() -> Iterator[tuple[SqlRegistryWriter, list[bytes]]]:
    with (
        tempfile.TemporaryDirectory() as directory,
        SqlRegistry.open_writer(Path(directory) / "registry.db") as writer,
    ):
        for key_id, organisation in ORGANISATIONS.items():
            rights, banks = frozenset([Right.MATCH]), frozenset([ADULTS.number])
            secret = key_id.encode() * 4
            key = ApiKey(key_id, key_id, secret, rights, banks, DAY, organisation=organisation)
            writer.add_key(key, act=ACT)
        chance, item_ids = random.Random(7), []
        for bank in (ADULTS, ADULTS, MINORS):
            request = registration(chance, None, bank=bank.number)
            writer.register(request, day=DAY)
            item_ids.append(request.items[0].item_id)
        yield writer, item_ids


@dataclass(frozen=True)
class Say:
    """A key reports what came of one of its few matches of an item."""

    item: int
    key: str
    distance: int
    outcome: Outcome


@dataclass(frozen=True)
class Decide:
    """Staff give an item a state."""

    item: int
    state: ItemState


@dataclass(frozen=True)
class Pass:
    """Hours pass, and what is overdue is released."""

    hours: int


ITEMS = st.sampled_from([0, 0, 0, 0, 1, 2])
"""Most steps are about one item, so that several organisations meet there."""

STEPS = st.lists(
    st.one_of(
        st.builds(
            Say,
            ITEMS,
            st.sampled_from(KEYS),
            st.sampled_from(DISTANCES),
            st.sampled_from([*Outcome, *[Outcome.FALSE_POSITIVE] * 8]),
        ),
        st.builds(Decide, ITEMS, st.sampled_from([LIVE, LIVE, WAITING, DISABLED])),
        st.builds(Pass, st.sampled_from([1, 30, 73])),
    ),
    min_size=20,
    max_size=40,
)


@dataclass
class Model:
    """What was said of an item since the last decision on it, and since when it waits by a rule."""

    is_minor: bool
    state: ItemState = LIVE
    said: dict[tuple[str, int], Outcome] = field(default_factory=dict)
    spent: set[tuple[str, int]] = field(default_factory=set)
    since_h: int | None = None
    was_hidden: bool = False
    """Whether reports have hidden it since staff decided last."""

    def say(self, step: Say, hour: int) -> None:
        match = (step.key, step.distance)
        self.said[match] = step.outcome
        against = {
            ORGANISATIONS[key]
            for (key, distance), outcome in self.said.items()
            if outcome == Outcome.FALSE_POSITIVE
            and BEYOND_BITS < distance <= 31
            and (key, distance) not in self.spent
        }
        may_hide = self.state == LIVE and not self.is_minor and not self.was_hidden
        if may_hide and len(against) >= 2:
            self.state, self.since_h, self.was_hidden = WAITING, hour, True

    def decide(self, state: ItemState) -> None:
        if state != self.state:
            self.settle(state)
            self.was_hidden = False

    def release(self, hour: int) -> None:
        if self.since_h is not None and self.since_h + WITHIN_H + 1 <= hour:
            self.settle(LIVE)

    def settle(self, state: ItemState) -> None:
        self.state, self.since_h = state, None
        self.spent |= self.said.keys()


@settings(max_examples=FEW)
@given(STEPS)
def test_items_are_hidden_and_released_as_in_a_model_that_keeps_everything(
    steps: list[Say | Decide | Pass],
) -> None:
    with opened() as (writer, item_ids), capture_logs() as logs:
        reports = Reports(writer, TOKENS, ReportPolicy(2, BEYOND_BITS))
        models = [Model(is_minor=at == 2) for at in range(3)]
        match_ids = {
            (item, key, distance): TOKENS.seal([item_ids[item]], [distance], key, 1_800_000_000)[0]
            for item in range(3)
            for key in KEYS
            for distance in DISTANCES
        }
        hour = 500_000
        for step in steps:
            states = [model.state for model in models]
            del logs[:]
            if isinstance(step, Say):
                match_id = match_ids[step.item, step.key, step.distance]
                at_s = hour * 3600 + 17
                reports.report(match_id, step.outcome, caller=step.key, day=DAY, at_s=at_s)
                models[step.item].say(step, hour)
            elif isinstance(step, Decide):
                writer.set_states([item_ids[step.item]], step.state, day=DAY, act=ACT)
                models[step.item].decide(step.state)
            else:
                hour += step.hours
                review_limit.release(writer, WITHIN_H, hour * 3600)
                for model in models:
                    model.release(hour)
            records = {record.item_id: record for record in writer.states(item_ids)}
            expected = [model.state for model in models]
            assert [records[item_id].state for item_id in item_ids] == expected
            if not isinstance(step, Decide):
                changed = states != expected
                event = "item_waits" if isinstance(step, Say) else "items_released"
                assert [log["event"] for log in logs] == [event] * changed
