"""Calls raise the classes of disrupt.errors, and repeat a call where that can help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.client import MatchClient, RetryPolicy
from disrupt.client.retries import Attempts
from disrupt.core.hashes import HASH_BYTES
from disrupt.errors import (
    DeadlineExceededError,
    DisruptError,
    InvalidRequestError,
    LimitExceededError,
    OverloadedError,
    StorageFullError,
    UnauthenticatedError,
    UnavailableError,
    Violation,
)
from disrupt.v1 import match_pb2, types_pb2
from rig.callers.sdk import Call
from rig.servers.scripted import scripted, status_of

ATTEMPTS = 4
QUICK: dict[str, Any] = {
    "retries": RetryPolicy(attempts=ATTEMPTS, first_pause_s=0.01, longest_pause_s=0.02),
    "timeout_s": 60,
}
HASH = bytes(HASH_BYTES)
EMPTY = match_pb2.MatchHashesResponse(index_cursor="cursor")


def classes(root: type[DisruptError] = DisruptError) -> Iterator[type[DisruptError]]:
    yield root
    for subclass in root.__subclasses__():
        yield from classes(subclass)


@pytest.mark.parametrize("of", list(classes()), ids=lambda of: of.__name__)
def test_every_error_comes_back_as_itself(of: type[DisruptError]) -> None:
    said = of.__new__(of)
    DisruptError.__init__(
        said,
        "What to do.",
        violations=(Violation("options.banks", "no such bank"),),
        retry_after_s=0.25,
        limit="7",
    )
    with (
        scripted(status_of(said)) as server,
        MatchClient(server.address, key="key", retries=RetryPolicy(attempts=1)) as client,
        pytest.raises(DisruptError) as raised,
    ):
        client.index_status()
    got = raised.value
    assert type(got) is of
    assert (got.status, got.reason, got.message) == (of.status, of.reason, "What to do.")
    assert (got.violations, got.retry_after_s) == (said.violations, 0.25)
    assert got.metadata == {"limit": "7"}


def test_a_reason_of_a_newer_server_keeps_its_name_under_the_class_of_its_status() -> None:
    newer = InvalidRequestError("Too new.")
    newer.reason = "TOO_NEW"
    with (
        scripted(status_of(newer)) as server,
        MatchClient(server.address, key="key") as client,
        pytest.raises(InvalidRequestError) as raised,
    ):
        client.index_status()
    assert raised.value.reason == "TOO_NEW"


def test_details_that_cannot_be_read_do_not_hide_the_failure() -> None:
    torn = any_pb2.Any(type_url="type.googleapis.com/google.rpc.BadRequest", value=b"\xff")
    status = status_pb2.Status(code=3, message="Wrong.", details=[torn])
    with (
        scripted(status) as server,
        MatchClient(server.address, key="key") as client,
        pytest.raises(InvalidRequestError, match=r"Wrong\."),
    ):
        client.index_status()


@pytest.mark.parametrize(
    "failing",
    [
        status_of(UnavailableError("Away.")),
        status_of(OverloadedError("Busy.", retry_after_s=0.01)),
        status_of(OverloadedError("Busy, and does not say how long.")),
        status_pb2.Status(code=grpc.StatusCode.CANCELLED.value[0], message="draining"),
    ],
    ids=["unavailable", "overloaded", "overloaded-without-retry-info", "draining"],
)
def test_a_busy_or_absent_server_is_asked_again_until_it_answers(
    call: Call, failing: status_pb2.Status
) -> None:
    with scripted(*[failing] * 3, EMPTY) as server:
        (answer,) = call("match_hashes", HASH, address=server.address, settings=QUICK)
    assert answer.index_cursor == "cursor"
    assert len(server.seen) == 4
    assert len({call.request for call in server.seen}) == 1


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (OverloadedError("Busy.", retry_after_s=0.01), ATTEMPTS),
        (OverloadedError("Busy beyond the deadline.", retry_after_s=3600), 1),
        (LimitExceededError("Too many.", retry_after_s=0.01), 1),
        (StorageFullError("Full.", retry_after_s=0.01), 1),
        (InvalidRequestError("Wrong."), 1),
        (UnauthenticatedError("Unknown key."), 1),
    ],
    ids=str,
)
def test_a_failure_is_raised_after_the_attempts_that_can_help(
    call: Call, error: DisruptError, attempts: int
) -> None:
    with scripted(status_of(error)) as server, pytest.raises(type(error)) as raised:
        call("match_hashes", HASH, address=server.address, settings=QUICK)
    assert len(server.seen) == attempts
    assert raised.value.retry_after_s == error.retry_after_s


def test_a_message_over_the_limit_of_grpc_is_a_limit_and_asked_once() -> None:
    with (
        scripted(match_pb2.MatchImageResponse()) as server,
        MatchClient(server.address, key="key", **QUICK) as client,
        pytest.raises(LimitExceededError),
    ):
        client.match_image(bytes(5 * 2**20), hash_locally=False)
    assert server.seen == []


def test_a_server_that_does_not_answer_in_time_is_its_own_error(call: Call) -> None:
    with scripted(EMPTY) as server, server.lock:
        for settings, named in ((QUICK | {"timeout_s": 0.3}, {}), (QUICK, {"timeout_s": 0.3})):
            with pytest.raises(DeadlineExceededError, match=server.address):
                call("match_hashes", HASH, address=server.address, settings=settings, **named)


@given(
    st.floats(0.01, 10),
    st.floats(0.01, 10),
    st.floats(0, 0.999),
    st.none() | st.floats(0, 20),
    st.floats(0.1, 100),
)
@settings(max_examples=100)
def test_pauses_honour_retry_info_with_jitter_on_top_and_end_with_the_deadline(
    first_s: float, longest_s: float, jitter: float, retry_after_s: float | None, timeout_s: float
) -> None:
    now_s = 0.0
    attempts = Attempts(
        RetryPolicy(5, first_s, longest_s), timeout_s, clock=lambda: now_s, jitter=lambda: jitter
    )
    error = OverloadedError("Busy.", retry_after_s=retry_after_s)
    pauses = 0
    try:
        while True:
            pause_s = attempts.pause_s(error)
            left_s = timeout_s - now_s
            backoff_s = min(longest_s, first_s * 2**pauses, max(first_s, left_s / 2))
            least_s = retry_after_s or 0.0
            assert least_s + backoff_s / 2 <= pause_s <= least_s + backoff_s
            pauses += 1
            now_s += pause_s
            assert now_s < timeout_s
            assert attempts.remaining_s() == timeout_s - now_s
    except OverloadedError as raised:
        assert raised is error  # noqa: PT017 how many pauses come before it is what is asked
    assert pauses <= 4


def echo(request: bytes) -> match_pb2.MatchHashesResponse:
    """Answer one match per query, with the hash's first half as its item id."""
    hashes = match_pb2.MatchHashesRequest.FromString(request).hashes
    count = len(hashes) // HASH_BYTES
    return match_pb2.MatchHashesResponse(
        matches=match_pb2.MatchColumns(
            queries=range(count),
            item_ids=b"".join(hashes[at * 32 : at * 32 + 16] for at in range(count)),
            distances_bits=[0] * count,
            bank_names=["adults"],
            banks=[0] * count,
            assurances=[1] * count,  # type: ignore[list-item]
            kinds=[1] * count,  # type: ignore[list-item]
            variants=[types_pb2.Variant()] * count,
            match_ids=[b""] * count,
            stored_areas_permille=[0] * count,
        )
    )


