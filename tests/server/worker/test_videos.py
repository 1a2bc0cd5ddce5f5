"""Videos are registered and looked up through a real server, in parts, with the segments found."""

from __future__ import annotations

import io
import secrets as random
import threading
from collections.abc import Iterator
from itertools import chain
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from disrupt.core.videos import FRAME
from disrupt.hashing.videos.frames import hash_video
from disrupt.v1 import match_pb2, registration_pb2, types_pb2
from disrupt.wire.videos import VERSIONS_MAX, frames_message
from rig.callers.caller import Caller, access, calling, outcome, refusal
from rig.media.videos import Codec, encode, footage
from rig.processes.running import processes
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.waiting import eventually

DECODER = "disrupt.isolation.video_worker"
MKV = Codec("matroska")
SECRET = list(footage(11, seconds=6, size=(320, 240)))
UNRELATED = list(footage(12, seconds=20, size=(320, 240)))
COMPILATION = [*UNRELATED[:95], *SECRET, *UNRELATED[95:]]
"""The secret from 9.5 s to 15.5 s."""
ENDLESS = b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\1mdat" + (1 << 40).to_bytes(8)
"""An MP4 file whose index comes after a terabyte."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    settings = f"video_stall_s = 3\nmax_video_mib = 8\n{FEW_DECODERS}"
    data_dir = tmp_path_factory.mktemp("server") / "data"
    with Deployment.start(data_dir, workers=1, settings=settings) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def registered(server: Deployment, secrets: dict[str, str]) -> registration_pb2.Receipt:
    """Register the secret by staff, and wait until it matches."""
    with calling(server.address, secrets["staff"]) as staff:
        answer = staff("RegisterVideo", registration(encode(SECRET, codec=MKV)))
    assert not answer.incomplete
    assert answer.frames_hashed == 24
    with calling(server.address, secrets["match"]) as platform:
        eventually(lambda: bool(platform("MatchVideo", lookup(encode(SECRET))).matches))
    receipt: registration_pb2.Receipt = answer.receipt
    return receipt


def registration(
    video: bytes, *, request_id: bytes | None = None, case: str = ""
) -> Iterator[registration_pb2.RegisterVideoRequest]:
    context = registration_pb2.RegistrationContext(
        request_id=request_id or random.token_bytes(16),
        access=access(case),
        age_band=registration_pb2.AGE_BAND_ADULT,
    )
    yield registration_pb2.RegisterVideoRequest(context=context)
    for part in parts(video):
        yield registration_pb2.RegisterVideoRequest(chunk=part)


def lookup(video: bytes, **options: Any) -> Iterator[match_pb2.MatchVideoRequest]:
    yield asked(**options)
    for part in parts(video):
        yield match_pb2.MatchVideoRequest(chunk=part)


def asked(**options: Any) -> match_pb2.MatchVideoRequest:
    return match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions(**options))


def parts(video: bytes, size_bytes: int = 1 << 15) -> Iterator[bytes]:
    return (video[at : at + size_bytes] for at in range(0, len(video), size_bytes))


def only(answer: match_pb2.MatchVideoResponse) -> match_pb2.Match:
    (match,) = answer.matches
    return match


def test_a_smaller_copy_at_another_rate_is_found_whole(
    platform: Caller, registered: registration_pb2.Receipt
) -> None:
    small = [np.asarray(Image.fromarray(frame).resize((160, 120))) for frame in SECRET]
    answer = platform("MatchVideo", lookup(encode(small, codec=Codec("webm", "libvpx"))))
    match = only(answer)
    assert match.item_id == registered.items[0].item_id
    assert (match.bank, match.kind) == ("adults", types_pb2.MEDIA_KIND_VIDEO)
    assert match.distance_bits <= 31
    assert match.match_id
    assert min(match.query_share_permille, match.stored_share_permille) >= 900
    (segment,) = match.segments
    for measured, expected in (
        (segment.query_start_ms, 0),
        (segment.query_end_ms, 6000),
        (segment.stored_start_ms, 0),
        (segment.stored_end_ms, 6000),
    ):
        assert abs(measured - expected) <= 1000
    assert (answer.frames_hashed, answer.frames_low_quality) == (6, 0)
    assert not any((answer.incomplete, answer.answered_early, answer.truncated))
    assert answer.index_cursor


def test_it_is_found_inside_a_compilation_mirrored(
    platform: Caller, registered: registration_pb2.Receipt
) -> None:
    mirrored = [np.ascontiguousarray(frame[:, ::-1]) for frame in COMPILATION]
    match = only(platform("MatchVideo", lookup(encode(mirrored))))
    assert match.item_id == registered.items[0].item_id
    assert match.query_transform.dihedral == types_pb2.DIHEDRAL_MIRROR
    (segment,) = match.segments
    assert abs(segment.query_start_ms - 9500) <= 1000
    assert abs(segment.query_end_ms - 15_500) <= 1000
    as_it_is = match_pb2.MatchOptions(effort=types_pb2.EFFORT_FAST)
    assert not platform("MatchVideo", lookup(encode(mirrored), options=as_it_is)).matches


def test_frames_hashed_by_the_caller_get_the_same_answer(
    platform: Caller, registered: registration_pb2.Receipt
) -> None:
    video = encode(COMPILATION)
    rows, _ = hash_video(io.BytesIO(video))
    halves = (rows[:40], rows[40:])
    here = platform(
        "MatchVideo",
        chain(
            [asked()], (match_pb2.MatchVideoRequest(frames=frames_message(half)) for half in halves)
        ),
    )
    there = platform("MatchVideo", lookup(video))
    assert only(here).item_id == registered.items[0].item_id
    for answer in (here, there):
        only(answer).match_id = b""
    assert here == there


@pytest.mark.usefixtures("registered")
def test_an_early_answer_comes_without_the_rest(platform: Caller) -> None:
    sent = threading.Event()
    shown = encode([*SECRET, *UNRELATED, *UNRELATED], codec=MKV)

    def endless() -> Iterator[match_pb2.MatchVideoRequest]:
        yield asked(answer_early=True, sample_interval_ms=250)
        for part in parts(shown[: len(shown) * 3 // 4]):
            yield match_pb2.MatchVideoRequest(chunk=part)
        sent.wait(30)  # the rest of the video never comes

    answer = platform("MatchVideo", endless())
    sent.set()
    assert answer.answered_early
    assert only(answer).segments


def versions(count: int) -> match_pb2.MatchVideoRequest:
    """Return a request of one frame in ``count`` versions."""
    rows = np.zeros(count, FRAME)
    rows["usable"], rows["quality"], rows["end_ms"] = 1, 90, 1000
    return match_pb2.MatchVideoRequest(frames=frames_message(rows))


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "part"),
        ([match_pb2.MatchVideoRequest(chunk=b"x")], "part"),
        ([asked(), asked()], "part"),
        ([asked(), match_pb2.MatchVideoRequest()], "part"),
        ([asked(), match_pb2.MatchVideoRequest(chunk=bytes((1 << 20) + 1))], "chunk"),
        ([asked()], "video"),
        ([asked(), match_pb2.MatchVideoRequest(chunk=b"no video" * 99)], "video"),
        ([asked(sample_interval_ms=39)], "options.sample_interval_ms"),
        ([asked(min_query_share_permille=1001)], "options.min_query_share_permille"),
        ([asked(), match_pb2.MatchVideoRequest(frames=types_pb2.Fingerprints())], "frames.hashes"),
        ([asked(), versions(VERSIONS_MAX + 1)], "frames.start_ms"),
    ],
)
def test_parts_that_make_no_video_are_refused_by_name(
    requests: list[match_pb2.MatchVideoRequest], field: str, platform: Caller
) -> None:
    refused = refusal(lambda: platform("MatchVideo", iter(requests)))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields == (field,)


def test_a_video_that_is_refused_before_its_end_is_refused_by_name(
    platform: Caller, staff: Caller
) -> None:
    ended = threading.Event()
    junk = random.token_bytes(1 << 20)

    def asking() -> Iterator[match_pb2.MatchVideoRequest]:
        yield asked()
        for _ in range(6):
            yield match_pb2.MatchVideoRequest(chunk=junk)
        ended.wait()  # the rest never comes

    def registering() -> Iterator[registration_pb2.RegisterVideoRequest]:
        yield from registration(junk * 6)
        ended.wait()

    answers = [
        refusal(lambda: platform("MatchVideo", asking())),
        refusal(lambda: staff("RegisterVideo", registering())),
    ]
    ended.set()
    assert {(answer.reason, answer.fields) for answer in answers} == {("INVALID_MEDIA", ("video",))}


def test_a_frame_may_have_all_its_turns_of_some_regions(platform: Caller) -> None:
    answer = platform("MatchVideo", iter([asked(), versions(VERSIONS_MAX)]))
    assert answer.frames_hashed == 1


def test_more_bytes_than_the_limit_are_refused_and_the_limit_named(platform: Caller) -> None:
    def endless() -> Iterator[match_pb2.MatchVideoRequest]:
        yield asked()
        yield match_pb2.MatchVideoRequest(chunk=ENDLESS)
        while True:
            yield match_pb2.MatchVideoRequest(chunk=bytes(1 << 20))

    refused = refusal(lambda: platform("MatchVideo", endless()))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert str(8 << 20) in refused.message
    status = platform("GetIndexStatus", match_pb2.GetIndexStatusRequest())
    assert status.limits.video_bytes == 8 << 20
    assert status.limits.video_pixels == 4096 * 2304
    assert status.limits.video_seconds == 3 * 3600


def test_who_stops_sending_is_told_and_who_disappears_leaves_the_decoder_to_others(
    server: Deployment, platform: Caller
) -> None:
    video = encode(SECRET, codec=MKV)
    ended = threading.Event()

    def stopping() -> Iterator[match_pb2.MatchVideoRequest]:
        yield asked()
        yield match_pb2.MatchVideoRequest(chunk=video[: len(video) // 2])
        ended.wait()

    refused = refusal(lambda: platform("MatchVideo", stopping()))
    assert refused.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "3 s" in refused.message
    assert outcome(lambda: platform("MatchVideo", stopping(), timeout=0.5)) == (
        grpc.StatusCode.DEADLINE_EXCEEDED
    )
    ended.set()
    (worker,) = processes(server.process.pid, "worker")
    decoders = processes(worker, DECODER)
    assert platform("MatchVideo", lookup(video)).frames_hashed == 6
    assert processes(worker, DECODER) == decoders != []


@pytest.mark.parametrize(
    ("who", "method", "begun"),
    [
        ("platform", "MatchVideo", []),
        ("platform", "MatchVideo", [asked()]),
        ("platform", "MatchVideo", [asked(), versions(1)]),
        ("staff", "RegisterVideo", []),
    ],
)
def test_who_stops_sending_is_told(
    request: pytest.FixtureRequest, who: str, method: str, begun: list[match_pb2.MatchVideoRequest]
) -> None:
    caller: Caller = request.getfixturevalue(who)
    ended = threading.Event()

    def stopping() -> Iterator[match_pb2.MatchVideoRequest]:
        yield from begun
        ended.wait()

    refused = refusal(lambda: caller(method, stopping(), timeout=30))
    ended.set()
    assert refused.code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "for 3 s" in refused.message


def test_a_broken_file_registers_its_beginning_and_says_so(staff: Caller) -> None:
    video = encode([*SECRET, *UNRELATED], codec=MKV)
    answer = staff("RegisterVideo", registration(video[: len(video) // 2]))
    assert answer.incomplete
    assert answer.receipt.case_number
    assert answer.receipt.items[0].hashes > 1


def test_a_registration_is_replayed_and_a_plain_video_rejected(staff: Caller) -> None:
    video, request_id = encode(UNRELATED[:30]), random.token_bytes(16)
    first, second = (
        staff("RegisterVideo", registration(video, request_id=request_id)) for _ in range(2)
    )
    assert first == second
    black = encode([np.zeros_like(UNRELATED[0])] * 10)
    rejected = staff("RegisterVideo", registration(black)).receipt
    assert not rejected.case_number
    assert [rejection.index for rejection in rejected.rejected] == [0]
