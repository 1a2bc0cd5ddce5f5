"""Lookups ask what they have to, within the server's limit, and merge the answers; no server."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.client import requests
from disrupt.client.lookups import Call, Lookups, Steps
from disrupt.client.requests import Batch
from disrupt.core.hashes import HASH_BYTES, PdqHash
from disrupt.core.media import LowQuality, Profile
from disrupt.core.transforms import Dihedral, Transform
from disrupt.errors import DisruptError, InvalidRequestError
from disrupt.hashing import ImageQuery
from disrupt.v1 import match_pb2, types_pb2

Answer = TypeVar("Answer")
OPTIONS = requests.options(None, 10, ())


class Server:
    """Answers in memory; an item near a hash has the hash's first half as its id."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.steps: list[list[str]] = []
        self.sizes: list[int] = []

    def run(self, steps: Steps[Answer]) -> Answer:
        answers = None
        while True:
            try:
                step = steps.send(answers)
            except StopIteration as end:
                answer: Answer = end.value
                return answer
            self.steps.append([call.method for call in step])
            answers = [self._answer(call) for call in step]

    def _answer(self, call: Call) -> object:
        if isinstance(call.request, match_pb2.GetIndexStatusRequest):
            limits = match_pb2.Limits(hashes_per_lookup=self.limit)
            return call.answer(match_pb2.GetIndexStatusResponse(limits=limits))
        if isinstance(call.request, match_pb2.MatchImageRequest):
            return call.answer(match_pb2.MatchImageResponse(quality=len(call.request.image)))
        assert isinstance(call.request, match_pb2.MatchHashesRequest)
        packed = call.request.hashes
        count = len(packed) // HASH_BYTES
        self.sizes.append(count)
        hashes = [packed[at * HASH_BYTES : (at + 1) * HASH_BYTES] for at in range(count)]
        columns = match_pb2.MatchColumns(
            queries=range(count),
            item_ids=b"".join(hash_[:16] for hash_ in hashes),
            distances_bits=[hash_[16] for hash_ in hashes],
            bank_names=["adults"],
            banks=[0] * count,
            assurances=[1] * count,  # type: ignore[list-item]
            kinds=[1] * count,  # type: ignore[list-item]
            variants=[types_pb2.Variant()] * count,
            match_ids=[b""] * count,
        )
        return call.answer(match_pb2.MatchHashesResponse(matches=columns, index_cursor="cursor"))


def hash_of(item: int, distance_bits: int = 0) -> PdqHash:
    return PdqHash(item.to_bytes(16) + bytes([distance_bits]) + bytes(15))


@given(count=st.integers(0, 300), limit=st.integers(0, 150))
def test_every_hash_is_answered_in_its_place_by_parts_that_the_server_accepts(
    count: int, limit: int
) -> None:
    server = Server(limit)
    batch = Batch([hash_of(item) for item in range(count)])
    answers = server.run(Lookups().hashes(batch, OPTIONS, Profile.UNKNOWN))
    assert [int(answer.matches[0].item_id, 16) for answer in answers] == list(range(count))
    most = 64 if count <= 64 or not limit else limit
    parts = -(-count // most)
    assert server.steps == [["GetIndexStatus"]] * (count > 64) + [["MatchHashes"] * parts]
    assert max(server.sizes, default=0) <= most


def test_the_limit_is_asked_for_again_once_it_may_have_changed() -> None:
    times_s = [1000.0]
    server, lookups = Server(90), Lookups(clock=lambda: times_s[-1])
    batch = Batch(bytes(100 * HASH_BYTES))
    asked = []
    for after_s in (0, requests.LIMIT_HOLDS_S - 1, requests.LIMIT_HOLDS_S):
        times_s.append(1000.0 + after_s)
        server.steps.clear()
        server.run(lookups.hashes(batch, OPTIONS, Profile.UNKNOWN))
        asked.append(["GetIndexStatus"] in server.steps)
    assert asked == [True, False, True]


def test_the_parts_of_a_flow_are_made_without_sending_them() -> None:
    server = Server(90)
    batch = Batch(bytes(100 * HASH_BYTES), [50] * 100)
    parts = server.run(Lookups().parts(batch, OPTIONS, Profile.PDQ_512))
    assert [requests.count(part) for part in parts] == [90, 10]
    assert b"".join(part.qualities for part in parts) == bytes([50] * 100)
    assert server.steps == [["GetIndexStatus"]]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 31)), min_size=1, max_size=200),
    st.integers(1, 100),
)
def test_a_picture_is_answered_by_the_nearest_version_of_each_item_however_it_is_split(
    versions: list[tuple[int, int]], limit: int
) -> None:
    transforms = [Transform(Dihedral.IDENTITY, at % 1000, 0, 0, 0) for at in range(len(versions))]
    hashes = tuple(
        (hash_of(item, distance_bits), transform)
        for (item, distance_bits), transform in zip(versions, transforms, strict=True)
    )
    options = requests.options(None, 1000, ())
    answer = Server(limit).run(Lookups().image(ImageQuery(80, hashes), options))
    nearest: dict[int, tuple[int, Transform]] = {}
    for (item, distance_bits), transform in zip(versions, transforms, strict=True):
        if item not in nearest or distance_bits < nearest[item][0]:
            nearest[item] = distance_bits, transform
    assert {
        int(match.item_id, 16): (match.distance_bits, match.query_transform)
        for match in answer.matches
    } == nearest
    assert [match.distance_bits for match in answer.matches] == sorted(
        distance_bits for distance_bits, _ in nearest.values()
    )


def test_a_picture_that_is_sent_is_one_call_and_a_featureless_one_none() -> None:
    server = Server(90)
    assert server.run(Lookups().image(b"picture", OPTIONS)).quality == len(b"picture")
    assert server.steps == [["MatchImage"]]
    answer = server.run(Lookups().image(LowQuality(quality=3), OPTIONS))
    assert (answer.low_quality, answer.quality) == (True, 3)
    assert server.steps == [["MatchImage"]]


def test_wrong_arguments_and_answers_that_do_not_fit_end_a_lookup() -> None:
    with pytest.raises(InvalidRequestError):
        next(Lookups().hashes(Batch(bytes(31)), OPTIONS, Profile.UNKNOWN))
    with pytest.raises(InvalidRequestError):
        next(Lookups().index_status("\ud800"))
    (call,) = next(Lookups().hashes(Batch(bytes(32)), OPTIONS, Profile.UNKNOWN))
    with pytest.raises(DisruptError, match="does not fit"):
        call.answer(match_pb2.MatchHashesResponse(truncated_queries=[1]))
