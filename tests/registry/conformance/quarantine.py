"""Promises of quarantines by reports, and of their end without a review."""

import random

import pytest

from disrupt.core.acts import SERVER, Act, Action
from disrupt.core.outcomes import MatchOutcome, OutcomeReport
from disrupt.core.policy import ADULTS, MINORS, Bank
from disrupt.core.registrations import Outcome
from disrupt.core.states import ItemState
from disrupt.registry.contract import RegistryReader, RegistryWriter
from tests.registry.conformance.opened import Opened
from tests.registry.examples import (
    ACT,
    DAY,
    OWN,
    all_changes,
    ensure_key,
    item_of,
    new_case,
    new_item,
    registration,
)
from tests.registry.quarantine_model import POLICY, Walk

AT_S = 1_795_000_000
FALSE_POSITIVE = MatchOutcome.FALSE_POSITIVE
STAFF = Act("0a1b2c3d", "hotline", Action.ENABLE, AT_S)


def accuse(
    writer: RegistryWriter,
    item_id: bytes,
    organisations: str,
    *,
    bits: int = 13,
    outcome: MatchOutcome = FALSE_POSITIVE,
) -> None:
    """Report of each organisation, named by a letter, in turn."""
    for organisation in organisations:
        ensure_key(writer, organisation)
        report = OutcomeReport(item_id, organisation, outcome, bits)
        writer.report(report, POLICY, day=DAY, at_s=AT_S)


def register(
    writer: RegistryWriter, chance: random.Random, bank: Bank = ADULTS
) -> tuple[str, bytes]:
    item = new_item(chance)
    request = registration(chance, None, item, bank=bank.number)
    return writer.register(request, day=DAY).case_number, item.item_id


def state(reader: RegistryReader, number: str) -> ItemState:
    record = reader.case(number)
    assert record is not None
    (item,) = record.items
    return item.state


class QuarantineConformance(Opened):
    """Two organisations can hide an item that matched far, for as long as nobody reviews it."""

    @pytest.mark.parametrize(
        ("organisations", "bits", "outcome", "bank", "hides"),
        [
            ("ab", 13, FALSE_POSITIVE, ADULTS, True),
            ("ab", 31, FALSE_POSITIVE, ADULTS, True),
            ("ab", 12, FALSE_POSITIVE, ADULTS, False),
            ("ab", 32, FALSE_POSITIVE, ADULTS, False),
            ("aaa", 13, FALSE_POSITIVE, ADULTS, False),
            ("abc", 13, FALSE_POSITIVE, MINORS, False),
            ("abc", 13, MatchOutcome.NOT_BLOCKED, ADULTS, False),
        ],
    )
    def test_false_positives_of_two_organisations_hide_an_item_that_matched_far(
        self,
        writer: RegistryWriter,
        reader: RegistryReader,
        chance: random.Random,
        organisations: str,
        bits: int,
        outcome: MatchOutcome,
        bank: Bank,
        *,
        hides: bool,
    ) -> None:
        number, item_id = register(writer, chance, bank)
        accuse(writer, item_id, organisations, bits=bits, outcome=outcome)
        assert state(reader, number) == (ItemState.QUARANTINED if hides else ItemState.LIVE)
        acts = [(each.act, each.item_id) for each in reader.acts(9) if each.item_id]
        quarantined = Act(SERVER, "", Action.QUARANTINE, AT_S, "false_positives")
        assert acts == [(quarantined, item_id)] * hides
        assert len(all_changes(reader)) == 1 + hides

    def test_a_corrected_report_does_not_count(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number, item_id = register(writer, chance)
        accuse(writer, item_id, "a")
        accuse(writer, item_id, "a", outcome=MatchOutcome.BLOCKED)
        accuse(writer, item_id, "b")
        assert state(writer, number) == ItemState.LIVE

    def test_reports_of_an_organisation_whose_key_was_revoked_do_not_count(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number, item_id = register(writer, chance)
        accuse(writer, item_id, "a")
        writer.revoke_key(ensure_key(writer, "a"), day=DAY, act=ACT)
        accuse(writer, item_id, "b")
        assert state(writer, number) == ItemState.LIVE
        accuse(writer, item_id, "c")
        assert state(writer, number) == ItemState.QUARANTINED

    def test_what_nobody_reviewed_is_hidden_again_by_a_new_organisation_only(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number, item_id = register(writer, chance)
        accuse(writer, item_id, "abc")
        assert writer.release(since_s=AT_S, at_s=AT_S) == (item_id,)
        assert state(writer, number) == ItemState.LIVE
        accuse(writer, item_id, "abc")
        accuse(writer, item_id, "abc", outcome=MatchOutcome.BLOCKED)
        accuse(writer, item_id, "abc")
        assert state(writer, number) == ItemState.LIVE
        accuse(writer, item_id, "d")
        assert state(writer, number) == ItemState.QUARANTINED

    def test_what_staff_enabled_is_never_hidden_by_reports(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number, item_id = register(writer, chance)
        accuse(writer, item_id, "ab")
        writer.set_states([item_id], ItemState.ENABLED, STAFF)
        accuse(writer, item_id, "abcdef")
        assert state(writer, number) == ItemState.ENABLED
        assert writer.release(since_s=AT_S + 10, at_s=AT_S + 10) == ()

    def test_an_item_is_released_when_its_time_is_over_and_not_before(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number, item_id = register(writer, chance)
        accuse(writer, item_id, "ab")
        assert writer.release(since_s=AT_S - 1, at_s=AT_S) == ()
        assert writer.release(since_s=AT_S, at_s=AT_S + 5) == (item_id,)
        assert writer.release(since_s=AT_S, at_s=AT_S + 5) == ()
        assert state(writer, number) == ItemState.LIVE
        newest = writer.acts(1)[0]
        assert newest.act == Act(SERVER, "", Action.RELEASE, AT_S + 5, "not_reviewed")
        assert newest.item_id == item_id

    @pytest.mark.parametrize("how", ["moved", "registered again"])
    def test_what_comes_into_a_minors_bank_is_quarantined_no_more(
        self, writer: RegistryWriter, reader: RegistryReader, chance: random.Random, how: str
    ) -> None:
        case, first = new_case(chance), item_of(chance, 1, OWN)
        writer.register(registration(chance, case, first), day=DAY)
        accuse(writer, first.item_id, "ab")
        assert state(reader, case.number) == ItemState.QUARANTINED
        if how == "moved":
            writer.move_items([first.item_id], MINORS.number, STAFF)
            newest = reader.acts(1)[0].act
            assert newest == Act(SERVER, "", Action.RELEASE, STAFF.at_s, "minor")
        else:
            again = registration(chance, case.number, item_of(chance, 1, OWN), bank=MINORS.number)
            assert writer.register(again, day=DAY).items[0].outcome == Outcome.RENEWED
        assert state(reader, case.number) == ItemState.LIVE
        assert reader.matched_items(0, reader.head(), 9).bank.tolist() == [MINORS.number]

    def test_what_staff_hid_stays_so_in_a_minors_bank(
        self, writer: RegistryWriter, chance: random.Random
    ) -> None:
        number, item_id = register(writer, chance)
        writer.set_states([item_id], ItemState.REJECTED, STAFF)
        writer.move_items([item_id], MINORS.number, STAFF)
        assert state(writer, number) == ItemState.REJECTED

    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_random_walk_agrees_with_a_naive_model(
        self, writer: RegistryWriter, seed: int
    ) -> None:
        Walk(writer, seed).take(300)
