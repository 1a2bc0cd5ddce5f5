"""Fingerprints in columns, and the blobs that are stored permanently."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core import media
from disrupt.core.hashes import PdqHash
from disrupt.core.media import FINGERPRINT, Fingerprint, Profile

FINGERPRINTS = st.lists(
    st.builds(
        Fingerprint,
        st.builds(PdqHash, st.binary(min_size=32, max_size=32)),
        st.integers(0, 100),
        st.sampled_from(Profile),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
    ),
    max_size=6,
)


@given(FINGERPRINTS)
def test_columns_carry_every_field(fingerprints: list[Fingerprint]) -> None:
    array = media.columns(fingerprints)
    assert array.dtype == FINGERPRINT
    assert array.shape == (len(fingerprints),)
    back = [
        Fingerprint(
            PdqHash(row["hash"].tobytes()),
            int(row["quality"]),
            Profile(int(row["profile"])),
            int(row["plan"]),
            int(row["ordinal"]),
            int(row["start_ms"]),
            int(row["end_ms"]),
        )
        for row in array
    ]
    assert back == fingerprints


@given(FINGERPRINTS)
def test_blob_gives_back_what_was_packed(fingerprints: list[Fingerprint]) -> None:
    array = media.columns(fingerprints)
    blob = media.pack(array)
    assert len(blob) == 1 + 46 * len(array)
    back = media.unpack(blob)
    assert back.dtype == FINGERPRINT
    assert back.tobytes() == array.tobytes()
    assert not back.flags.writeable


@given(st.lists(FINGERPRINTS, max_size=4))
def test_many_blobs_give_back_together_what_each_gives_back(
    items: list[list[Fingerprint]],
) -> None:
    blobs = [media.pack(media.columns(fingerprints)) for fingerprints in items]
    lengths, together = media.unpack_all(blobs)
    assert lengths.tolist() == [len(fingerprints) for fingerprints in items]
    assert together.dtype == FINGERPRINT
    assert together.tobytes() == b"".join(media.unpack(blob).tobytes() for blob in blobs)


def test_blobs_written_by_earlier_versions_stay_readable() -> None:
    blob = bytes.fromhex(
        "01" + "00112233445566778899aabbccddeeff" * 2 + "64020300020110000000ffffffff"
    )
    (row,) = media.unpack(blob)
    assert row["hash"].tobytes().hex() == "00112233445566778899aabbccddeeff" * 2
    assert (row["quality"], row["profile"], row["plan"], row["ordinal"]) == (100, 2, 3, 258)
    assert (row["start_ms"], row["end_ms"]) == (16, 2**32 - 1)
    assert media.pack(np.array([row])) == blob


@pytest.mark.parametrize(
    "blob", [b"", b"\x02", b"\x02" + bytes(46), b"\x01" + bytes(45), bytes(47)]
)
def test_blob_of_another_version_or_length_is_refused(blob: bytes) -> None:
    with pytest.raises(ValueError, match="not a fingerprint blob"):
        media.unpack(blob)
    good = media.pack(np.zeros(2, FINGERPRINT))
    for blobs in ([blob], [good, blob], [blob, good], [good, blob, good]):
        with pytest.raises(ValueError, match="not fingerprint blobs"):
            media.unpack_all(blobs)


def test_fields_in_other_order_or_width_are_packed_alike() -> None:
    array = media.columns([Fingerprint(PdqHash(bytes(range(32))), 90, Profile.PDQ_512, 1, 2, 3, 4)])
    big_endian = array.astype(FINGERPRINT.newbyteorder(">"))
    assert media.pack(big_endian) == media.pack(array)


def entries(*rows: tuple[int, int, int, int]) -> np.ndarray:
    """Return fingerprints of (hash, ordinal, start_ms, end_ms), whose qualities count them."""
    return media.columns(
        Fingerprint(PdqHash(bytes(31) + bytes([value])), at, Profile.PDQ_512, 0, *rest)
        for at, (value, *rest) in enumerate(rows)
    )


ENTRY = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 20), st.integers(0, 4)).map(
    lambda row: (*row[:3], row[2] + row[3])
)


@given(st.lists(ENTRY, max_size=12))
def test_folding_keeps_when_each_hash_is_seen_and_no_more_entries_than_needed(
    rows: list[tuple[int, int, int, int]],
) -> None:
    def seen(array: np.ndarray) -> set[tuple[bytes, int, float]]:
        return {
            (row["hash"].tobytes(), int(row["ordinal"]), at / 2)
            for row in array
            for at in range(2 * int(row["start_ms"]), 2 * int(row["end_ms"]) + 1)
        }

    array = entries(*rows)
    folded = media.folded(array)
    assert seen(folded) == seen(array)
    assert (np.diff(folded["quality"].astype(int)) > 0).all(), "in the order of what is kept"
    for at, row in enumerate(folded):
        for earlier in folded[:at]:
            apart = row["end_ms"] < earlier["start_ms"] or earlier["end_ms"] < row["start_ms"]
            assert (
                row["hash"][-1] != earlier["hash"][-1]
                or row["ordinal"] != earlier["ordinal"]
                or apart
            )
