"""Promises of disputes of matches, and of what they make of the items."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from disrupt.core.acts import Act, Action
from disrupt.core.changes import Cursor, StateChange, shown_item
from disrupt.core.media import NOT_NARROWED, Assurance
from disrupt.core.outcomes import (
    Dispute,
    DisputeSummary,
    MatchedVersion,
    MatchOutcome,
    NarrowingPolicy,
    OutcomeReport,
    Settlement,
)
from disrupt.core.policy import ADULTS, MINORS, Bank
from disrupt.core.review import ItemFilter
from disrupt.core.states import ItemState
from disrupt.errors import NotFoundError
from disrupt.registry.records import DISPUTED_MATCHES, ItemReports, NewItem, ReportedOutcome
from disrupt.registry.registry import RegistryReader, RegistryWriter
from rig.media.registrations import ACT, DAY, ensure_key, item_of, keys_of, registration
from rig.model.disputes_model import OWN, PARTS, Walk
from tests.registry.conformance.opened import Opened

AT_S = 1_795_000_000
FALSE_POSITIVE = MatchOutcome.FALSE_POSITIVE
STAFF = Act("0a1b2c3d", "hotline", Action.WIDEN, AT_S)
FLOOR_BITS = NarrowingPolicy().floor_bits
PART = PARTS[0]
ROWS = [(*OWN, 0), *((*part, 0) for part in PARTS)]


def register(
    writer: RegistryWriter, chance: random.Random, bank: Bank = ADULTS
) -> tuple[str, NewItem]:
    item = item_of(chance, 1, *ROWS)
    request = registration(chance, None, item, bank=bank.number)
    return writer.register(request, day=DAY).case_number, item


def accuse(
    writer: RegistryWriter,
    item_id: bytes,
    organisations: str,
    *versions: tuple[int, int, int],
    outcome: MatchOutcome = FALSE_POSITIVE,
    match: bytes = b"",
) -> None:
    """Report a match of each organisation, named by a letter."""
    for organisation in organisations:
        ensure_key(writer, organisation)
        matched = tuple(MatchedVersion(*version) for version in versions)
        nonce = match or random.Random(repr((organisation, versions))).randbytes(12)
        report = OutcomeReport(item_id, organisation, outcome, nonce, matched)
        writer.report(report, day=DAY)


def below_bits(reader: RegistryReader) -> dict[tuple[int, int], int]:
    """Return the narrowed versions of the one item that is matched."""
    matched = reader.matched_items(0, reader.head(), 9)
    assert len(matched) == 1
    return {
        (int(row["plan"]), int(row["ordinal"])): int(below)
        for row, below in zip(matched.fingerprints, matched.below_bits, strict=True)
        if below != NOT_NARROWED
    }


def summary(reader: RegistryReader, item_id: bytes) -> DisputeSummary | None:
    banks = frozenset({ADULTS.number, MINORS.number})
    (item,) = reader.items_for_review(ItemFilter(banks, item_ids=frozenset({item_id})), 1).items
    return item.disputes


class DisputesConformance(Opened):
    """Reports narrow versions for as long as two organisations say so, and hide no item."""

    @pytest.mark.parametrize(
        ("bank", "state", "confirmed"),
        [
            (ADULTS, ItemState.LIVE, False),
            (ADULTS, ItemState.ENABLED, False),
            (ADULTS, ItemState.LIVE, True),
            (MINORS, ItemState.LIVE, False),
        ],
    )
    def test_reports_narrow_any_item_and_hide_none(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        bank: Bank,
        state: ItemState,
        *,
        confirmed: bool,
    ) -> None:
        number, item = register(writer, chance, bank)
        writer.set_states([item.item_id], state, STAFF)
        if confirmed:
            writer.confirm_items([item.item_id], STAFF)
        accuse(writer, item.item_id, "abcdef", (*OWN, FLOOR_BITS + 1), (*PART, 9))
        assert below_bits(reader) == {OWN: FLOOR_BITS + 1, PART: 9}
        record = reader.case(number)
        assert record is not None
        assert [each.state for each in record.items] == [state]

    def test_a_feed_shows_an_item_again_with_what_is_narrowed_and_when_it_is_disputed(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        for organisation, expected in (("a", set()), ("b", {20})):
            cursor = reader.head()
            accuse(writer, item.item_id, organisation, (*OWN, 20))
            changes, _ = reader.changes(cursor, 9)
            assert [isinstance(change, StateChange) for change in changes] == [True, True]
            hidden, shown = (change.item for change in changes if isinstance(change, StateChange))
            assert hidden is None
            assert shown is not None
            narrowed = shown.below_bits[shown.below_bits != NOT_NARROWED]
            assert set(narrowed.tolist()) == expected

    def test_a_report_that_says_nothing_new_changes_nothing(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 20))
        head, told = reader.head(), reader.disputes()
        accuse(writer, item.item_id, "ab", (*OWN, 20))
        assert (reader.head(), reader.disputes()) == (head, told)

    def test_a_corrected_report_widens_again(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 20))
        accuse(writer, item.item_id, "b", (*OWN, 20), outcome=MatchOutcome.BLOCKED)
        assert below_bits(reader) == {}
        assert [each.organisation for each in reader.disputes()] == ["a"]

    def test_revoking_a_key_widens_again_and_a_new_one_narrows(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 20))
        writer.revoke_key(ensure_key(writer, "a"), day=DAY, act=ACT)
        assert below_bits(reader) == {}
        key = keys_of(writer, "a")[0]
        writer.add_key(replace(key, key_id="another1", secret_sha256=b"1", revoked_on=""), act=ACT)
        assert below_bits(reader) == {OWN: 20}
        other = keys_of(writer, "b")[0]
        writer.change_key(replace(other, expires_on="2020-01-01"), act=ACT)
        assert below_bits(reader) == {}

    def test_a_key_that_expires_widens_at_the_refresh_of_its_day(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 20))
        key = keys_of(writer, "a")[0]
        writer.change_key(replace(key, expires_on="2027-01-01"), act=ACT)
        policy = NarrowingPolicy()
        for day, expected in (("2026-12-31", {OWN: 20}), ("2027-01-01", {})):
            writer.refresh_narrowings(policy, day=day)
            assert below_bits(reader) == expected

    def test_a_changed_policy_narrows_all_items_anew_and_holds_for_what_is_reported_then(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 5))
        assert below_bits(reader) == {OWN: FLOOR_BITS + 1}
        writer.refresh_narrowings(NarrowingPolicy(3, 8), day=DAY)
        assert below_bits(reader) == {}
        accuse(writer, item.item_id, "c", (*OWN, 6))
        assert below_bits(reader) == {OWN: 9}

    def test_staff_widen_what_was_disputed_and_the_same_said_again(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 20))
        done = writer.settle_disputes([item.item_id], Settlement.WIDENED, STAFF)
        assert done.item_ids == (item.item_id,)
        assert done.cursor == reader.head()
        for bits in (20, 25):
            accuse(writer, item.item_id, "ab", (*OWN, bits), match=bytes([bits] * 12))
        assert below_bits(reader) == {}
        assert reader.disputes() == []
        assert summary(reader, item.item_id) is None
        accuse(writer, item.item_id, "ab", (*OWN, 19))
        assert below_bits(reader) == {OWN: 19}

    def test_a_correction_in_between_does_not_undo_what_staff_have_widened(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        matched, nonce = (*OWN, 20), b"one match"
        accuse(writer, item.item_id, "ab", matched, match=nonce)
        writer.settle_disputes([item.item_id], Settlement.WIDENED, STAFF)
        for outcome in (MatchOutcome.BLOCKED, FALSE_POSITIVE):
            accuse(writer, item.item_id, "ab", matched, outcome=outcome, match=nonce)
            assert below_bits(reader) == {}
            assert reader.disputes() == []

    def test_upholding_another_dispute_leaves_widened_what_was(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 18))
        writer.settle_disputes([item.item_id], Settlement.WIDENED, STAFF)
        accuse(writer, item.item_id, "a", (*PART, 9))
        done = writer.settle_disputes([item.item_id], Settlement.UPHELD, STAFF)
        assert done.item_ids == (item.item_id,)
        assert below_bits(reader) == {}
        assert [each.version for each in reader.disputes()] == [(*PART, 9)]

    def test_staff_uphold_what_was_disputed_beyond_the_tenth(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        for part in PARTS[:8]:
            accuse(writer, item.item_id, "ab", (*part, 3))
        assert sorted(below_bits(reader).values()) == [3, 3, *[FLOOR_BITS + 1] * 6]
        writer.settle_disputes([item.item_id], Settlement.UPHELD, STAFF)
        assert below_bits(reader) == dict.fromkeys(PARTS[:8], 3)
        assert summary(reader, item.item_id) == DisputeSummary(2, 8, 8, frozenset())

    def test_only_items_of_the_banks_that_are_named_are_settled(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 20))
        for item_id, banks in ((item.item_id, [2]), (chance.randbytes(16), None)):
            with pytest.raises(NotFoundError):
                writer.settle_disputes([item_id], Settlement.WIDENED, STAFF, banks=banks)
        assert below_bits(reader) == {OWN: 20}
        assert reader.acts(9, banks=[1]) == reader.acts(9)

    def test_an_organisation_disputes_so_many_matches_of_an_item_the_farthest_gives_way(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "a", (*OWN, 31), match=b"farthest")
        for at in range(DISPUTED_MATCHES):
            accuse(writer, item.item_id, "a", (*OWN, 14 + at % 8), match=at.to_bytes(12))
        matches = {each.match for each in reader.disputes()}
        assert matches == {at.to_bytes(12) for at in range(DISPUTED_MATCHES)}

    def test_a_renewal_takes_disputes_over_by_hash(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        number, item = register(writer, chance)
        gone, moved = PARTS[1], (1, 47)
        accuse(writer, item.item_id, "ab", (*OWN, 20), (*PART, 15), (*gone, 14))
        writer.settle_disputes([item.item_id], Settlement.UPHELD, STAFF)
        new = item_of(chance, 1, (*OWN, 0), (*gone, 1), (*moved, 0))
        of_part = item.fingerprints[1]["hash"]
        new.fingerprints["hash"][2] = of_part
        writer.register(registration(chance, number, new), day=DAY)
        assert below_bits(reader) == {OWN: 20, moved: 15}
        assert {(each.item_id, each.settlement) for each in reader.disputes()} == {
            (new.item_id, Settlement.UPHELD)
        }

    def test_a_withdrawal_takes_the_disputes(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        number, item = register(writer, chance)
        accuse(writer, item.item_id, "ab", (*OWN, 3))
        writer.withdraw(number, None, day=DAY)
        assert reader.disputes() == []
        assert not any(reader.count_disputes().values())
        with pytest.raises(NotFoundError):
            reader.item_reports(item.item_id)

    def test_staff_see_what_each_organisation_reported_of_an_item(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        number, item = register(writer, chance)
        accuse(writer, item.item_id, "a", (*OWN, 9), outcome=MatchOutcome.BLOCKED, match=b"1")
        accuse(writer, item.item_id, "ab", (*OWN, 20), match=b"2")
        writer.revoke_key(ensure_key(writer, "b"), day=DAY, act=ACT)
        new = item_of(chance, 1, *ROWS, (2, 7, 0))
        writer.register(registration(chance, number, new), day=DAY)
        assert reader.item_reports(item.item_id, [ADULTS.number]) == ItemReports(
            new.item_id,
            [ReportedOutcome("a", MatchOutcome.BLOCKED, DAY)],
            [Dispute(new.item_id, who, b"2", MatchedVersion(*OWN, 20), DAY) for who in "ab"],
            {},
        )
        with pytest.raises(NotFoundError):
            reader.item_reports(item.item_id, [MINORS.number])

    def test_what_staff_have_hidden_asks_for_them_no_more(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "a", (*OWN, 3))
        assert reader.count_disputes()["within_floor"] == 1
        assert summary(reader, item.item_id) == DisputeSummary(1, 0, 0, frozenset({"within_floor"}))
        writer.set_states([item.item_id], ItemState.DISABLED, STAFF)
        assert not any(reader.count_disputes().values())
        assert summary(reader, item.item_id) == DisputeSummary(1, 0, 0, frozenset())

    def test_what_comes_into_a_minors_bank_disputed_asks_for_staff(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        _, item = register(writer, chance)
        accuse(writer, item.item_id, "a", (*OWN, 30))
        assert not any(reader.count_disputes().values())
        writer.move_items([item.item_id], MINORS.number, STAFF)
        assert reader.count_disputes() == {"within_floor": 0, "minor": 1, "near_tenth": 0}

    def test_a_page_of_many_narrowed_items_gives_each_its_own(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random
    ) -> None:
        ids = []
        for _ in range(5):
            ids.append(register(writer, chance)[1].item_id)
            accuse(writer, ids[-1], "ab", (*OWN, FLOOR_BITS + 1 + len(ids)))
        matched = reader.matched_items(0, reader.head(), 9)
        first = np.cumsum(matched.lengths) - matched.lengths
        narrowed = [FLOOR_BITS + 1 + count for count in range(1, 6)]
        assert matched.below_bits[first].tolist() == narrowed
        assert (matched.below_bits != NOT_NARROWED).sum() == 5
        changes, _ = reader.changes(Cursor(reader.head().epoch, 0), 99)
        shown = [item for change in changes if (item := shown_item(change))]
        assert [int(item.below_bits[0]) for item in shown] == narrowed
        assert matched.assurance.tolist() == [Assurance.SELF_REPORTED] * 5

    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_random_walk_agrees_with_a_naive_model(
        self, writer: RegistryWriter, seed: int
    ) -> None:
        Walk(writer, seed).take(120)
