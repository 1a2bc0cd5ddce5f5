"""Videos are hashed in a process of their own as they arrive; a broken one fails one call."""

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from structlog.testing import capture_logs

from disrupt.core.videos import FRAME, Versions
from disrupt.errors import DeadlineExceededError, DisruptError, InvalidMediaError, OverloadedError
from disrupt.fair_queue import turn_of
from disrupt.hashing.decoding.videos import VideoLimits
from disrupt.hashing.videos.frames import hash_video
from disrupt.isolation.child import Cause
from disrupt.isolation.video_messages import (
    Begin,
    Ended,
    Fed,
    Frames,
    Wanted,
    pack_request,
    pack_video_answer,
    unpack_request,
    unpack_video_answer,
)
from disrupt.isolation.video_worker import AHEAD_BYTES
from disrupt.isolation.videos import IsolatedVideos, VideoIsolationLimits
from rig.media.mutations_videos import repeated
from rig.media.videos import Codec, encode, footage
from tests.isolation.conftest import Run, failure

LIMITS = VideoLimits(max_bytes=32 << 20, max_duration_s=60)
FOOTAGE = list(footage(5, seconds=4, fps=10))
GOOD = encode(FOOTAGE, codec=Codec("matroska"))
NOISE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
JPEG = Codec("avi", "mjpeg", {"qmin": "1", "qmax": "1"}, "yuvj420p")


@pytest.fixture(scope="module")
def videos(run: Run[Any]) -> Iterator[IsolatedVideos]:
    isolated = IsolatedVideos(
        workers=1, queued=1, limits=LIMITS, isolation=VideoIsolationLimits(cpu_s=1, stall_s=3)
    )
    run(isolated.__aenter__())
    yield isolated
    run(isolated.__aexit__(None, None, None))


async def parts(data: bytes, size_bytes: int = 1 << 16) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size_bytes):
        yield data[at : at + size_bytes]


def animation(kind: str) -> bytes:
    """Return a file of several MiB."""
    noise = [Image.fromarray(np.roll(NOISE, step, 0)).resize((1024, 768)) for step in range(6)]
    file = io.BytesIO()
    noise[0].save(
        file, kind, save_all=True, append_images=noise[1:], duration=1000, lossless=True, method=0
    )
    return file.getvalue()


async def hashed(
    videos: IsolatedVideos, chunks: AsyncIterator[bytes], interval_ms: int = 1000
) -> tuple[np.ndarray, Ended]:
    rows: list[np.ndarray] = []
    async with aclosing(
        videos.hash(chunks, interval_ms=interval_ms, versions=Versions.SEARCHED)
    ) as answers:
        async for answer in answers:
            if isinstance(answer, Ended):
                return np.concatenate(rows), answer
            rows.append(answer.rows)
    raise AssertionError("no end")


async def gone(videos: IsolatedVideos) -> None:
    """Wait until there is no process."""
    while videos.pids:
        await asyncio.sleep(0.01)


