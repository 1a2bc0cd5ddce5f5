"""The SDK finds what was registered on a real server, from threads and from asyncio."""

from __future__ import annotations

import asyncio
import io
import re
import secrets
import shutil
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import disrupt.client
from disrupt.client import AsyncMatchClient, Extent, MatchClient, VideoAnswer
from disrupt.core.cases import AgeBand
from disrupt.core.hashes import HASH_BYTES, PdqHash, unpack
from disrupt.core.lookups import MATCH_ID_BYTES_MAX
from disrupt.core.media import Assurance, MediaKind, Profile
from disrupt.core.transforms import IDENTITY
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.videos.frames import hash_video
from disrupt.submission.client import SubmissionClient
from rig.media.generated import picture, plain
from rig.media.videos import Codec, encode, footage
from rig.servers.deployment import Deployment
from rig.waiting import eventually


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
def known(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Registered:
    directory = tmp_path_factory.mktemp("sdk")
    file = picture(directory / "a.png", 400)
    query = hash_image(file.read_bytes())
    assert isinstance(query, ImageQuery)
    key = deployment.make_key("platform of the SDK", "match")
    helpline = deployment.make_key("helpline of the SDK", "register")
    with SubmissionClient(deployment.address, key=helpline) as submission:
        (item,) = submission.submit([file], age=AgeBand.ADULT).registered
    with MatchClient(deployment.address, key=key) as client:
        eventually(lambda: bool(client.match_image(file).matches))
    return Registered(deployment.address, key, file, item.item_id, query.hashes[0][0], helpline)


def test_a_registered_picture_is_found_by_hash_by_file_and_by_bytes(known: Registered) -> None:
    with MatchClient(known.address, key=known.key) as client:
        (by_hash,) = client.match_hashes([known.hash], profile=Profile.PDQ_512)
        answers = [
            client.match_image(known.file),
            client.match_image(known.file.read_bytes()),
            client.match_image(known.file, hash_locally=False, whole_only=True),
        ]
    assert {answer.matches[0].query_area_permille for answer in answers} == {1000}
    for matches in (by_hash.matches, *(answer.matches for answer in answers)):
        (match,) = matches
        assert (match.item_id, match.bank, match.distance_bits) == (known.item_id, "adults", 0)
        assert (match.assurance, match.kind) == (Assurance.SELF_REPORTED, MediaKind.IMAGE)
        assert (match.transform, match.plan, match.query_transform) == (IDENTITY, 0, IDENTITY)
        assert 0 < len(match.match_id) <= MATCH_ID_BYTES_MAX
        assert (match.extent, match.stored_area_permille) == (Extent.WHOLE, 1000)
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


def test_many_hashes_find_each_hash_at_its_place(known: Registered) -> None:
    count, places = 4_003, (0, 2_001, 4_002)
    batch = bytearray(secrets.token_bytes(count * HASH_BYTES))
    for at in places:
        batch[at * HASH_BYTES : (at + 1) * HASH_BYTES] = known.hash.value
    with MatchClient(known.address, key=known.key) as client:
        answers = client.match_hashes(unpack(bytes(batch)))
    assert len(answers) == count
    assert tuple(at for at, answer in enumerate(answers) if answer.matches) == places


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
    assert len(examples) == 6
    names: dict[str, Any] = {"key": known.key}
    for example in examples:
        exec(textwrap.dedent(example), names)  # noqa: S102 our own words
    assert [answer.matches[0].item_id for answer in names["answers"]] == [known.item_id] * 2
    assert names["matched"] == []


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
