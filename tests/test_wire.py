"""Messages from the wire are checked, and errors name the field."""

from __future__ import annotations

import ast
import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.core.cases import AgeBand, case_number, new_case_number
from disrupt.core.lookups import Effort
from disrupt.core.media import FINGERPRINT, MediaKind, Profile
from disrupt.core.videos import FRAME
from disrupt.errors import (
    DisruptError,
    InvalidRequestError,
    OverloadedError,
    RequestIdReusedError,
    Violation,
)
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, types_pb2
from disrupt.wire import errors, feed, match, registration, videos
from disrupt.wire.fields import fingerprints, fingerprints_message

SERVER = Path(__file__).parents[1] / "disrupt/server"
HASH = bytes(range(32))
NUMBER = case_number(7)


def fields(error: pytest.ExceptionInfo[InvalidRequestError]) -> list[str]:
    return [violation.field for violation in error.value.violations]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "hashes"),
        ({"hashes": HASH[:-1]}, "hashes"),
        ({"hashes": HASH * 4}, "hashes"),
        ({"hashes": HASH.hex().encode()}, "hashes"),
        ({"hashes": HASH.hex().upper().encode()}, "hashes"),
        ({"hashes": HASH, "qualities": b"\x64\x64"}, "qualities"),
        ({"hashes": HASH * 2, "qualities": b"\x64\x65"}, "qualities[1]"),
        ({"hashes": HASH, "options": {"max_matches": 1001}}, "options.max_matches"),
        ({"hashes": HASH, "options": {"banks": ["a"] * 65}}, "options.banks"),
        ({"hashes": HASH * 2, "uploads": 0}, "uploads"),
        ({"hashes": HASH * 2, "uploads": 3}, "uploads"),
        ({"hashes": HASH * 2, "uploads": 2**32 - 1}, "uploads"),
    ],
)
def test_a_wrong_batch_is_refused_by_field(request_: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        match.hash_lookup(match_pb2.MatchHashesRequest(**request_), most=3)
    assert fields(refused) == [field]


@pytest.mark.parametrize(
    "hashes",
    [HASH.hex().encode()[:32], HASH.hex().encode() + HASH, HASH + HASH.hex().encode(), b"g" * 64],
    ids=repr,
)
def test_one_hash_that_looks_like_hex_digits_keeps_no_other_from_being_looked_up(
    hashes: bytes,
) -> None:
    lookup = match.hash_lookup(match_pb2.MatchHashesRequest(hashes=hashes), most=3)
    assert lookup.hashes.tobytes() == hashes


def test_a_batch_says_which_rows_are_searched() -> None:
    message = match_pb2.MatchHashesRequest(hashes=HASH * 3, qualities=bytes([50, 49, 100]))
    lookup = match.hash_lookup(message, most=3)
    assert lookup.searched is not None
    assert lookup.searched.tolist() == [0, 2]
    assert lookup.queries.shape == (2, 32)
    assert lookup.rows(np.array([1], np.uint32)) == [2]
    assert lookup.low_quality == [1]
    assert lookup.options.max_distance_bits is None
    assert (lookup.options.max_matches, lookup.options.effort) == (10, Effort.STANDARD)


def test_a_threshold_of_zero_is_not_an_absent_one() -> None:
    asked = match.options(match_pb2.MatchOptions(max_distance_bits=0))
    assert asked.max_distance_bits == 0


def context(**changed: Any) -> registration_pb2.RegistrationContext:
    said: dict[str, Any] = {
        "request_id": bytes(16),
        "access": {"case_number": NUMBER, "pin": "123456789012"},
        "age_band": registration_pb2.AGE_BAND_ADULT,
    }
    return registration_pb2.RegistrationContext(**(said | changed))


def item(**columns: Any) -> registration_pb2.MediaItem:
    kind = columns.pop("kind", types_pb2.MEDIA_KIND_IMAGE)
    said = {"hashes": HASH, "qualities": b"\x64"} | columns
    return registration_pb2.MediaItem(kind=kind, fingerprints=types_pb2.Fingerprints(**said))


VIDEO = types_pb2.MEDIA_KIND_VIDEO


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"items": []}, "items"),
        ({"context": context(request_id=b"x")}, "context.request_id"),
        ({"context": context(access={"pin": "1234567"})}, "context.access.pin"),
        (
            {"context": context(access={"case_number": "ABC", "pin": "123456789012"})},
            "context.access.case_number",
        ),
        (
            {"context": context(access={"pin": "123456789012", "origin_token": bytes(65)})},
            "context.access.origin_token",
        ),
        (
            {"context": context(new_case_number=new_case_number(bytes(16)))},
            "context.new_case_number",  # the request adds to a case
        ),
        (
            {"context": context(access={"pin": "123456789012"}, new_case_number=NUMBER)},
            "context.new_case_number",
        ),
        ({"items": [item(kind=0)]}, "items[0].kind"),
        ({"items": [item(), item(hashes=b"")]}, "items[1].fingerprints.hashes"),
        ({"items": [item(hashes=HASH + b"x")]}, "items[0].fingerprints.hashes"),
        ({"items": [item(qualities=b"")]}, "items[0].fingerprints.qualities"),
        ({"items": [item(qualities=b"\xff")]}, "items[0].fingerprints.qualities[0]"),
        ({"items": [item(profiles=[1, 2])]}, "items[0].fingerprints.profiles"),
        ({"items": [item(plans=[65536])]}, "items[0].fingerprints.plans[0]"),
        ({"items": [item(), item(plans=[3])]}, "items[1].fingerprints.plans[0]"),
        ({"items": [item(ordinals=[65536])]}, "items[0].fingerprints.ordinals[0]"),
        ({"items": [item(start_ms=[1])]}, "items[0].fingerprints.start_ms"),
        ({"items": [item(kind=VIDEO)]}, "items[0].fingerprints.start_ms"),
        (
            {"items": [item(kind=VIDEO, start_ms=[5], end_ms=[4])]},
            "items[0].fingerprints.end_ms[0]",
        ),
    ],
)
def test_a_wrong_registration_is_refused_by_field(request_: dict[str, Any], field: str) -> None:
    message = registration_pb2.RegisterHashesRequest(
        **{"context": context(), "items": [item()], **request_}
    )
    with pytest.raises(InvalidRequestError) as refused:
        registration.registration(message)
    assert fields(refused) == [field]
    assert "123456789012" not in refused.value.message


