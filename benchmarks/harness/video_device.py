"""A device that hashes videos as the page does: a browser with the page's worker."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.browsers import Browser, Json, browser
from benchmarks.harness.page_files import EMPTY_PAGE, serving
from disrupt.core.media import FINGERPRINT

_NUMBERS = ("quality", "profile", "plan", "ordinal", "start_ms", "end_ms")

_HASH = """
const [paths, servesFrames, cancelAfter] = given;
const { hashFile } = await import('/tests/web/videos/hashing.js');
const parts = await Promise.all(paths.map(async (path) =>
  typeof path === 'string' ? (await fetch(path)).blob() : path));
return hashFile(parts, servesFrames, cancelAfter);
"""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Answer of the worker; ``fingerprints`` have dtype FINGERPRINT, none if it refuses.

    ``progress`` are the shares it reported, ``frames_asked`` counts those it asked the page for.
    """

    fingerprints: NDArray[np.void]
    incomplete: bool
    refused: dict[str, Json]
    progress: list[float]
    frames_asked: int
    took_ms: float


class Device:
    """A browser that has loaded the page's modules, with a folder of files. For one thread."""

    def __init__(self, page: Browser, folder: Path) -> None:
        self._page = page
        self.process = page.process
        self._folder = folder
        self._names = (f"video-{number}" for number in itertools.count())

    def run(self, script: str, *arguments: object) -> Json:
        """Run the body of an async function, and return what it returns."""
        return self._page.run(script, *arguments)

    def hash(
        self, *parts: bytes | int, serves_frames: bool = False, cancel_after: float = 2
    ) -> Outcome:
        """Hash a file of these parts in the worker; a number stands for so many MiB of zeros.

        ``serves_frames``: from a video element; ``cancel_after``: the progress that is enough.
        """
        paths = [part if isinstance(part, int) else self._served(part) for part in parts]
        answer = self.run(_HASH, paths, serves_frames, cancel_after)
        return Outcome(
            _rows(answer["fingerprints"]),
            answer["incomplete"],
            answer["refused"],
            answer["progress"],
            answer["framesAsked"],
            answer["tookMs"],
        )

    def _served(self, data: bytes) -> str:
        name = next(self._names)
        (self._folder / name).write_bytes(data)
        return f"/files/{name}"


@contextlib.contextmanager
def device(engine: str, folder: Path) -> Iterator[Device]:
    """Start a browser that serves as a device."""
    with serving(folder) as origin, browser(engine, folder) as page:
        page.open(origin + EMPTY_PAGE)
        yield Device(page, folder)


def _rows(fingerprints: list[list[Json]]) -> NDArray[np.void]:
    rows = np.zeros(len(fingerprints), FINGERPRINT)
    for row, (hash_hex, *values) in zip(rows, fingerprints, strict=True):
        row["hash"] = np.frombuffer(bytes.fromhex(hash_hex), np.uint8)
        for name, value in zip(_NUMBERS, values, strict=True):
            row[name] = value
    return rows