ENCODED = {
    "MP4": partial(encode, FOOTAGE),
    "WebM with alpha": partial(
        encode,
        FOOTAGE,
        codec=Codec("webm", "libvpx-vp9", {"auto-alt-ref": "0", "cpu-used": "8"}, "yuva420p"),
    ),
    "AV1": partial(
        encode,
        FOOTAGE,
        codec=Codec("mp4", "libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
    ),
    "HEVC of 10 bits": partial(
        encode,
        FOOTAGE,
        codec=Codec(
            "mp4",
            "libx265",
            {"preset": "ultrafast", "x265-params": "log-level=none"},
            "yuv420p10le",
        ),
    ),
    "MPEG-TS": partial(encode, FOOTAGE, codec=Codec("mpegts")),
    "animation of many parts": partial(animation, "WEBP"),
}


@pytest.mark.parametrize("kind", ENCODED)
def test_hashes_are_those_without_isolation(
    kind: str, videos: IsolatedVideos, run: Run[Any]
) -> None:
    data = ENCODED[kind]()
    is_animation = kind == "animation of many parts"
    assert (len(data) > AHEAD_BYTES) == is_animation
    there, incomplete = hash_video(io.BytesIO(data))
    rows, ended = run(hashed(videos, parts(data)))
    assert (rows == there).all()
    assert ended == Ended(small=not is_animation, incomplete=incomplete)


def test_frames_come_before_the_file_is_whole(videos: IsolatedVideos, run: Run[Any]) -> None:
    seen = asyncio.Event()

    async def until_seen() -> AsyncIterator[bytes]:
        yield GOOD[: len(GOOD) * 3 // 4]
        await seen.wait()  # frames come within 0.5 s, or the call fails
        yield GOOD[len(GOOD) * 3 // 4 :]

    async def look() -> int:
        async with aclosing(
            videos.hash(until_seen(), interval_ms=500, versions=Versions.NONE)
        ) as answers:
            count = 0
            async for answer in answers:
                seen.set()
                count += isinstance(answer, Frames)
        return count

    assert run(look()) == 8


def test_no_more_is_taken_than_the_decoder_has_use_for(
    videos: IsolatedVideos, run: Run[Any]
) -> None:
    taken = 0
    bulky = repeated(NOISE, 30, JPEG)
    assert len(bulky) > 2 * AHEAD_BYTES

    async def counted() -> AsyncIterator[bytes]:
        nonlocal taken
        for pid in videos.pids:
            os.kill(pid, signal.SIGSTOP)
        async for part in parts(bulky):
            taken += len(part)
            yield part

    async def held() -> np.ndarray:
        call = asyncio.create_task(hashed(videos, counted()))
        before = -1
        while before < taken or not taken:  # until no more is taken
            before = taken
            await asyncio.sleep(0.1)
        for pid in videos.pids:
            os.kill(pid, signal.SIGCONT)
        assert AHEAD_BYTES <= before <= AHEAD_BYTES + (1 << 16)
        return (await call)[0]

    assert len(run(held())) == 2 * 3


def test_a_video_that_is_left_leaves_nothing_behind(videos: IsolatedVideos, run: Run[Any]) -> None:
    async def leave() -> None:
        async with aclosing(
            videos.hash(parts(GOOD), interval_ms=500, versions=Versions.SEARCHED)
        ) as answers:
            async for _ in answers:
                break

    used = set[int]()
    for _ in range(3):
        run(leave())
        used |= videos.pids
    assert (run(hashed(videos, parts(GOOD)))[0] == hash_video(io.BytesIO(GOOD))[0]).all()
    assert len(used | videos.pids) == 1, "to start another takes as long as many videos"
    (pid,) = videos.pids
    shared = next(
        part
        for part in Path(f"/proc/{pid}/smaps").read_text().split("VmFlags")
        if "memfd:media" in part
    )
    assert "Rss:                   0 kB" in shared  # the file's pages are gone


@pytest.mark.parametrize("data", [b"", b"no video" * 50, GOOD[:300]])
def test_what_is_no_video_is_refused_in_the_words_used_without_isolation(
    data: bytes, videos: IsolatedVideos, run: Run[Any]
) -> None:
    with pytest.raises(InvalidMediaError) as plain:
        hash_video(io.BytesIO(data))
    error = run(failure(hashed(videos, parts(data))))
    assert (type(error), error.message) == (InvalidMediaError, plain.value.message)


def test_a_sender_that_stops_is_told_so_and_its_process_takes_the_next_video(
    videos: IsolatedVideos, run: Run[Any]
) -> None:
    async def stopping() -> AsyncIterator[bytes]:
        yield GOOD[: len(GOOD) // 2]
        await asyncio.sleep(60)
        yield GOOD[len(GOOD) // 2 :]

    error = run(failure(hashed(videos, stopping())))
    assert type(error) is DeadlineExceededError
    pids = videos.pids
    assert (run(hashed(videos, parts(GOOD)))[0] == hash_video(io.BytesIO(GOOD))[0]).all()
    assert videos.pids == pids


def test_a_process_that_stays_with_a_video_that_is_left_is_killed(
    videos: IsolatedVideos, run: Run[Any]
) -> None:
    async def leave() -> None:
        async with aclosing(
            videos.hash(parts(GOOD), interval_ms=500, versions=Versions.SEARCHED)
        ) as answers:
            async for _ in answers:
                (pid,) = videos.pids
                os.kill(pid, signal.SIGSTOP)
                break

    run(leave())
    run(gone(videos))
    assert len(run(hashed(videos, parts(GOOD)))[0])


def test_an_endless_file_is_refused_at_the_limit(videos: IsolatedVideos, run: Run[Any]) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield GOOD[:4096]
        while True:
            yield bytes(1 << 20)

    error = run(failure(hashed(videos, endless())))
    assert type(error) is InvalidMediaError
    assert f"{LIMITS.max_bytes} bytes" in error.message


def test_a_video_that_takes_too_much_time_is_refused_and_the_limit_named(
    videos: IsolatedVideos, run: Run[Any]
) -> None:
    costly = repeated(np.zeros((2304, 4096, 3), np.uint8), 300, JPEG)
    error = run(failure(hashed(videos, parts(costly), 40)))
    assert type(error) is InvalidMediaError
    assert "1 s of processor time" in error.message
    assert error.metadata["cause"] == Cause.CPU_TIME
    assert len(run(hashed(videos, parts(GOOD)))[0])


@pytest.mark.parametrize("waiting", ["other", "greedy"])
def test_a_long_video_ends_once_another_caller_waits(waiting: str, run: Run[Any]) -> None:
    long = repeated(np.zeros((2304, 4096, 3), np.uint8), 100, JPEG)
    isolation = VideoIsolationLimits(wanted_s=0.05)

    async def hashed_as(caller: str, videos: IsolatedVideos, data: bytes) -> object:
        turn_of.set(caller)
        return await hashed(videos, parts(data), 40)

    async def two_callers() -> tuple[object, object]:
        async with IsolatedVideos(
            workers=1, queued=1, limits=LIMITS, isolation=isolation
        ) as videos:
            first = asyncio.create_task(hashed_as("greedy", videos, long))
            while not videos.pids:
                await asyncio.sleep(0.01)
            second = asyncio.create_task(hashed_as(waiting, videos, GOOD))
            answers = await asyncio.gather(first, second, return_exceptions=True)
            return answers[0], answers[1]

    first, second = run(two_callers())
    assert isinstance(second, tuple)
    if waiting == "greedy":
        assert isinstance(first, tuple), "its own videos wait"
    else:
        assert isinstance(first, OverloadedError)
        assert "takes long" in first.message
        assert first.retry_after_s == 60


def test_a_process_has_no_other_video_before_its_reader_has_left(run: Run[Any]) -> None:
    async def two_readers() -> tuple[np.ndarray, Ended]:
        async with IsolatedVideos(workers=2, queued=0, limits=LIMITS) as videos:
            looking = {"interval_ms": 1000, "versions": Versions.SEARCHED}
            first = videos.hash(parts(GOOD), **looking)  # type: ignore[arg-type]
            async for answer in first:
                if isinstance(answer, Ended):
                    break  # and keep the generator open
            pids = videos.pids
            left = asyncio.Event()

            async def with_a_pause() -> AsyncIterator[bytes]:
                yield GOOD[: len(GOOD) // 2]
                await left.wait()
                yield GOOD[len(GOOD) // 2 :]

            second = asyncio.create_task(hashed(videos, with_a_pause()))
            while videos.pids == pids:
                assert not second.done()
                await asyncio.sleep(0.01)
            await first.aclose()
            left.set()
            hashed_again = await second
            assert (await hashed(videos, parts(GOOD)))[1] == hashed_again[1]
            assert len(videos.pids) == 2, "both are used again"
            return hashed_again

    there, _ = hash_video(io.BytesIO(GOOD))
    rows, _ = run(two_readers())
    assert (rows == there).all()


def test_a_decoder_that_is_killed_fails_one_call(videos: IsolatedVideos, run: Run[Any]) -> None:
    async def kill() -> None:
        async with aclosing(
            videos.hash(parts(GOOD), interval_ms=40, versions=Versions.SEARCHED)
        ) as answers:
            async for _ in answers:
                for pid in videos.pids:
                    os.kill(pid, signal.SIGSEGV)

    error = run(failure(kill()))
    assert (type(error), error.metadata) == (InvalidMediaError, {"cause": "CRASH"})
    assert len(run(hashed(videos, parts(GOOD)))[0])


def test_a_process_that_cannot_be_started_fails_its_call_and_is_logged(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no process")

    async def start() -> tuple[DisruptError, object]:
        async with IsolatedVideos(workers=1, queued=0, limits=LIMITS) as videos:
            with monkeypatch.context() as broken:
                broken.setattr("disrupt.isolation.videos._Process", fail)
                error = await failure(hashed(videos, parts(GOOD)))
            return error, await hashed(videos, parts(GOOD))

    with capture_logs() as logs:
        error, answer = run(start())
    assert "decoder of videos does not start" in error.message
    assert [(line["event"], line["problem"]) for line in logs] == [
        ("decoder_does_not_start", "no process")
    ]
    assert isinstance(answer, tuple)


def test_more_videos_than_places_are_told_to_come_back(
    videos: IsolatedVideos, run: Run[Any]
) -> None:
    async def several() -> list[object]:
        calls = [hashed(videos, parts(GOOD)) for _ in range(3)]
        return list(await asyncio.gather(*calls, return_exceptions=True))

    answers = run(several())
    (refused,) = (answer for answer in answers if isinstance(answer, BaseException))
    assert isinstance(refused, OverloadedError)
    assert refused.retry_after_s


def test_messages_come_back_as_they_were_sent() -> None:
    rows = np.zeros(2, FRAME)
    rows["start_ms"], rows["end_ms"], rows["quality"], rows["dihedral"] = 5, 9, 100, (0, 4)
    begin = Begin(1000, versions=Versions.SEARCHED, limits=VideoLimits(1, 2, 3))
    for request in (begin, Fed(7, whole=False), Fed(1 << 40, whole=True)):
        assert unpack_request(pack_request(request)) == request
    for answer in (Wanted(1 << 40), Ended(small=True, incomplete=False)):
        assert unpack_video_answer(pack_video_answer(answer)) == answer
    back = unpack_video_answer(pack_video_answer(Frames(rows)))
    assert isinstance(back, Frames)
    assert (back.rows == rows).all()


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x67", b"\x68", b"\x69"]))
@settings(max_examples=300)
def test_any_bytes_are_an_answer_or_a_value_error(body: bytes, kind: bytes) -> None:
    message = kind + body
    try:
        answer = unpack_video_answer(message)
    except ValueError:
        return
    if isinstance(answer, Frames):
        assert (answer.rows["quality"] <= 100).all()
        assert (answer.rows["start_ms"] <= answer.rows["end_ms"]).all()
