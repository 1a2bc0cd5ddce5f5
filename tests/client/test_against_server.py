"""The SDK finds what was registered on a real server, from threads and from asyncio."""

from __future__ import annotations

import asyncio
import io
import re
import secrets
import shutil
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import disrupt.client
from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from benchmarks.harness.videos import Codec, encode, footage
from disrupt.client import AsyncMatchClient, HashAnswer, MatchClient, Outcome, VideoAnswer
from disrupt.core.cases import AgeBand
from disrupt.core.hashes import HASH_BYTES, PdqHash, unpack
from disrupt.core.media import Assurance, MediaKind, Profile
from disrupt.core.transforms import IDENTITY
from disrupt.errors import (
    DisruptError,
    InvalidMediaError,
    InvalidRequestError,
    UnauthenticatedError,
)
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.videos.frames import hash_video
from disrupt.submission.client import SubmissionClient
from tests.server.caller import eventually
from tests.submission.examples import no_picture, picture, plain

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Registered:
    """A server that has one picture."""

    address: str
    key: str
    file: Path
    item_id: str
    hash: PdqHash
    helpline: str


@dataclass(frozen=True)
class Clip:
    """A video file that shows a registered one."""

    file: Path
    item_id: str


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    directory = tmp_path_factory.mktemp("sdk")
    file = picture(directory / "a.png", 1)
    query = hash_image(file.read_bytes())
    assert isinstance(query, ImageQuery)
    server = Deployment.start(directory / "data", workers=1, settings=FEW_DECODERS)
    try:
        key = server.make_key("platform", "match")
        helpline = server.make_key("helpline", "register")
        with SubmissionClient(server.address, key=helpline) as submission:
            (item,) = submission.submit([file], age=AgeBand.ADULT).registered
        with MatchClient(server.address, key=key) as client:
            # Each connection has a worker of its own, whose index follows the registry separately.
            eventually(lambda: all(client.match_image(file).matches for _ in range(8)))
        yield Registered(server.address, key, file, item.item_id, query.hashes[0][0], helpline)
    finally:
        server.stop()


def test_a_registered_picture_is_found_by_hash_by_file_and_by_bytes(known: Registered) -> None:
    with MatchClient(known.address, key=known.key) as client:
        (by_hash,) = client.match_hashes([known.hash], profile=Profile.PDQ_512)
        answers = [
            client.match_image(known.file),
            client.match_image(known.file.read_bytes()),
            client.match_image(known.file, hash_locally=False),
        ]
    for matches in (by_hash.matches, *(answer.matches for answer in answers)):
        (match,) = matches
        assert (match.item_id, match.bank, match.distance_bits) == (known.item_id, "adults", 0)
        assert (match.assurance, match.kind) == (Assurance.SELF_REPORTED, MediaKind.IMAGE)
        assert (match.transform, match.plan, match.query_transform) == (IDENTITY, 0, IDENTITY)
        assert 0 < len(match.match_id) <= 256
    assert len({answer.quality for answer in answers}) == 1
    assert by_hash.index_cursor


def test_asyncio_gets_the_answers_of_threads(known: Registered, tmp_path: Path) -> None:
    file = plain(tmp_path / "plain.png")

    async def ask() -> list[object]:
        async with AsyncMatchClient(known.address, key=known.key) as client:
            (answer,) = await client.match_hashes([known.hash])
            status = await client.index_status()
            local, sent, low = await asyncio.gather(
                client.match_image(known.file),
                client.match_image(known.file, hash_locally=False),
                client.match_image(file),
            )
            return [answer.matches[0].item_id, local.quality, sent.quality, low, status.limits]

    with MatchClient(known.address, key=known.key) as client:
        quality = client.match_image(known.file).quality
        expected = [
            known.item_id,
            quality,
            quality,
            client.match_image(file),
            client.index_status().limits,
        ]
    assert asyncio.run(ask()) == expected


