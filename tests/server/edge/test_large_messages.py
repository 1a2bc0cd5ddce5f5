"""Large messages cost little: messages over a limit are refused before they are decoded."""

from __future__ import annotations

import secrets as random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from disrupt.v1 import match_pb2, registration_pb2, types_pb2
from rig.callers.caller import MESSAGE_BYTES, PIN, TIMEOUT_S, calling, refusal
from rig.processes.running import peak_bytes, processes
from rig.servers.deployment import FEW_DECODERS, Deployment

EMPTY_ITEM = b"\x12\x00"
EMPTY_TRANSFORM = b"\x42\x00"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    settings = f"max_hashes_per_registration = 100\n{FEW_DECODERS}"
    data_dir = tmp_path_factory.mktemp("quiet") / "data"
    with Deployment.start(data_dir, settings=settings, workers=1) as server:
        yield server


def raw(server: Deployment, key: str, method: str, data: bytes) -> Any:
    """Send bytes as the message of a unary call."""
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(server.address, options=options) as channel:
        call: Any = channel.unary_unary(f"/disrupt.v1.{method}")
        return call(data, timeout=TIMEOUT_S * 3, metadata=(("authorization", f"Bearer {key}"),))


def field(number: int, data: bytes) -> bytes:
    """Encode a length-delimited field."""
    length, head = len(data), bytes([number << 3 | 2])
    while length > 0x7F:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + data


REGISTRATIONS = [
    EMPTY_ITEM * (MESSAGE_BYTES // 2 - 10),
    field(2, field(2, EMPTY_TRANSFORM * (MESSAGE_BYTES // 2 - 20))),
    field(2, field(2, field(1, bytes(MESSAGE_BYTES - 40)))),
]


@pytest.mark.parametrize("message", REGISTRATIONS, ids=["items", "transforms", "hashes"])
def test_a_registration_beyond_the_limits_costs_no_memory_beside_its_bytes(
    quiet: Deployment, message: bytes
) -> None:
    key = quiet.make_key("helpline", "register")
    pids = processes(quiet.process.pid, "worker") + processes(quiet.process.pid, "writer")
    before = [peak_bytes(pid) for pid in pids]
    refused = refusal(lambda: raw(quiet, key, "RegistrationService/RegisterHashes", message))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "LIMIT_EXCEEDED",
    )
    grown = [peak_bytes(pid) - peak for pid, peak in zip(pids, before, strict=True)]
    assert all(size_bytes < 4 * MESSAGE_BYTES for size_bytes in grown)


@pytest.mark.parametrize("method", ["MatchImage", "MatchHashes"])
def test_a_lookup_of_options_costs_no_memory_beside_its_bytes(
    quiet: Deployment, method: str
) -> None:
    key = quiet.make_key("platform", "match")
    (worker,) = processes(quiet.process.pid, "worker")
    before = peak_bytes(worker)
    number = {"MatchImage": 2, "MatchHashes": 3}[method]
    options = field(number, b"\x1a\x00" * (MESSAGE_BYTES // 2 - 20))
    refused = refusal(lambda: raw(quiet, key, f"MatchService/{method}", options))
    assert refused.reason == "LIMIT_EXCEEDED"
    assert peak_bytes(worker) - before < 4 * MESSAGE_BYTES


@pytest.mark.parametrize("size_bytes", [MESSAGE_BYTES - 40, 6_000_000])
def test_a_part_of_a_video_lookup_beyond_the_limits_costs_no_memory_beside_its_bytes(
    quiet: Deployment, size_bytes: int
) -> None:
    key = quiet.make_key("platform", "match")
    (worker,) = processes(quiet.process.pid, "worker")
    before = peak_bytes(worker)
    parts = [
        match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions()).SerializeToString(),
        field(3, EMPTY_TRANSFORM * (size_bytes // 2)),
    ]
    metadata = (("authorization", f"Bearer {key}"),)
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(quiet.address, options=options) as channel:
        call: Any = channel.stream_unary("/disrupt.v1.MatchService/MatchVideo")
        refused = refusal(lambda: call(iter(parts), timeout=TIMEOUT_S * 3, metadata=metadata))
    assert refused.reason == "LIMIT_EXCEEDED"
    assert peak_bytes(worker) - before < 4 * MESSAGE_BYTES


def video(count: int) -> registration_pb2.MediaItem:
    """Return a video of ``count`` hashes."""
    return registration_pb2.MediaItem(
        kind=types_pb2.MEDIA_KIND_VIDEO,
        fingerprints=types_pb2.Fingerprints(
            hashes=random.token_bytes(32 * count),
            qualities=bytes([90]) * count,
            start_ms=range(0, 250 * count, 250),
            end_ms=range(250, 250 * count + 1, 250),
        ),
    )


def registration(*items: registration_pb2.MediaItem) -> registration_pb2.RegisterHashesRequest:
    return registration_pb2.RegisterHashesRequest(
        context=registration_pb2.RegistrationContext(
            request_id=random.token_bytes(16),
            access=registration_pb2.CaseAccess(pin=PIN),
            age_band=registration_pb2.AGE_BAND_ADULT,
        ),
        items=items,
    )


def test_all_items_of_a_registration_together_have_a_limit_that_the_status_names(
    quiet: Deployment,
) -> None:
    with calling(quiet.address, quiet.make_key("platform", "match")) as platform:
        status = platform("GetIndexStatus", match_pb2.GetIndexStatusRequest())
        assert status.limits.hashes_per_registration == 100
    with calling(quiet.address, quiet.make_key("helpline", "register")) as helpline:
        refused = refusal(lambda: helpline("RegisterHashes", registration(video(60), video(41))))
        assert refused.reason == "LIMIT_EXCEEDED"
        helpline("RegisterHashes", registration(video(60), video(40)))
