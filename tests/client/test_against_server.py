"""The SDK finds what was registered on a real server, from threads and from asyncio."""

from __future__ import annotations

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
from PIL import Image, ImageOps

import disrupt.client
from disrupt.client import Extent, MatchClient, VideoAnswer
from disrupt.core.cases import AgeBand
from disrupt.core.hashes import HASH_BYTES, PdqHash, unpack
from disrupt.core.lookups import MATCH_ID_BYTES_MAX
from disrupt.core.media import Assurance, MediaKind, Profile
from disrupt.core.transforms import IDENTITY
from disrupt.hashing import ImageQuery, hash_image
from disrupt.hashing.videos.frames import hash_video
from disrupt.submission.client import SubmissionClient
from rig.callers.sdk import Call
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


def test_a_registered_picture_is_found_by_hash_by_file_and_by_bytes(
    call: Call, known: Registered, tmp_path: Path
) -> None:
    def ask(method: str, *arguments: object, **options: object) -> Any:
        server = {"address": known.address, "key": known.key}
        return call(method, *arguments, **server, settings={}, **options)

    (by_hash,) = ask("match_hashes", [known.hash], profile=Profile.PDQ_512)
    answers = [
        ask("match_image", known.file),
        ask("match_image", known.file.read_bytes()),
        ask("match_image", known.file, hash_locally=False, whole_only=True),
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
    assert ask("match_image", plain(tmp_path / "plain.png")).low_quality
    assert ask("index_status").limits


def test_a_lookup_by_picture_finds_copies_that_one_hash_of_them_misses(
    known: Registered, tmp_path: Path
) -> None:
    with Image.open(known.file) as opened:
        whole = opened.convert("RGB")
    copies = {
        "mirrored": ImageOps.mirror(whole),
        "turned": whole.transpose(Image.Transpose.ROTATE_90),
        "framed": ImageOps.expand(whole, 60, "white"),
    }
    with MatchClient(known.address, key=known.key) as client:
        for name, copy in copies.items():
            file = tmp_path / f"{name}.png"
            copy.save(file)
            query = hash_image(file.read_bytes())
            assert isinstance(query, ImageQuery)
            (alone,) = client.match_hashes([query.hashes[0][0]], profile=Profile.PDQ_512)
            assert (name, alone.matches) == (name, ())
            found = [match.item_id for match in client.match_image(file).matches]
            assert (name, found) == (name, [known.item_id])


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


def test_a_video_is_found_inside_another_with_its_segment(
    call: Call, known: Registered, clip: Clip
) -> None:
    def look_up(video: object, **options: object) -> VideoAnswer:
        server = {"address": known.address, "key": known.key}
        answer = call("match_video", video, **server, settings={}, **options)
        assert isinstance(answer, VideoAnswer)
        return answer

    progress: list[tuple[int, int]] = []
    frames, _ = hash_video(io.BytesIO(clip.file.read_bytes()))
    answers = [
        look_up(clip.file, watched=lambda *now: progress.append(now)),
        look_up(clip.file.read_bytes()),
        look_up(clip.file, hash_locally=False),
        look_up(frames),
    ]
    for answer in answers:
        (match,) = answer.matches
        assert (match.item_id, match.kind) == (clip.item_id, MediaKind.VIDEO)
        (segment,) = match.segments
        assert abs(segment.query_start_ms - 5000) <= 1000
        assert abs(segment.query_end_ms - 9000) <= 1000
        assert segment.stored_end_ms - segment.stored_start_ms >= 3000
        assert answer.frames_hashed == 16
    assert progress[-1] == (16_000, 16_000)
    nameless = clip.file.with_name("upload")
    for file in (clip.file, known.file):
        shutil.copy(file, nameless)
        answer = call("match_file", nameless, address=known.address, key=known.key, settings={})
        assert [match.item_id for match in answer.matches] == [
            clip.item_id if file == clip.file else known.item_id
        ]
    early = look_up(clip.file, answer_early=True, interval_ms=250)
    assert early.answered_early
    assert early.frames_hashed < 64
