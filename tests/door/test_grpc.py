"""MatchService on loopback answers what the server would, and sends hashes alone."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import grpc
import pytest

from disrupt.client import Effort, MatchClient, MatchOutcome
from disrupt.core.media import Profile
from disrupt.door.bodies import Room
from disrupt.door.grpc_service import MatchServicer, grpc_server
from disrupt.errors import DisruptError, InvalidMediaError, NotFoundError, UnauthenticatedError
from disrupt.hashing import ImageQuery, hash_image
from disrupt.v1 import match_pb2
from rig.media.videos import encode, footage
from rig.servers.door import TOKEN, door
from rig.servers.scripted import scripted
from tests.door.sites import Site


@pytest.mark.parametrize("effort", Effort)
def test_a_picture_gets_the_answer_of_match_image(site: Site, effort: Effort) -> None:
    with (
        MatchClient(site.address, key=site.key) as direct,
        MatchClient(site.door.grpc, key=TOKEN) as beside,
    ):
        expected = direct.match_image(site.registered, effort=effort)
        answer = beside.match_image(site.registered, effort=effort, hash_locally=False)
    (match,), (known,) = answer.matches, expected.matches
    assert match.match_id
    for name in match.__slots__:
        if name != "match_id":
            assert getattr(match, name) == getattr(known, name), name
    assert (answer.quality, answer.frames_skipped) == (expected.quality, expected.frames_skipped)


def test_hashes_videos_and_outcomes_pass_as_they_are(site: Site) -> None:
    query = hash_image(site.registered.read_bytes())
    assert isinstance(query, ImageQuery)
    with MatchClient(site.door.grpc, key=TOKEN) as beside:
        (answer,) = beside.match_hashes([query.hashes[0][0]], profile=Profile.PDQ_512)
        assert answer.matches[0].item_id == site.item_id
        beside.report_outcome(answer.matches[0].match_id, MatchOutcome.BLOCKED)
        with pytest.raises((DisruptError, NotFoundError)):
            beside.report_outcome(b"no match id", MatchOutcome.BLOCKED)
        clip = encode(footage(8, seconds=2))
        for hash_locally in (False, True):
            assert beside.match_video(clip, hash_locally=hash_locally).frames_hashed > 0
        assert beside.index_status().hashes > 0
        with pytest.raises(InvalidMediaError):
            beside.match_image(b"no picture", hash_locally=False)


def test_only_the_doors_tokens_let_in(site: Site) -> None:
    with MatchClient(site.door.grpc, key=site.key) as stranger, pytest.raises(UnauthenticatedError):
        stranger.match_image(site.registered, hash_locally=False)


def test_a_strangers_message_is_not_read(site: Site) -> None:
    larger_than_any = bytes(64 << 20)
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(site.door.grpc, options) as channel:
        call: Any = channel.unary_unary("/disrupt.v1.MatchService/MatchImage")
        with pytest.raises(grpc.RpcError) as refused:
            call(larger_than_any, metadata=(("authorization", f"Bearer {site.key}"),))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_no_picture_stays_in_memory_after_its_call() -> None:
    def refuse(data: bytes, _effort: Effort) -> NoReturn:
        raise InvalidMediaError(f"{len(data)} bytes are no picture.")

    answering: Any = SimpleNamespace(
        room=Room(), uploads=SimpleNamespace(picture=refuse), hotline=None, metrics=None
    )
    request = match_pb2.MatchImageRequest(image=bytes(1 << 20)).SerializeToString()

    async def ask() -> int:
        server = grpc_server(MatchServicer(answering), None)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/disrupt.v1.MatchService/MatchImage")
            for _ in range(20):
                with pytest.raises(grpc.aio.AioRpcError, match="no picture"):
                    await call(request)
        kept_bytes, _ = tracemalloc.get_traced_memory()
        await server.stop(None)
        return kept_bytes

    gc.disable()
    tracemalloc.start()
    try:
        assert asyncio.run(ask()) < 5 << 20
    finally:
        tracemalloc.stop()
        gc.enable()


def test_no_picture_leaves(site: Site, tmp_path: Path) -> None:
    answer = match_pb2.MatchHashesResponse()
    with (
        scripted(answer) as server,
        door(tmp_path, server.address, "key-of-the-platform") as running,
        MatchClient(running.grpc, key=TOKEN) as beside,
    ):
        beside.match_image(site.registered, hash_locally=False)
        assert {seen.method for seen in server.seen} == {"MatchHashes"}
        data = site.registered.read_bytes()
        assert not any(data[100:132] in seen.request for seen in server.seen)
        assert server.seen[0].metadata["authorization"] == "Bearer key-of-the-platform"


def test_a_request_that_is_none_is_refused(site: Site) -> None:
    with grpc.insecure_channel(site.door.grpc) as channel:
        call: Any = channel.unary_unary("/disrupt.v1.MatchService/MatchImage")
        with pytest.raises(grpc.RpcError):
            call(b"\xff\xff", metadata=(("authorization", f"Bearer {TOKEN}"),), timeout=10)