def test_values_that_a_later_version_may_add_are_no_error() -> None:
    message = registration_pb2.RegisterHashesRequest(
        context=context(age_band=99), items=[item(profiles=[99])]
    )
    asked = registration.registration(message)
    assert asked.age_band == AgeBand.MINOR
    assert asked.items[0].fingerprints["profile"].tolist() == [Profile.UNKNOWN]


@pytest.mark.parametrize(
    ("item_ids", "numbers"), [([], []), ([bytes(16), bytes(15)], []), ([bytes(16)], [1, 0])]
)
def test_what_names_items_is_checked(item_ids: list[bytes], numbers: list[int]) -> None:
    message = registration_pb2.WithdrawItemsRequest(item_ids=item_ids, item_numbers=numbers)
    with pytest.raises(InvalidRequestError):
        registration.named_items(message)


def test_a_case_is_asked_for_by_a_number() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        registration.access(registration_pb2.CaseAccess(pin="123456789012"))
    assert fields(refused) == ["access.case_number"]


def test_a_page_has_a_most() -> None:
    assert feed.page_size(feed_pb2.ListChangesRequest()) == 100
    with pytest.raises(InvalidRequestError) as refused:
        feed.page_size(feed_pb2.ListChangesRequest(page_size=1001))
    assert fields(refused) == ["page_size"]


_ROW = st.tuples(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 100),
    st.integers(0, 2),
    st.integers(0, 65535),
    st.integers(0, 65535),
    st.integers(0, 2**31),
    st.integers(0, 2**31 - 1),  # both fields together are a u32
)


@given(st.lists(_ROW, min_size=1, max_size=5), st.sampled_from(MediaKind))
@settings(max_examples=80)
def test_fingerprints_come_back_as_they_went(rows: list[Any], kind: MediaKind) -> None:
    array = np.zeros(len(rows), FINGERPRINT)
    for at, (value, quality, profile, plan, ordinal, start, length) in enumerate(rows):
        end = start + length if kind == MediaKind.VIDEO else 0
        start_ms = start if kind == MediaKind.VIDEO else 0
        value_array = np.frombuffer(value, np.uint8)
        array[at] = (value_array, quality, profile, plan, ordinal, start_ms, end)
    message = fingerprints_message(array, kind)
    parsed = types_pb2.Fingerprints.FromString(message.SerializeToString())
    assert fingerprints(parsed, kind, path="x").tobytes() == array.tobytes()


