"""What is noticed around stored hashes agrees with a plain model; waits stay with who probes."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from disrupt.services.probing import MOST_DELAY_S, Noted, Probing, Sighting

ORGANISATIONS = ("a", "b")
ITEMS = (bytes(16), bytes([1] * 16))
VARIED_BITS = 6
DELAY_S = 0.25


def sighting(value: int, item_id: bytes = ITEMS[0], ordinal: int = 0) -> Sighting:
    return (item_id, 0, ordinal, 0), value.to_bytes(32)


SIGHTINGS = st.lists(
    st.builds(sighting, st.integers(0, 2**10 - 1), st.sampled_from(ITEMS), st.integers(0, 1)),
    max_size=6,
)


class AgreesWithAllThatWasAsked(RuleBasedStateMachine):
    """The model keeps every hash, and compares each pair of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.probing = Probing(VARIED_BITS, DELAY_S, clock=lambda: self.now_s)
        self.forget()

    def forget(self) -> None:
        self.asked = defaultdict[tuple[object, ...], set[int]](set)
        self.probed = set[tuple[str, bytes]]()
        self.delayed = set[tuple[str, bytes, bytes]]()

    @rule(organisation=st.sampled_from(ORGANISATIONS), seen=SIGHTINGS)
    def look_up(self, organisation: str, seen: list[Sighting]) -> None:
        new, waits = set[tuple[str, bytes]](), False
        for place, queried in seen:
            pair = organisation, place[0]
            asked = self.asked[organisation, place]
            asked.add(int.from_bytes(queried))
            differ = 0
            for one in asked:
                for other in asked:
                    differ |= one ^ other
            if differ.bit_count() >= VARIED_BITS and pair not in self.probed:
                new.add(pair)
                self.probed.add(pair)
            if pair in self.probed and (*pair, queried) not in self.delayed:
                self.delayed.add((*pair, queried))
                waits = True
        noted = self.probing.note(organisation, seen)
        assert noted.probed == len(new)
        assert (noted.wait_s > 0) == waits
        assert noted.wait_s <= MOST_DELAY_S

    @rule(seconds=st.sampled_from([0.1, 10.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        before = self.now_s
        self.now_s += seconds
        if before // 3600 != self.now_s // 3600:
            self.forget()


TestProbing = AgreesWithAllThatWasAsked.TestCase


@given(st.integers(1, 8), st.lists(st.tuples(st.integers(0, 20), st.integers(0, 7)), max_size=60))
def test_no_more_is_kept_than_the_bound_and_what_is_asked_most_lately_stays(
    most: int, asked: list[tuple[int, int]]
) -> None:
    probing = Probing(2, 0, most=most, clock=lambda: 0.0)
    probing.note("a", [sighting(0, ordinal=1000)])
    for ordinal, value in asked:
        probing.note("a", [sighting(value, ITEMS[1], ordinal)])
        if most > 1:
            probing.note("a", [sighting(0, ordinal=1000)])
        assert probing.kept <= most
    assert probing.note("a", [sighting(3, ordinal=1000)]).probed == (most > 1 or not asked)


def test_hashes_of_a_probed_item_wait_in_turn_up_to_the_cap_and_no_others_do() -> None:
    probing = Probing(VARIED_BITS, DELAY_S, clock=lambda: 0.0)
    first = probing.note("a", [sighting(0), sighting(2**VARIED_BITS - 1)])
    assert (first.probed, first.wait_s) == (1, DELAY_S)
    waits = [probing.note("a", [sighting(2**at)]).wait_s for at in range(20)]
    assert waits == [min((at + 2) * DELAY_S, MOST_DELAY_S) for at in range(20)]
    for organisation, seen in (
        ("a", sighting(1)),  # asked before
        ("a", sighting(1, ITEMS[1])),
        ("b", sighting(1)),
    ):
        assert probing.note(organisation, [seen]) == Noted()


def test_nothing_waits_or_is_noticed_where_that_is_switched_off() -> None:
    walk = [sighting(2**at) for at in range(200)]
    assert Probing(VARIED_BITS, 0.0).note("a", walk) == Noted(probed=1)
    assert Probing(0, DELAY_S).note("a", walk) == Noted()
