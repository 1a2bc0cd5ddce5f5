"""Narrowing by disputes: against the rule as it is said, and at its bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.disputes import Version, narrowing
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.outcomes import Dispute, MatchedVersion, NarrowingPolicy, Settlement
from disrupt.core.transforms import PLANS
from rig.model.naive_disputes import not_answered, shows_whole, silenced

POLICY = NarrowingPolicy()
FLOOR_BITS = POLICY.floor_bits
WHOLE: Version = (0, 0)
UNKNOWN: Version = (60_000, 0)
"""A version of a plan that only a newer program knows: it counts as the whole."""
PARTS = [(1, at) for at, each in enumerate(PLANS[1]) if each.area_permille < 750][:30]
NEARLY_WHOLE = next((1, at) for at, each in enumerate(PLANS[1]) if each.area_permille >= 750)
OF_ITEM = frozenset({WHOLE, UNKNOWN, NEARLY_WHOLE, *PARTS})
MAY_FALL = len(OF_ITEM) // 10


def dispute(
    organisation: str, version: Version, bits: int, settlement: Settlement | None = None
) -> Dispute:
    return Dispute(
        bytes(16), organisation, bytes(12), MatchedVersion(*version, bits), "", settlement
    )


SOME = st.sampled_from([WHOLE, UNKNOWN, NEARLY_WHOLE, *PARTS[:6], (2, 7)])
DISPUTES = st.lists(
    st.builds(
        dispute,
        st.sampled_from("abcd"),
        SOME,
        st.integers(0, MAX_DISTANCE_BITS),
        st.sampled_from([None, None, *Settlement]),
    ),
    max_size=40,
)
POLICIES = st.builds(
    NarrowingPolicy,
    organisations=st.integers(2, 3),
    floor_bits=st.integers(0, MAX_DISTANCE_BITS),
    silent_permille=st.sampled_from([0, 30, 100, 1000]),
)


@given(disputes=DISPUTES, policy=POLICIES)
def test_what_is_not_answered_follows_from_the_rule(
    disputes: list[Dispute], policy: NarrowingPolicy
) -> None:
    made = narrowing(OF_ITEM, disputes, policy, is_minors=False)
    below_bits = made.below_bits if made else {}
    expected = not_answered(OF_ITEM, disputes, policy)
    assert silenced(below_bits) == expected
    if made:
        at_floor = {version for version, bits in expected if bits <= policy.floor_bits}
        assert (made.summary.narrowed, made.summary.silent) == (len(below_bits), len(at_floor))


@given(disputes=DISPUTES, policy=POLICIES)
def test_versions_that_show_the_whole_match_within_the_floor_whatever_is_disputed(
    disputes: list[Dispute], policy: NarrowingPolicy
) -> None:
    made = narrowing(OF_ITEM, disputes, policy, is_minors=False)
    below_bits = made.below_bits if made else {}
    assert all(
        below_bits.get(version, 255) > policy.floor_bits
        for version in OF_ITEM
        if shows_whole(version)
    )


@given(disputes=DISPUTES, policy=POLICIES, organisation=st.sampled_from("abcd"))
def test_what_one_organisation_takes_back_narrows_nothing_more(
    disputes: list[Dispute], policy: NarrowingPolicy, organisation: str
) -> None:
    policy = replace(policy, silent_permille=1000)  # else another version may fall instead
    fewer = [each for each in disputes if each.organisation != organisation]
    made = (narrowing(OF_ITEM, some, policy, is_minors=False) for some in (disputes, fewer))
    before, after = (each.below_bits if each else {} for each in made)
    assert all(bits >= before[version] for version, bits in after.items())


@pytest.mark.parametrize("version", [WHOLE, UNKNOWN, NEARLY_WHOLE, PARTS[0]])
@pytest.mark.parametrize("bits", [FLOOR_BITS, FLOOR_BITS + 1, FLOOR_BITS + 2])
def test_two_organisations_narrow_to_what_both_dispute(version: Version, bits: int) -> None:
    nearest = dispute("a", version, FLOOR_BITS + 1)
    disputes = [nearest, dispute("b", version, bits), dispute("b", version, 30)]
    made = narrowing(OF_ITEM, disputes, POLICY, is_minors=False)
    assert made is not None
    assert made.below_bits == {version: max(FLOOR_BITS + 1, bits)}


def test_of_versions_that_show_a_part_a_tenth_falls_silent_those_disputed_nearest() -> None:
    disputed = [(bits, version) for bits, version in zip((5, 4, 3, 3, 2), PARTS, strict=False)]
    disputes = [dispute(who, version, bits) for bits, version in disputed for who in "ab"]
    made = narrowing(OF_ITEM, disputes, POLICY, is_minors=False)
    assert made is not None
    nearest = sorted(disputed)[:MAY_FALL]
    assert made.below_bits == {
        version: bits if (bits, version) in nearest else FLOOR_BITS + 1
        for bits, version in disputed
    }
    assert made.summary.silent == MAY_FALL


def test_what_staff_uphold_takes_no_place_of_the_tenth() -> None:
    upheld, others = PARTS[:9], PARTS[9:14]
    disputes = [
        *(dispute(who, each, 1, Settlement.UPHELD) for each in [WHOLE, *upheld] for who in "ab"),
        *(dispute(who, each, 2) for each in others for who in "ab"),
    ]
    made = narrowing(OF_ITEM, disputes, POLICY, is_minors=False)
    assert made is not None
    assert all(made.below_bits[version] == 1 for version in upheld)
    assert sum(made.below_bits[version] == 2 for version in others) == MAY_FALL
    assert made.below_bits[WHOLE] == FLOOR_BITS + 1


@pytest.mark.parametrize(
    ("disputes", "is_minors", "reasons"),
    [
        ([dispute("a", WHOLE, FLOOR_BITS)], False, {"within_floor"}),
        ([dispute("a", UNKNOWN, 0)], False, {"within_floor"}),
        ([dispute("a", WHOLE, FLOOR_BITS, Settlement.UPHELD)], False, set()),
        ([dispute("a", WHOLE, FLOOR_BITS + 1)], False, set()),
        ([dispute("a", PARTS[0], 3)], False, set()),
        ([dispute("a", WHOLE, 30)], True, {"minor"}),
        ([dispute("a", (2, 7), 30)], True, {"minor"}),
        ([dispute("a", WHOLE, 30, Settlement.UPHELD)], True, set()),
        ([dispute(who, each, 3) for each in PARTS[:1] for who in "ab"], False, set()),
        ([dispute(who, each, 3) for each in PARTS[:3] for who in "ab"], False, {"near_tenth"}),
    ],
)
def test_staff_are_needed_while_a_dispute_is_open_that_could_hide_a_picture(
    disputes: list[Dispute], reasons: set[str], *, is_minors: bool
) -> None:
    made = narrowing(OF_ITEM, disputes, POLICY, is_minors=is_minors)
    assert made is not None
    assert made.summary.needs_staff == reasons
    assert made.is_settled == all(each.settlement for each in disputes)


def test_an_item_of_few_versions_needs_staff_before_any_falls_silent() -> None:
    disputes = [dispute(who, PARTS[0], 3) for who in "ab"]
    made = narrowing(frozenset(PARTS[:9]), disputes, POLICY, is_minors=False)
    assert made is not None
    assert made.below_bits == {PARTS[0]: FLOOR_BITS + 1}
    assert made.summary.needs_staff == {"near_tenth"}


def test_disputes_that_staff_widened_count_for_nothing() -> None:
    disputes = [dispute(who, WHOLE, 5, Settlement.WIDENED) for who in "abc"]
    assert narrowing(OF_ITEM, disputes, POLICY, is_minors=True) is None