def frame_rows(*times_ms: tuple[int, int]) -> np.ndarray:
    rows = np.zeros(len(times_ms), FRAME)
    rows["hash"] = np.arange(len(rows))[:, None]
    rows["start_ms"], rows["end_ms"] = np.transpose(times_ms)
    rows["usable"], rows["quality"] = 1, 90
    rows["dihedral"] = np.arange(len(rows)) % 8
    return rows


def test_frames_come_back_with_the_versions_that_have_their_times() -> None:
    rows = frame_rows((0, 500), (0, 500), (0, 900), (900, 1000), (900, 1000))
    came = list(videos.frames(videos.frames_message(rows)))
    assert [len(versions) for versions in came] == [2, 1, 2]
    assert (np.concatenate(came) == rows).all()


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("sample_interval_ms", [40, 60_000], [39, 60_001]),
        ("min_query_share_permille", [0, 1000], [1001]),
        ("min_stored_share_permille", [0, 1000], [1001]),
    ],
)
def test_a_wrong_option_of_a_lookup_by_video_is_refused_by_field(
    name: str, accepted: list[int], refused: list[int]
) -> None:
    def convert(value: int) -> None:
        options: dict[str, Any] = {name: value}
        videos.video_options(match_pb2.MatchVideoOptions(**options))

    for value in accepted:
        convert(value)
    for value in refused:
        with pytest.raises(InvalidRequestError) as error:
            convert(value)
        assert fields(error) == [f"options.{name}"]


@pytest.mark.parametrize(
    "times_ms",
    [[(500, 1000), (0, 500)], [(0, 500), (500, 1000), (499, 1000)], [(0, 1)] * 65],
    ids=["back", "back by 1 ms", "too many versions"],
)
def test_wrong_frames_are_refused_by_field(times_ms: list[tuple[int, int]]) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        list(videos.frames(videos.frames_message(frame_rows(*times_ms))))
    assert fields(refused) == ["frames.start_ms"]


def _classes(root: type[DisruptError]) -> list[type[DisruptError]]:
    return [root, *(class_ for subclass in root.__subclasses__() for class_ in _classes(subclass))]


def test_every_error_has_a_code_and_no_two_share_a_reason() -> None:
    classes = _classes(DisruptError)
    assert {class_.status for class_ in classes} <= {code.name for code in grpc.StatusCode}
    assert len({class_.reason for class_ in classes}) == len(classes)


def test_errors_carry_google_rpc_details() -> None:
    status = errors.status(OverloadedError("Busy.", retry_after_s=1.5, limit="4"))
    (value,) = (
        value for name, value in status.trailing_metadata or () if name == errors.DETAILS_KEY
    )
    assert (status.code, status.details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Busy.")
    parsed = rpc_status.status_pb2.Status.FromString(value)  # type: ignore[attr-defined]
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert parsed.details[0].Unpack(info)
    assert parsed.details[1].Unpack(retry)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "OVERLOADED",
        "disrupt",
        {"limit": "4"},
    )
    assert retry.retry_delay.ToMilliseconds() == 1500


@pytest.mark.parametrize("character", ["x", "\u20ac", "\U0001f600", "\ud800"])
def test_errors_stay_within_what_clients_take_as_metadata(character: str) -> None:
    many = tuple(Violation(f"items[{at}]", character * 10_000) for at in range(1000))
    status = errors.status(InvalidRequestError.of(*many))
    assert isinstance(status.details, str)
    ((_, packed),) = status.trailing_metadata or ()
    assert isinstance(packed, bytes)
    size = len(quote(status.details)) + len(base64.b64encode(packed))
    assert size < 8192 - 500  # other entries take 500 bytes at most
    assert errors.status(RequestIdReusedError("x")).code == grpc.StatusCode.ALREADY_EXISTS


def test_the_server_makes_its_messages_in_the_wire_only() -> None:
    desk = SERVER / "desk.py"  # whose methods are the RPCs
    made = [
        f"{path.relative_to(SERVER)}:{call.lineno}"
        for path in SERVER.rglob("*.py")
        if path != desk
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id.endswith("_pb2")
        and call.func.value.id != "health_pb2"  # gRPC's own
    ]
    assert made == []
