"""A registration carries fingerprints, a request id and access to the case; nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.cases import AgeBand, case_number
from disrupt.core.hashes import PdqHash
from disrupt.core.media import Fingerprint, MediaKind, Profile, columns
from disrupt.core.registrations import MediaItem
from disrupt.errors import InvalidRequestError
from disrupt.submission import requests
from disrupt.submission.client import new_pin
from disrupt.v1 import registration_pb2

fingerprints = st.builds(
    Fingerprint,
    hash=st.binary(min_size=32, max_size=32).map(PdqHash),
    quality=st.integers(0, 100),
    profile=st.sampled_from(Profile),
    plan=st.integers(0, 65535),
    ordinal=st.integers(0, 65535),
)
items = st.lists(st.lists(fingerprints, min_size=1, max_size=5), min_size=1, max_size=4)


@given(items, st.sampled_from(AgeBand), st.none() | st.integers(0, 10**9))
def test_every_fingerprint_arrives_in_its_columns(
    given_items: list[list[Fingerprint]], age: AgeBand, number: int | None
) -> None:
    case = "" if number is None else case_number(number)
    request_id = bytes(range(16))
    sent = requests.register(
        [MediaItem(MediaKind.IMAGE, columns(item_rows)) for item_rows in given_items],
        request_id=request_id,
        opens=requests.access(case.lower().replace("-", " "), "1234 5678"),
        age=age,
    )
    got = registration_pb2.RegisterHashesRequest.FromString(sent.SerializeToString())
    assert got.context.request_id == request_id
    assert (got.context.access.case_number, got.context.access.pin) == (case, "12345678")
    assert got.context.age_band == age.value
    for item, expected in zip(got.items, given_items, strict=True):
        sent_columns, count = item.fingerprints, len(expected)
        rows = [
            Fingerprint(PdqHash(bytes(hash_)), quality, Profile(profile), plan, ordinal)
            for hash_, quality, profile, plan, ordinal in zip(
                np.frombuffer(sent_columns.hashes, np.uint8).reshape(-1, 32),
                sent_columns.qualities,
                sent_columns.profiles or [Profile.PDQ_512] * count,
                sent_columns.plans or [0] * count,
                sent_columns.ordinals or [0] * count,
                strict=True,
            )
        ]
        assert rows == expected


def test_pins_are_twelve_digits_and_differ() -> None:
    pins = {new_pin() for _ in range(200)}
    assert len(pins) > 190
    assert all(len(pin) == 12 and pin.isascii() and pin.isdigit() for pin in pins)


@pytest.mark.parametrize("text", ["", "0" * 31, "0" * 33, "zz" * 16, "00 " * 10 + "00"])
def test_what_is_no_item_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        requests.item_id(text)


@pytest.mark.parametrize(
    ("case", "pin"), [("ABCD", "12345678"), ("", "1234567"), ("", "1234567x"), ("", "")]
)
def test_what_opens_no_case_is_refused_before_anything_is_sent(case: str, pin: str) -> None:
    with pytest.raises(InvalidRequestError):
        requests.access(case, pin)
