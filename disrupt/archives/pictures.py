"""Hash the pictures of a folder as lookups of them would, decoded in isolation."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from disrupt.archives.output import Notes, Output
from disrupt.client.media import open_media, read_whole, shows_video
from disrupt.core.hashes import HASH_BYTES
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality
from disrupt.errors import (
    DeadlineExceededError,
    InvalidMediaError,
    UnimplementedError,
    UnreadableMediaError,
)
from disrupt.hashing import ImageQuery
from disrupt.isolation.pictures import IsolatedHashing

_FILES = 256
"""Files of a unit: some 20 s of a core."""

_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("hash", pa.binary(HASH_BYTES)),
        ("picture_quality", pa.uint8()),
        ("transform", pa.string()),
        ("area_permille", pa.uint16()),
    ]
)


@dataclass(frozen=True, slots=True)
class FolderUnit:
    """Some files of a folder; ``number`` counts the units from 0."""

    number: int
    names: tuple[str, ...]


def names_of(folder: Path) -> list[str]:
    """List the paths of all files below a folder, relative to it, in order."""
    names: list[str] = []
    for root, _, files in os.walk(folder):
        within = os.path.relpath(root, folder)
        names.extend(os.path.normpath(os.path.join(within, file)) for file in files)  # noqa: PTH118
    return sorted(names)


def units_of(names: list[str]) -> list[FolderUnit]:
    """Divide files into units."""
    starts = enumerate(range(0, len(names), _FILES))
    return [FolderUnit(number, tuple(names[at : at + _FILES])) for number, at in starts]


@dataclass(frozen=True, slots=True)
class HashJob:
    """Parameters for hashing units of a folder, with ``decoders`` decoding processes."""

    output: Output
    folder: Path
    effort: Effort
    decoders: int

    @contextmanager
    def open(self) -> Iterator[Callable[[FolderUnit], None]]:
        """Start the decoders, from the main thread; yield a function for that thread."""
        hashing = IsolatedHashing(workers=self.decoders, queued=self.decoders)
        with asyncio.Runner() as runner:
            runner.run(hashing.__aenter__())
            try:
                yield lambda unit: runner.run(self._hash(hashing, unit))
            finally:
                runner.run(hashing.__aexit__(None, None, None))

    async def _hash(self, hashing: IsolatedHashing, unit: FolderUnit) -> None:
        # a file is read while another is hashed
        turns = asyncio.Semaphore(2 * self.decoders)

        async def outcome(name: str) -> ImageQuery | str:
            async with turns:
                return await self._query(hashing, name)

        outcomes = await asyncio.gather(*map(outcome, unit.names))
        refused, examples, rows = Counter[str](), list[str](), list[tuple[object, ...]]()
        for name, query in zip(unit.names, outcomes, strict=True):
            if isinstance(query, str):
                refused[query] += 1
                examples.append(f"{name!a}: {query}")
                continue
            rows.extend(
                (name, value.value, query.quality, str(transform), transform.area_permille)
                for value, transform in query.hashes
            )
        columns = zip(*rows, strict=True) if rows else ([] for _ in _SCHEMA)
        arrays = [
            pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)
        ]
        counts = {
            "files": len(unit.names),
            "pictures": len(unit.names) - refused.total(),
            "hashes": len(rows),
        }
        table = pa.Table.from_arrays(arrays, schema=_SCHEMA)
        self.output.write(unit.number, table, Notes(counts, dict(refused), examples))

    async def _query(self, hashing: IsolatedHashing, name: str) -> ImageQuery | str:
        """Return the hashes of a file, or why there are none."""
        try:
            name.encode()
        except UnicodeEncodeError:
            return "NAME_NOT_UTF_8"
        try:
            data = await asyncio.to_thread(_picture, self.folder / name)
            if data is None:
                return "VIDEO"
            query = await hashing.hash_image(data, self.effort)
        except (
            InvalidMediaError,
            UnimplementedError,
            UnreadableMediaError,
            DeadlineExceededError,
        ) as error:
            return error.metadata.get("cause") or error.reason
        if isinstance(query, LowQuality):
            return "TOO_REGULAR" if query.is_too_regular else "LOW_QUALITY"
        return query


def _picture(path: Path) -> bytes | None:
    """Read a file; None if it is a video."""
    with open_media(path) as file:
        return None if shows_video(file) else read_whole(file)
