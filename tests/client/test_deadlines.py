"""``timeout_s`` outlasts a restart by default, and bounds all of a lookup, hashing included."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from disrupt.client import MatchClient, RetryPolicy
from disrupt.client.calls import TIMEOUT_S
from disrupt.client.lookups import Call as Asked
from disrupt.client.retries import Attempts
from disrupt.errors import (
    DeadlineExceededError,
    InvalidMediaError,
    InvalidRequestError,
    UnavailableError,
)
from disrupt.hashing.videos import frames
from disrupt.server.config import Config
from disrupt.server.supervisor.children import KILL_MARGIN_S
from disrupt.server.worker.process import channel_options
from disrupt.v1 import match_pb2
from rig.callers.sdk import Call
from rig.servers.in_process import CONFIG, Stub, serving
from rig.servers.scripted import scripted

_START_S = 8.0
"""Time for a start: of 2 s where the machine is idle."""

SHORT = {"timeout_s": 0.05}
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(1000)


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_the_defaults_outlast_a_planned_restart(jitter: float, tmp_path: Path) -> None:
    restart_s = Config(data_dir=tmp_path).drain_grace_s + KILL_MARGIN_S + _START_S
    now_s = 0.0
    attempts = Attempts(RetryPolicy(), TIMEOUT_S, clock=lambda: now_s, jitter=lambda: jitter)
    while now_s < restart_s:
        now_s += attempts.pause_s(UnavailableError("It restarts."))
    assert attempts.remaining_s() > 0


def test_hashing_a_picture_ends_with_the_time_of_the_call(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr("disrupt.client.media.hash_image", lambda *_, **__: go_on.wait(60))
    try:
        with (
            scripted(match_pb2.MatchHashesResponse()) as server,
            pytest.raises(DeadlineExceededError, match="Hashing"),
        ):
            call("match_image", b"picture", address=server.address, settings=SHORT)
        assert not go_on.is_set()
        assert not server.seen
    finally:
        go_on.set()


def test_hashing_a_video_ends_with_the_time_of_the_call_and_leaves_no_work(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def hash_video(*_: object, watched: Callable[[int, int], None], **__: object) -> None:
        try:
            while True:
                watched(0, 0)
        finally:
            ended.set()

    monkeypatch.setattr(frames, "hash_video", hash_video)
    with (
        scripted(match_pb2.MatchVideoResponse()) as server,
        pytest.raises(DeadlineExceededError, match="Hashing"),
    ):
        call("match_video", VIDEO, address=server.address, timeout_s=0.05)
    assert ended.wait(60)
    assert not server.seen


@pytest.mark.parametrize("hash_locally", [True, False])
@pytest.mark.parametrize("as_path", [True, False])
def test_a_video_given_as_a_picture_is_a_mistake_that_names_match_video(
    call: Call, tmp_path: Path, hash_locally: bool, as_path: bool
) -> None:
    path = tmp_path / "upload"
    path.write_bytes(VIDEO)
    with pytest.raises(InvalidRequestError, match="match_video") as refused:
        call("match_image", path if as_path else VIDEO, hash_locally=hash_locally)
    assert not isinstance(refused.value, InvalidMediaError)
    assert [violation.field for violation in refused.value.violations] == ["image"]


@contextmanager
def _served() -> Iterator[str]:
    """Serve lookups as a worker does, in a thread; a picture is never answered."""
    began, over = threading.Event(), threading.Event()
    addresses = []

    class Never(Stub):
        async def MatchImage(self, *_: object) -> match_pb2.MatchImageResponse:  # noqa: N802
            await asyncio.Event().wait()
            raise AssertionError

    async def serve() -> None:
        async with serving(Never, options=channel_options(CONFIG)) as address:
            addresses.append(address)
            began.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert began.wait(60)
        yield addresses[0]
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("timeout_s", [0.02, 0.5], ids=["while-it-is-sent", "while-it-is-hashed"])
def test_a_large_picture_that_is_given_up_does_not_hold_up_its_connection(
    timeout_s: float,
) -> None:
    picture = match_pb2.MatchImageRequest(image=bytes(31 * 2**20))
    with (
        _served() as address,
        MatchClient(address, key="a", connections=1, retries=RetryPolicy(attempts=1)) as client,
    ):
        with pytest.raises(DeadlineExceededError):
            _look_up(client, picture, timeout_s)
        # The server never answers the picture, so a call that waited for it would fail.
        client.match_hashes(bytes(32))


def _look_up(client: MatchClient, picture: match_pb2.MatchImageRequest, timeout_s: float) -> None:
    step = [Asked("MatchImage", picture, lambda response: response)]
    client._at_once(step, client._settings.within(timeout_s))
