"""Uploads are counted once, whatever is lost between a worker and the writer."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from disrupt.core.lookups import extent_of
from disrupt.core.tallies import DISTANCES, Tally, distance_band
from disrupt.services.upload_counts import (
    NONE_MATCHED,
    Matched,
    Pair,
    UploadCounts,
    matched_uploads,
)

BANKS = ("adults", "minors")
PAIRS = st.lists(
    st.builds(
        Pair,
        st.sampled_from(BANKS),
        st.integers(0, 3),
        st.integers(0, 63),
        st.sampled_from([0, 200, 900]),
        st.sampled_from([0, 200, 900]),
    ),
    max_size=12,
)


@given(st.integers(0, 256))
def test_a_band_has_the_distances_up_to_its_own(bits: int) -> None:
    lower = [label for most, label in DISTANCES if most < bits]
    assert distance_band(bits) not in lower
    first, _, last = distance_band(bits).partition("-")
    assert int(first) <= bits <= int(last or bits)


@given(PAIRS)
def test_one_upload_of_many_hashes_matches_once_in_each_bank_by_its_nearest_pair(
    pairs: list[Pair],
) -> None:
    matched = matched_uploads(pairs, 1)
    assert matched.uploads == bool(pairs)
    assert sum(matched.by.values()) == len({pair.bank for pair in pairs})
    for bank, band, extent in matched.by:
        nearest = min(pair.distance_bits for pair in pairs if pair.bank == bank)
        assert band == distance_band(nearest)
        assert extent in {
            extent_of(*pair[3:])
            for pair in pairs
            if pair.bank == bank and pair.distance_bits == nearest
        }


@given(PAIRS)
def test_hashes_that_are_an_upload_each_match_by_themselves(pairs: list[Pair]) -> None:
    by_bank = Counter(bank for bank, _ in {(pair.bank, pair.query) for pair in pairs})
    matched = matched_uploads(pairs, 4)
    assert matched.uploads == len({pair.query for pair in pairs})
    counted = Counter[str]()
    for (bank, *_), number in matched.by.items():
        counted[bank] += number
    assert counted == by_bank


@given(PAIRS, st.integers(1, 3))
def test_no_more_uploads_match_than_there_are(pairs: list[Pair], uploads: int) -> None:
    matched = matched_uploads(pairs, uploads)
    assert matched.uploads <= uploads
    for bank in BANKS:
        assert sum(number for (of, *_), number in matched.by.items() if of == bank) <= uploads


class HandoverMachine(RuleBasedStateMachine):
    """A worker counts; a writer adds batches once, and its answer may be lost."""

    def __init__(self) -> None:
        super().__init__()
        self.worker = UploadCounts()
        self.happened = Counter[tuple[str, Tally, tuple[str, ...]]]()
        self.added = Counter[tuple[str, Tally, tuple[str, ...]]]()
        self.last = 0

    @rule(
        day=st.sampled_from(["2026-01-01", "2026-01-02"]),
        organisation=st.sampled_from(["one", "other"]),
        uploads=st.integers(1, 3),
        is_matched=st.booleans(),
        again=st.booleans(),
    )
    def look_up(
        self, day: str, organisation: str, uploads: int, *, is_matched: bool, again: bool
    ) -> None:
        by = ("adults", "0-15", "whole")
        matched = Matched(1, {by: 1}) if is_matched else NONE_MATCHED
        self.worker.add(day, organisation, uploads, matched, again=again)
        tally = Tally.UPLOADS_LOOKED_UP_AGAIN if again else Tally.UPLOADS_LOOKED_UP
        self.happened[day, tally, (organisation,)] += uploads
        if is_matched:
            self.happened[day, Tally.UPLOADS_MATCHED, (organisation, *by)] += 1

    @rule(most=st.integers(1, 4), reaches=st.booleans(), answered=st.booleans())
    def hand_over(self, most: int, *, reaches: bool, answered: bool) -> None:
        batch = self.worker.batch(most)
        if batch is None or not reaches:
            return
        if batch.number > self.last:
            self.last = batch.number
            for each in batch.counts:
                self.added[each.day, each.tally, each.labels] += each.count
        if answered:
            self.worker.added()

    @invariant()
    def nothing_counts_twice(self) -> None:
        assert all(self.added[key] <= number for key, number in self.happened.items())

    def teardown(self) -> None:
        while self.worker.batch(1):
            self.hand_over(most=1, reaches=True, answered=True)
        assert self.added == self.happened


TestHandover = HandoverMachine.TestCase