def test_many_hashes_are_asked_for_by_the_thousand_over_several_connections(
    call: Call,
) -> None:
    batch = b"".join(at.to_bytes(16) + bytes(16) for at in range(5_500))
    with scripted(echo) as server:
        answers = call("match_hashes", batch, address=server.address, settings=QUICK)
    assert [answer.matches[0].item_id for answer in answers] == [
        at.to_bytes(16).hex() for at in range(5_500)
    ]
    sizes = [
        len(match_pb2.MatchHashesRequest.FromString(call.request).hashes) for call in server.seen
    ]
    assert sorted(sizes) == [500 * HASH_BYTES, *[1000 * HASH_BYTES] * 5]
    assert len({call.peer for call in server.seen}) == 4


def test_an_empty_batch_asks_nothing(call: Call) -> None:
    with scripted(EMPTY) as server:
        assert call("match_hashes", b"", address=server.address, settings=QUICK) == ()
    assert server.seen == []


def test_one_part_that_fails_fails_the_batch(call: Call) -> None:
    with (
        scripted(EMPTY, status_of(StorageFullError("Full."))) as server,
        pytest.raises(StorageFullError),
    ):
        call("match_hashes", HASH * 3000, address=server.address, settings=QUICK)


def test_the_key_goes_into_the_metadata_and_nowhere_else() -> None:
    key = "key-of-a-platform"
    with scripted(EMPTY) as server, MatchClient(server.address, key=key) as client:
        client.match_hashes(HASH)
        assert key not in repr(vars(client))
    (seen,) = server.seen
    assert seen.metadata["authorization"] == f"Bearer {key}"
    assert key.encode() not in seen.request
