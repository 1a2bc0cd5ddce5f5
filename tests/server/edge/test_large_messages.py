"""Large messages cost little: messages over a limit are refused before they are decoded."""

from __future__ import annotations

import secrets as random
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from disrupt.v1 import match_pb2, registration_pb2, types_pb2
from rig.callers.caller import MESSAGE_BYTES, TIMEOUT_S, calling, refusal, register
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


def field(number: int, data: bytes) -> bytes:
    """Encode a length-delimited field."""
    length, head = len(data), bytes([number << 3 | 2])
    while length > 0x7F:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + data


_REGISTER = "RegistrationService/RegisterHashes"
_OPTIONS = b"\x1a\x00" * (MESSAGE_BYTES // 2 - 20)
_NO_OPTIONS = match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        (_REGISTER, [EMPTY_ITEM * (MESSAGE_BYTES // 2 - 10)]),
        (_REGISTER, [field(2, field(2, EMPTY_TRANSFORM * (MESSAGE_BYTES // 2 - 20)))]),
        (_REGISTER, [field(2, field(2, field(1, bytes(MESSAGE_BYTES - 40))))]),
        ("MatchService/MatchImage", [field(2, _OPTIONS)]),
        ("MatchService/MatchHashes", [field(3, _OPTIONS)]),
        *(
            (
                "MatchService/MatchVideo",
                [_NO_OPTIONS.SerializeToString(), field(3, EMPTY_TRANSFORM * (size_bytes // 2))],
            )
            for size_bytes in (MESSAGE_BYTES - 40, 6_000_000)
        ),
    ],
    ids=["items", "transforms", "hashes", "picture", "options", "video", "shorter video"],
)
def test_a_message_beyond_the_limits_costs_no_memory_beside_its_bytes(
    quiet: Deployment, method: str, parts: list[bytes]
) -> None:
    metadata = (("authorization", f"Bearer {quiet.make_key('both', 'register', 'match')}"),)
    pids = [*processes(quiet.process.pid, "worker"), *processes(quiet.process.pid, "writer")]
    before = [peak_bytes(pid) for pid in pids]
    options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(quiet.address, options=options) as channel:
        call: Any = channel.stream_unary(f"/disrupt.v1.{method}")
        refused = refusal(lambda: call(iter(parts), timeout=TIMEOUT_S * 3, metadata=metadata))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "LIMIT_EXCEEDED",
    )
    grown = [peak_bytes(pid) - peak for pid, peak in zip(pids, before, strict=True)]
    assert all(size_bytes < 4 * MESSAGE_BYTES for size_bytes in grown)


def videos(*counts: int) -> registration_pb2.RegisterHashesRequest:
    """Return a registration of videos of so many hashes."""
    request = register(*(random.token_bytes(32 * count) for count in counts))
    for item, count in zip(request.items, counts, strict=True):
        item.kind = types_pb2.MEDIA_KIND_VIDEO
        item.fingerprints.qualities = bytes([90]) * count
        item.fingerprints.start_ms.extend(range(0, 250 * count, 250))
        item.fingerprints.end_ms.extend(range(250, 250 * count + 1, 250))
    return request


def test_all_items_of_a_registration_together_have_a_limit_that_the_status_names(
    quiet: Deployment,
) -> None:
    with calling(quiet.address, quiet.make_key("platform", "match")) as platform:
        status = platform("GetIndexStatus", match_pb2.GetIndexStatusRequest())
        assert status.limits.hashes_per_registration == 100
    with calling(quiet.address, quiet.make_key("helpline", "register")) as helpline:
        refused = refusal(lambda: helpline("RegisterHashes", videos(60, 41)))
        assert refused.reason == "LIMIT_EXCEEDED"
        helpline("RegisterHashes", videos(60, 40))