def test_a_batch_beyond_the_servers_limit_finds_each_hash_at_its_place(known: Registered) -> None:
    with MatchClient(known.address, key=known.key) as client:
        count = 2 * client.index_status().limits.hashes_per_lookup + 3
        batch = bytearray(secrets.token_bytes(count * HASH_BYTES))
        places = (0, count // 2, count - 1)
        for at in places:
            batch[at * HASH_BYTES : (at + 1) * HASH_BYTES] = known.hash.value
        answers = client.match_hashes(unpack(bytes(batch)))
    assert len(answers) == count
    assert tuple(at for at, answer in enumerate(answers) if answer.matches) == places


def test_the_threshold_is_inclusive_and_never_lowered_in_silence(known: Registered) -> None:
    bits = np.unpackbits(np.frombuffer(known.hash.value, np.uint8))
    bits[np.random.default_rng(5).choice(256, 9, replace=False)] ^= 1
    near = PdqHash(np.packbits(bits).tobytes())
    with MatchClient(known.address, key=known.key) as client:
        for most, matches in ((8, 0), (9, 1), (31, 1)):
            (answer,) = client.match_hashes([near], max_distance_bits=most)
            assert len(answer.matches) == matches
        with pytest.raises(InvalidRequestError) as refused:
            client.match_hashes([near], max_distance_bits=32)
    assert [violation.field for violation in refused.value.violations] == [
        "options.max_distance_bits"
    ]


def test_featureless_pictures_and_hashes_are_typed_outcomes(
    known: Registered, tmp_path: Path
) -> None:
    file = plain(tmp_path / "plain.png")
    with MatchClient(known.address, key=known.key) as client:
        for locally in (True, False):
            answer = client.match_image(file, hash_locally=locally)
            assert (answer.low_quality, answer.matches) == (True, ())
            assert answer.quality < 50
            assert answer.advice
        low, high = client.match_hashes([known.hash] * 2, qualities=[49, 50])
    assert (low.low_quality, low.matches) == (True, ())
    assert (high.low_quality, len(high.matches)) == (False, 1)


def test_what_is_no_picture_is_refused_alike_here_and_there(
    known: Registered, tmp_path: Path
) -> None:
    file = no_picture(tmp_path / "note.txt")
    said = []
    with MatchClient(known.address, key=known.key) as client:
        for locally in (True, False):
            with pytest.raises(InvalidMediaError) as refused:
                client.match_image(file, hash_locally=locally)
            said.append((refused.value.message, refused.value.violations))
    assert said[0] == said[1]


def test_many_threads_share_one_client(known: Registered) -> None:
    with MatchClient(known.address, key=known.key) as client, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: client.match_hashes([known.hash]), range(200)))
    assert {answer.matches[0].item_id for (answer,) in answers} == {known.item_id}


