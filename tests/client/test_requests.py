"""Requests carry exactly what was asked; what no server accepts is not sent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.client import requests
from disrupt.core.hashes import PdqHash, stack
from disrupt.core.media import Profile
from disrupt.errors import InvalidRequestError
from disrupt.v1 import types_pb2

hashes = st.lists(st.binary(min_size=32, max_size=32).map(PdqHash), max_size=40)


@given(batch=hashes, most=st.integers(1, 12), with_qualities=st.booleans())
def test_the_parts_of_a_batch_ask_for_every_hash_once_in_order(
    *, batch: list[PdqHash], most: int, with_qualities: bool
) -> None:
    qualities = [at % 101 for at in range(len(batch))] if with_qualities else None
    parts = requests.match_hashes(
        requests.pack(batch),
        most=most,
        profile=Profile.PDQ_FULL,
        qualities=qualities,
        options=requests.options(0, 7, ("adults",)),
    )
    assert b"".join(part.hashes for part in parts) == b"".join(hash_.value for hash_ in batch)
    assert b"".join(part.qualities for part in parts) == bytes(qualities or [])
    assert all(1 <= requests.count(part) <= most for part in parts)
    for part in parts:
        assert part.profile == types_pb2.PROFILE_PDQ_FULL
        assert part.options.HasField("max_distance_bits")
        assert (part.options.max_distance_bits, part.options.max_matches) == (0, 7)
        assert list(part.options.banks) == ["adults"]


@given(hashes)
def test_values_arrays_and_packed_bytes_are_the_same_batch(batch: list[PdqHash]) -> None:
    packed = requests.pack(batch)
    assert requests.pack(stack(batch)) == requests.pack(packed) == packed


def test_an_array_that_is_no_view_of_whole_rows_is_packed_row_by_row() -> None:
    wide = np.arange(3 * 64, dtype=np.uint8).reshape(3, 64)
    assert requests.pack(wide[::2, ::2]) == bytes(wide[0, ::2]) + bytes(wide[2, ::2])


def test_a_threshold_that_is_not_given_is_absent() -> None:
    assert not requests.options(None, 10, ()).HasField("max_distance_bits")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ((-1, 10, ()), "options.max_distance_bits"),
        ((64, 10, ()), "options.max_distance_bits"),
        ((None, 0, ()), "options.max_matches"),
        ((None, 1001, ()), "options.max_matches"),
        ((None, 10, "adults"), "options.banks"),
    ],
)
def test_options_that_no_server_takes_are_refused_by_field(
    given: tuple[int | None, int, Sequence[str]], field: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        requests.options(*given)
    assert [violation.field for violation in refused.value.violations] == [field]


@pytest.mark.parametrize(
    "batch",
    [
        b"\0" * 33,
        np.zeros((2, 31), np.uint8),
        np.zeros((2, 32), np.int64),
        np.zeros(32, np.uint8),
    ],
)
def test_a_batch_of_another_shape_is_refused(batch: requests.HashBatch) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        requests.pack(batch)
    assert refused.value.violations[0].field == "hashes"


@pytest.mark.parametrize("qualities", [[50], [50, 101], [50, -1], [50, 50, 50]])
def test_qualities_that_do_not_fit_the_hashes_are_refused(qualities: list[int]) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        requests.match_hashes(
            bytes(64),
            most=64,
            profile=Profile.UNKNOWN,
            qualities=qualities,
            options=requests.options(None, 10, ()),
        )
    assert refused.value.violations[0].field == "qualities"
