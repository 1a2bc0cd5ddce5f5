"""Hash uploads in locked-down processes; equal bytes are hashed once in an hour."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.core.videos import Versions
from disrupt.errors import DisruptError, InvalidMediaError, Violation
from disrupt.hashing import ImageQuery
from disrupt.hashing.decoding.sniffing import SNIFFED_BYTES, is_video
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.video_messages import Ended
from disrupt.isolation.videos import IsolatedVideos

KEPT_S = 3600.0
"""Time for which the hashes of an upload are kept, in memory alone."""
_KEPT_HASHES = 1_000_000
"""Most hashes that are kept, some 200 bytes each; the oldest go first."""
VIDEO_INTERVAL_MS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class HashedVideo:
    """Frames of a video, dtype FRAME, and whether the file ended early."""

    rows: NDArray[np.void]
    incomplete: bool


Hashed: TypeAlias = "ImageQuery | LowQuality | HashedVideo"


class Uploads:
    """Hashes pictures and videos. For one event loop; the pools are entered by whoever made them.

    What was hashed is kept for an hour by a keyed digest of its bytes, whose key is in this memory
    alone, and by the names that ``remember`` gives, so that a later request can mean it.
    """

    def __init__(self, pictures: IsolatedHashing, videos: IsolatedVideos) -> None:
        self._pictures = pictures
        self._videos = videos
        self._key = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, tuple[float, Hashed]] = OrderedDict()
        self._kept_hashes = 0
        self.seen_before = 0
        """Uploads that were not hashed again."""

    async def picture(self, data: bytes | memoryview, effort: Effort) -> ImageQuery | LowQuality:
        """Hash a picture, as ``hash_image`` does. Raises as IsolatedHashing.hash_image does."""
        digest = self._digest(b"picture", data, bytes([effort]))
        kept = self._recall(digest)
        if isinstance(kept, ImageQuery | LowQuality):
            self.seen_before += 1
            return kept
        query = await self._pictures.hash_image(data, effort)
        self._keep(digest, query)
        return query

    async def video(
        self,
        chunks: AsyncIterator[bytes],
        effort: Effort,
        interval_ms: int = VIDEO_INTERVAL_MS,
    ) -> HashedVideo:
        """Hash a video while it comes in. Raises as IsolatedVideos.hash does."""
        versions = Versions.NONE if effort == Effort.FAST else Versions.SEARCHED
        rows: list[NDArray[np.void]] = []
        incomplete = False
        hashing = self._videos.hash(chunks, interval_ms=interval_ms, versions=versions)
        async with aclosing(hashing) as answers:
            async for answer in answers:
                if isinstance(answer, Ended):
                    incomplete = answer.incomplete
                else:
                    rows.append(answer.rows)
        if not rows:
            raise DisruptError("The decoder gave no frame, and no reason.")
        return HashedVideo(np.concatenate(rows), incomplete)

    async def hash(
        self, chunks: AsyncIterator[bytes], effort: Effort, *, video: bool | None = None
    ) -> Hashed:
        """Hash a file that comes in parts: a picture, or a video by how it begins.

        ``video`` says what is expected; None takes both. Raises InvalidMediaError for the other,
        and for a picture that is too large.
        """
        data = bytearray()
        async for chunk in chunks:
            data += chunk
            if len(data) >= SNIFFED_BYTES:
                break
        begins_as_video = is_video(bytes(data[:SNIFFED_BYTES]))
        if video is not None and video != begins_as_video:
            raise _not(("picture", "video")[video], ("a picture", "a video")[begins_as_video])
        if begins_as_video:
            return await self.video(_joined(bytes(data), chunks), effort)
        most_bytes = self._pictures.limits.max_bytes
        async for chunk in chunks:
            data += chunk
            if len(data) > most_bytes:
                raise _not("picture", f"of more than {most_bytes >> 20} MiB")
        return await self.picture(memoryview(data), effort)

    def remember(self, name: bytes, hashed: Hashed) -> None:
        """Keep what was hashed under a name, such as its hash."""
        self._keep(self._digest(b"name", name), hashed)

    def recall(self, name: bytes) -> Hashed | None:
        """Return what was remembered under a name within the hour."""
        return self._recall(self._digest(b"name", name))

    def _digest(self, kind: bytes, *parts: bytes | memoryview) -> bytes:
        digest = hashlib.blake2b(key=self._key, person=kind, digest_size=16)
        for part in parts:
            digest.update(part)
        return digest.digest()

    def _keep(self, digest: bytes, hashed: Hashed) -> None:
        self._drop(digest)
        self._kept[digest] = time.monotonic() + KEPT_S, hashed
        self._kept_hashes += _count(hashed)
        while self._kept_hashes > _KEPT_HASHES:
            self._drop(next(iter(self._kept)))

    def _recall(self, digest: bytes) -> Hashed | None:
        now_s = time.monotonic()
        while self._kept:  # the oldest come first, since all are kept as long
            oldest, (until_s, _) = next(iter(self._kept.items()))
            if until_s > now_s:
                break
            self._drop(oldest)
        kept = self._kept.get(digest)
        return kept and kept[1]

    def _drop(self, digest: bytes) -> None:
        kept = self._kept.pop(digest, None)
        if kept is not None:
            self._kept_hashes -= _count(kept[1])


def _count(hashed: Hashed) -> int:
    match hashed:
        case ImageQuery():
            return len(hashed.hashes)
        case HashedVideo():
            return len(hashed.rows)
    return 1


async def _joined(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if begin:
        yield begin
    async for chunk in rest:
        yield chunk


def _not(expected: str, sent: str) -> InvalidMediaError:
    why = f"a {expected} is expected, and what came is {sent}"
    return InvalidMediaError(f"Not hashed: {why}.", violations=(Violation("image", why),))
