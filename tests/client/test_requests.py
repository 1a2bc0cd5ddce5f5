"""Requests carry exactly what was asked; what no server accepts is not sent."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.client import requests
from disrupt.core.hashes import PdqHash, stack
from disrupt.core.media import Profile
from disrupt.v1 import types_pb2

hashes = st.lists(st.binary(min_size=32, max_size=32).map(PdqHash), max_size=40)


@given(batch=hashes, repeats=st.sampled_from([1, 100]), with_qualities=st.booleans())
@settings(max_examples=60)
def test_the_parts_of_a_batch_ask_for_every_hash_once_in_order(
    *, batch: list[PdqHash], repeats: int, with_qualities: bool
) -> None:
    batch *= repeats
    qualities = [at % 101 for at in range(len(batch))] if with_qualities else None
    parts = requests.match_hashes(
        requests.pack(batch),
        profile=Profile.PDQ_FULL,
        qualities=qualities,
        options=requests.options(0, 7, ("adults",)),
    )
    assert b"".join(part.hashes for part in parts) == b"".join(hash_.value for hash_ in batch)
    assert b"".join(part.qualities for part in parts) == bytes(qualities or [])
    assert all(1 <= requests.count(part) <= requests.BATCH for part in parts)
    for part in parts:
        assert part.profile == types_pb2.PROFILE_PDQ_FULL
        assert part.options.HasField("max_distance_bits")
        assert (part.options.max_distance_bits, part.options.max_matches) == (0, 7)
        assert list(part.options.banks) == ["adults"]


@given(hashes=st.integers(1, 25_000), uploads=st.integers(1, 25_000))
def test_calls_name_all_uploads_and_hashes_of_one_upload_share_a_call(
    hashes: int, uploads: int
) -> None:
    uploads = min(uploads, hashes)
    parts = requests.match_hashes(
        bytes(32 * hashes),
        profile=Profile.PDQ_512,
        qualities=None,
        options=requests.options(None, 10, ()),
        uploads=uploads,
    )
    assert all(1 <= part.uploads <= requests.count(part) <= 10_000 for part in parts)
    named = sum(part.uploads for part in parts)
    if hashes <= 10_000 * uploads:
        assert named == uploads
    else:
        assert named == len(parts) == -(-hashes // 10_000)  # more than any server takes at once


@given(hashes)
@settings(max_examples=60)
def test_values_arrays_and_packed_bytes_are_the_same_batch(batch: list[PdqHash]) -> None:
    packed = requests.pack(batch)
    assert requests.pack(stack(batch)) == requests.pack(packed) == packed


def test_an_array_that_is_no_view_of_whole_rows_is_packed_row_by_row() -> None:
    wide = np.arange(3 * 64, dtype=np.uint8).reshape(3, 64)
    assert requests.pack(wide[::2, ::2]) == bytes(wide[0, ::2]) + bytes(wide[2, ::2])


def test_a_threshold_that_is_not_given_is_absent() -> None:
    assert not requests.options(None, 10, ()).HasField("max_distance_bits")
