"""Equal bytes are hashed once in an hour, and what is kept has a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.hashes import PdqHash
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.core.transforms import IDENTITY
from disrupt.door import uploads as module
from disrupt.door.uploads import KEPT_S, Uploads
from disrupt.errors import InvalidMediaError
from disrupt.hashing import ImageQuery
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos
from rig.media.videos import encode, footage


class Counting(IsolatedHashing):
    """Counts pictures, and hashes none: each gets a hash of its length."""

    def __init__(self) -> None:
        super().__init__(workers=1, queued=1)
        self.hashed = 0

    async def hash_image(
        self, data: bytes | memoryview, effort: Effort = Effort.STANDARD
    ) -> ImageQuery | LowQuality:
        self.hashed += 1
        return ImageQuery(99, ((PdqHash(bytes([len(data) % 256, effort]) * 16), IDENTITY),) * 3)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def an_uploads() -> tuple[Uploads, Counting]:
    pictures = Counting()
    return Uploads(pictures, IsolatedVideos(workers=1, queued=1)), pictures


async def parts(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@given(st.lists(st.tuples(st.binary(max_size=3), st.sampled_from(Effort)), max_size=30))
def test_equal_bytes_of_equal_effort_are_hashed_once(
    asked: list[tuple[bytes, Effort]],
) -> None:
    uploads, pictures = an_uploads()
    for data, effort in asked:
        query = run(uploads.picture(data, effort))
        assert query.hashes[0][0].value == bytes([len(data), effort]) * 16
    assert pictures.hashed == len(set(asked))
    assert uploads.seen_before == len(asked) - len(set(asked))


def test_they_are_forgotten_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    uploads, pictures = an_uploads()
    query = asyncio.run(uploads.picture(b"a", Effort.FAST))
    uploads.remember(b"name", query)
    now_s = KEPT_S - 1
    assert uploads.recall(b"name") is query
    asyncio.run(uploads.picture(b"a", Effort.FAST))
    assert pictures.hashed == 1
    now_s = KEPT_S
    assert uploads.recall(b"name") is None
    asyncio.run(uploads.picture(b"a", Effort.FAST))
    assert pictures.hashed == 2
    assert uploads.recall(b"another") is None


def test_the_oldest_go_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT_HASHES", 10)
    uploads, _ = an_uploads()
    for number in range(5):
        uploads.remember(bytes([number]), run(uploads.picture(bytes(number), Effort.FAST)))
    kept = [number for number in range(5) if uploads.recall(bytes([number])) is not None]
    assert kept == [3, 4]  # by their bytes and by their names, three hashes each


@given(st.lists(st.binary(min_size=1, max_size=9000), max_size=4))
def test_a_file_is_put_together_from_its_parts(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    uploads, _ = an_uploads()
    query = run(uploads.hash(parts(*chunks), Effort.FAST))
    assert query.hashes[0][0].value == bytes([len(whole) % 256, Effort.FAST]) * 16


def test_a_video_is_no_picture_and_a_picture_no_video() -> None:
    clip = encode(footage(1, seconds=1))
    uploads, pictures = an_uploads()
    with pytest.raises(InvalidMediaError):
        run(uploads.hash(parts(clip), Effort.FAST, video=False))
    with pytest.raises(InvalidMediaError):
        run(uploads.hash(parts(b"\x89PNG"), Effort.FAST, video=True))
    too_large = b"\x89PNG" + bytes(1 << 20)
    with pytest.raises(InvalidMediaError):
        run(uploads.hash(parts(*[too_large] * 33), Effort.FAST))
    assert pictures.hashed == 0
