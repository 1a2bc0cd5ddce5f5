"""The pictures of the test bank have the hashes that are written down."""

from __future__ import annotations

import pytest

from disrupt.core.examples import EXAMPLES, QUALITY, Example
from disrupt.core.hashes import MAX_DISTANCE_BITS
from rig.media.pictures import encode, fingerprints_of


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_has_the_hash_that_is_stored_of_it(example: Example) -> None:
    canonical, *_ = fingerprints_of(encode(example.picture())).fingerprints
    assert (canonical.hash, canonical.quality) == (example.pdq_hash, QUALITY)


def test_no_example_matches_another() -> None:
    hashes = [int.from_bytes(example.pdq_hash.value) for example in EXAMPLES]
    for at, value in enumerate(hashes):
        assert all((value ^ other).bit_count() > MAX_DISTANCE_BITS for other in hashes[:at])