def test_the_examples_of_the_documentation_run(
    known: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(known.file, tmp_path / "upload.jpg")
    (tmp_path / "upload.mp4").write_bytes(encode(list(footage(23, seconds=1))))
    monkeypatch.chdir(tmp_path)
    text = (disrupt.client.__doc__ or "").replace("disrupt.example:50051", known.address)
    examples = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    assert len(examples) == 8
    names: dict[str, Any] = {"key": known.key}
    for example in examples:
        exec(textwrap.dedent(example), names)  # noqa: S102 our own words
    assert [answer.matches[0].item_id for answer in names["answers"]] == [known.item_id] * 2
    assert names["matched"] == []


def test_the_flow_of_the_page_for_clients_runs(
    known: Registered, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).parents[2] / "docs" / "clients.md"
    (example,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    exec(example, {"server": known.address, "key": known.key})  # noqa: S102 our own words
    assert capsys.readouterr().out.splitlines() == [
        "64 answers, 0 too featureless to be searched",
        "2 answers, 1 too featureless to be searched",
    ]


def test_the_example_of_the_page_on_outcomes_runs_and_asyncio_corrects_it(
    known: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(known.file, tmp_path / "upload.jpg")
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).parents[2] / "docs" / "outcomes.md"
    (example,) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"server": known.address, "key": known.key}
    exec(example, names)  # noqa: S102 our own words
    (match,) = names["matches"]
    forged = bytes(len(match.match_id))

    async def correct() -> tuple[DisruptError | None, ...]:
        async with AsyncMatchClient(known.address, key=known.key) as client:
            await client.report(match.match_id, Outcome.FALSE_POSITIVE)
            reports = [(own, Outcome.NOT_BLOCKED) for own in (match.match_id, forged)]
            return await client.report_all(reports)

    recorded, refused = asyncio.run(correct())
    assert recorded is None
    assert isinstance(refused, InvalidRequestError)


def test_a_flow_gives_the_answers_of_single_calls_for_threads_and_asyncio(
    known: Registered,
) -> None:
    batches = [known.hash.value + secrets.token_bytes(32 * at) for at in range(50)]

    async def ask() -> list[tuple[HashAnswer, ...]]:
        async with AsyncMatchClient(known.address, key=known.key) as client:
            return [answers async for answers in client.stream_hashes(batches)]

    with MatchClient(known.address, key=known.key) as client:
        answers = list(client.stream_hashes(batches))
    assert [len(batch_answers) for batch_answers in answers] == list(range(1, 51))
    item_ids = [
        [[match.item_id for match in answer.matches] for answer in batch] for batch in answers
    ]
    assert item_ids == [[[known.item_id], *([[]] * at)] for at in range(50)]
    again = asyncio.run(ask())
    assert [
        [[m.item_id for m in answer.matches] for answer in batch] for batch in again
    ] == item_ids


def test_an_unknown_key_is_refused(known: Registered) -> None:
    with (
        MatchClient(known.address, key="unknown") as client,
        pytest.raises(UnauthenticatedError),
    ):
        client.index_status()


@pytest.fixture(scope="module")
def clip(known: Registered) -> Clip:
    """Register a video from this device, and make another that holds it from 5 s to 9 s."""
    frames, surroundings = list(footage(21, seconds=4)), list(footage(22, seconds=12))
    part = known.file.with_name("clip.mp4")
    whole = known.file.with_name("whole.mkv")
    part.write_bytes(encode(frames))
    whole.write_bytes(
        encode([*surroundings[:50], *frames, *surroundings[50:]], codec=Codec("matroska"))
    )
    with SubmissionClient(known.address, key=known.helpline) as submission:
        (item,) = submission.submit([part], age=AgeBand.ADULT).registered
    with MatchClient(known.address, key=known.key) as client:
        eventually(lambda: all(client.match_video(part).matches for _ in range(8)))
    return Clip(whole, item.item_id)


def test_a_video_is_found_inside_another_with_its_segment(known: Registered, clip: Clip) -> None:
    progress: list[tuple[int, int]] = []
    with MatchClient(known.address, key=known.key) as client:
        frames, _ = hash_video(io.BytesIO(clip.file.read_bytes()))
        answers = [
            client.match_video(clip.file, watched=lambda *now: progress.append(now)),
            client.match_video(clip.file.read_bytes()),
            client.match_video(clip.file, hash_locally=False),
            client.match_video(frames),
        ]
        early = client.match_video(clip.file, answer_early=True, interval_ms=250)
    for answer in answers:
        (match,) = answer.matches
        assert (match.item_id, match.kind) == (clip.item_id, MediaKind.VIDEO)
        (segment,) = match.segments
        assert abs(segment.query_start_ms - 5000) <= 1000
        assert abs(segment.query_end_ms - 9000) <= 1000
        assert segment.stored_end_ms - segment.stored_start_ms >= 3000
        assert answer.frames_hashed == 16
    assert progress[-1] == (16_000, 16_000)
    assert early.answered_early
    assert early.frames_hashed < 64


def test_the_async_client_finds_videos_too(known: Registered, clip: Clip) -> None:
    async def look_up() -> list[VideoAnswer]:
        async with AsyncMatchClient(known.address, key=known.key) as client:
            return [
                await client.match_video(clip.file, hash_locally=here) for here in (True, False)
            ]

    for answer in asyncio.run(look_up()):
        assert [match.item_id for match in answer.matches] == [clip.item_id]


def test_what_is_no_video_is_refused_before_anything_is_sent(known: Registered) -> None:
    with MatchClient(known.address, key=known.key) as client:
        with pytest.raises(InvalidMediaError):
            client.match_video(b"no video")
        with pytest.raises(InvalidRequestError):
            client.match_video(np.zeros((2, 32), np.uint8))


def test_the_self_test_of_both_clients_passes(known: Registered) -> None:
    async def aio() -> bool:
        async with AsyncMatchClient(known.address, key=known.key) as client:
            return (await client.self_test()).passed

    with MatchClient(known.address, key=known.key) as client:
        result = client.self_test()
        assert result.passed, result
    assert asyncio.run(aio())
