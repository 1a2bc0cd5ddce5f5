"""PDQ hashes as values and in batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.hashes import HASH_BYTES, PdqHash, distances_bits, stack, unpack
from disrupt.errors import InvalidRequestError

VALUES = st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES)
HASHES = st.builds(PdqHash, VALUES)


@given(VALUES)
def test_hex_and_value_are_the_same_hash(value: bytes) -> None:
    text = PdqHash(value).hex()
    assert text == value.hex()
    for written in (text, text.upper(), f" {text}\n"):
        assert PdqHash.from_hex(written) == PdqHash(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0" * 63,
        "0" * 65,
        "0" * 62,
        "g" + "0" * 63,
        "0x" + "0" * 62,
        "00 " * 21 + "0",
        "\N{ARABIC-INDIC DIGIT ZERO}" * 64,
    ],
)
def test_text_that_is_no_hash_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        PdqHash.from_hex(text)


@given(st.text())
def test_any_text_is_a_hash_or_an_invalid_request(text: str) -> None:
    try:
        hash_ = PdqHash.from_hex(text)
    except InvalidRequestError:
        return
    assert hash_.hex() == text.strip().lower()


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_value_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidRequestError, match="32 bytes"):
        PdqHash(bytes(size))


@given(HASHES, HASHES)
def test_distance_counts_the_bits_that_differ(left: PdqHash, right: PdqHash) -> None:
    bits = [np.unpackbits(np.frombuffer(hash_.value, np.uint8)) for hash_ in (left, right)]
    naive = np.count_nonzero(bits[0] != bits[1])
    assert left.distance_bits(right) == right.distance_bits(left) == naive
    assert left.distance_bits(left) == 0


@given(st.lists(HASHES, min_size=1, max_size=5), st.lists(HASHES, min_size=1, max_size=5))
def test_distances_of_batches_are_those_of_the_hashes(
    left: list[PdqHash], right: list[PdqHash]
) -> None:
    table = distances_bits(stack(left)[:, None], stack(right)[None, :])
    assert table.dtype == np.uint16
    assert table.tolist() == [[a.distance_bits(b) for b in right] for a in left]


@given(st.lists(HASHES, max_size=5))
def test_stacked_hashes_are_rows(hashes: list[PdqHash]) -> None:
    rows = stack(hashes)
    assert rows.shape == (len(hashes), 32)
    assert [row.tobytes() for row in rows] == [hash_.value for hash_ in hashes]
    assert unpack(rows.tobytes()).tobytes() == rows.tobytes()
    assert not rows.flags.writeable


@pytest.mark.parametrize("size", [1, 31, 33, 65])
def test_packed_hashes_with_a_part_left_over_are_refused(size: int) -> None:
    with pytest.raises(InvalidRequestError, match="multiple of 32"):
        unpack(bytes(size))
