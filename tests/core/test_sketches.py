"""A sketch keeps distances, and nothing that was looked up."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.core.hashes import HASH_BITS, HASH_BYTES, distances_bits
from disrupt.core.sketches import FAR_BITS, Disguise, Sighting, Sketch
from tests.properties import FEW

SECRET = bytes(range(32))
DAY, NEXT_DAY = "2026-11-28", "2026-11-29"


def hashes_of(chance: random.Random, count: int) -> np.ndarray:
    packed = np.frombuffer(chance.randbytes(count * HASH_BYTES), np.uint8)
    return packed.reshape(count, HASH_BYTES)


def unpacked(values: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, HASH_BYTES)


def test_a_disguise_keeps_every_distance_and_is_the_same_in_every_process_for_a_day() -> None:
    hashes = hashes_of(random.Random(1), 50)
    disguised = unpacked(Disguise(SECRET, DAY)(hashes))
    expected = distances_bits(hashes[:, None], hashes[None])
    assert (distances_bits(disguised[:, None], disguised[None]) == expected).all()
    assert (unpacked(Disguise(SECRET, DAY)(hashes)) == disguised).all()


@pytest.mark.parametrize(("secret", "day"), [(SECRET, NEXT_DAY), (bytes(32), DAY)])
def test_what_is_disguised_says_nothing_under_another_secret_or_day(
    secret: bytes, day: str
) -> None:
    hashes = hashes_of(random.Random(2), 200)
    first, other = (
        unpacked(make(hashes)) for make in (Disguise(SECRET, DAY), Disguise(secret, day))
    )
    for left, right in ((first, hashes), (first, other)):
        mean_bits = distances_bits(left, right).mean()
        assert HASH_BITS / 2 - 3 < mean_bits < HASH_BITS / 2 + 3
        assert distances_bits(left[:, None], right[None]).min() > 31
    # Not even which hashes have many bits set is kept: zeros and ones are swapped and moved.
    empty = unpacked(Disguise(SECRET, DAY)(np.zeros((1, HASH_BYTES), np.uint8)))
    assert 64 < int(np.bitwise_count(empty).sum()) < 192


@settings(max_examples=FEW)
@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 5), st.integers(0, 70)),
        max_size=60,
    ),
    st.integers(1, 4),
)
def test_a_sketch_counts_as_a_list_does_that_compares_all(
    seen: list[tuple[int, int, int, int]], limit: int
) -> None:
    chance = random.Random(3)
    centres = [chance.getrandbits(HASH_BITS) for _ in range(6)]
    sketch, kept = Sketch(most=1000), defaultdict[tuple[int, int], list[int]](list)
    sketch.begin(DAY)
    for item, organisation, centre, bits in seen:
        value = centres[centre] ^ ((1 << bits) - 1)
        before = kept[item, organisation]
        is_new = len(before) < limit and all(
            (value ^ other).bit_count() > FAR_BITS for other in before
        )
        if is_new:
            before.append(value)
        sighting = Sighting(bytes([item]), str(organisation), value.to_bytes(HASH_BYTES), limit)
        assert sketch.add(sighting) == is_new
        assert sketch.count(sighting.item_id, sighting.organisation) == len(before)


@settings(max_examples=FEW)
@given(st.integers(1, 4), st.integers(0, 10_000))
def test_lookups_are_counted_at_most_once_for_each_hash_that_an_item_has(
    stored: int, seed: int
) -> None:
    """So no item is hidden that has fewer hashes than lookups are needed."""
    chance, sketch = random.Random(seed), Sketch(most=1000)
    hashes = [chance.getrandbits(HASH_BITS) for _ in range(stored)]
    for _ in range(100):
        changed = sum(1 << bit for bit in chance.sample(range(HASH_BITS), FAR_BITS // 2))
        value = (chance.choice(hashes) ^ changed).to_bytes(HASH_BYTES)
        sketch.add(Sighting(b"item", "platform", value, 1000))
    assert sketch.count(b"item", "platform") <= stored


def test_a_sketch_forgets_yesterday_and_what_was_seen_least_recently() -> None:
    sketch, chance = Sketch(most=10), random.Random(4)
    sketch.begin(DAY)
    for at in range(30):
        sketch.add(Sighting(bytes([at]), "platform", chance.randbytes(HASH_BYTES), 5))
    counts = [sketch.count(bytes([at]), "platform") for at in range(30)]
    assert counts == [0] * 20 + [1] * 10
    sketch.begin(DAY)
    assert sketch.count(bytes([29]), "platform") == 1
    sketch.begin(NEXT_DAY)
    assert not any(sketch.count(bytes([at]), "platform") for at in range(30))
