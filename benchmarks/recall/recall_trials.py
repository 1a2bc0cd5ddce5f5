"""Look one edited picture up among everything registered, in a process of its own."""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threatexchange.signal_type.pdq.pdq_hasher import pdq_from_bytes

from benchmarks.recall.harder_edits import EVERY_EDIT
from benchmarks.recall.originals import ORIGINALS, Photograph, encoded
from disrupt.core.changes import Cursor
from disrupt.core.hashes import MAX_DISTANCE_BITS, MIN_QUALITY, PdqHash, stack
from disrupt.core.lookups import Effort
from disrupt.core.media import Assurance, Fingerprint, LowQuality, MediaKind, StoredItem, columns
from disrupt.core.policy import ADULTS, COMMON, Scope
from disrupt.core.transforms import Transform
from disrupt.hashing import ImageFingerprints, fingerprint_image, hash_image
from disrupt.index.columns import columns_of
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.services.matching import Allowance, complete, picture_steps
from rig.media.edits import Scene, upload
from rig.media.layouts import Pixels

EFFORTS = (Effort.FAST, Effort.STANDARD, Effort.THOROUGH)

SCOPE = Scope({ADULTS.number: MAX_DISTANCE_BITS})
_EPOCH = bytes(16)
_SOURCES = (
    *("disrupt/hashing/**/*.py", "disrupt/distinctiveness/*.*", "disrupt/core/*.py"),
    *("rig/media/edits.py", "rig/media/layouts.py"),
    *(
        f"benchmarks/recall/{name}.py"
        for name in ("harder_edits", "unequal_edits", "originals", "sources")
    ),
)


@dataclass(frozen=True, slots=True)
class Registered:
    """An original as it is registered; ``peer`` is python-threatexchange's hash of it.

    ``registration_ms``: processor time from the file to its fingerprints.
    """

    photograph: str
    number: int
    fingerprints: tuple[Fingerprint, ...]
    peer: int | None
    registration_ms: float


@dataclass(frozen=True, slots=True)
class Trial:
    """Outcome of one edited picture; ``distances`` by effort, None where it was not found."""

    edit: str
    photograph: str
    number: int
    strength: float
    distances: dict[str, int | None]
    lookups: dict[str, int]
    hashing_ms: dict[str, float]
    transforms: tuple[str, str] | None
    threatexchange: bool


@dataclass(frozen=True, slots=True)
class Task:
    """Trials of one edit of one photograph, by their numbers."""

    edit: str
    photograph: str
    numbers: tuple[int, ...]
    seed: int


def register(photograph: Photograph) -> list[Registered]:
    """Register all originals of a photograph but those that PDQ finds too featureless."""
    registered = []
    for number in range(ORIGINALS):
        data = encoded(photograph.original(number))
        before_s = time.thread_time()
        outcome = fingerprint_image(data)
        took_ms = 1000 * (time.thread_time() - before_s)
        if isinstance(outcome, ImageFingerprints):
            kept = tuple(outcome.fingerprints)
            registered.append(Registered(photograph.name, number, kept, _peer_hash(data), took_ms))
    return registered


def edited(
    task: Task,
    at: int,
    photographs: Mapping[str, Photograph],
    originals: Sequence[Registered],
) -> tuple[Registered, bytes, float]:
    """Edit one of a photograph's originals as trial ``at`` of the task does.

    Returns the original, the file of its copy, and the edit's strength.
    """
    rng = np.random.default_rng([task.seed, at, *f"{task.edit} {task.photograph}".encode()])
    original = originals[int(rng.integers(len(originals)))]
    pixels = photographs[task.photograph].original(original.number)
    others = [name for name in photographs if name != task.photograph]

    def background() -> Pixels:
        return photographs[others[rng.integers(len(others))]].pixels

    scene = Scene(pixels, rng, background)
    return original, *upload(EVERY_EDIT[task.edit][1], scene)


class Searched:
    """Everything registered, searched as the server searches it."""

    def __init__(self, registered: Sequence[Registered], photographs: Sequence[Photograph]) -> None:
        self._photographs = {photograph.name: photograph for photograph in photographs}
        self._originals: dict[str, list[Registered]] = {}
        for original in registered:
            self._originals.setdefault(original.photograph, []).append(original)
        self._item_ids = {
            (original.photograph, original.number): item_id_of(at)
            for at, original in enumerate(registered)
        }
        self._index = index_of([columns(original.fingerprints) for original in registered])

    def run(self, task: Task) -> list[Trial]:
        """Run the trials of a task; none where nothing is registered of the photograph."""
        return [
            self._trial(task, at) for at in task.numbers if self._originals.get(task.photograph)
        ]

    def _trial(self, task: Task, at: int) -> Trial:
        originals = self._originals[task.photograph]
        original, data, strength = edited(task, at, self._photographs, originals)
        peer = _peer_hash(data)
        item_id = self._item_ids[original.photograph, original.number]
        distances: dict[str, int | None] = {}
        lookups: dict[str, int] = {}
        hashing_ms: dict[str, float] = {}
        transforms = None
        for effort in EFFORTS:
            before_s = time.thread_time()
            query = hash_image(data, effort=effort)
            hashing_ms[effort.name] = 1000 * (time.thread_time() - before_s)
            hashes = () if isinstance(query, LowQuality) else query.hashes
            lookups[effort.name] = len(hashes)
            distances[effort.name], transforms = self._nearest_match(hashes, item_id)
        return Trial(
            task.edit,
            task.photograph,
            at,
            float(strength),
            distances,
            lookups,
            hashing_ms,
            transforms,
            peer is not None
            and original.peer is not None
            and (peer ^ original.peer).bit_count() <= MAX_DISTANCE_BITS,
        )

    def _nearest_match(
        self, hashes: Sequence[tuple[PdqHash, Transform]], item_id: bytes
    ) -> tuple[int | None, tuple[str, str] | None]:
        """Return the distance at which an item is found, and the transforms of both sides."""
        if not hashes:
            return None, None
        queries = stack(hash_ for hash_, _ in hashes)
        transforms = [transform for _, transform in hashes]
        steps = picture_steps(self._index, queries, transforms, SCOPE, 1000, Allowance(math.inf))
        matches = complete(steps)
        for at, matched_id in enumerate(matches.item_ids):
            if matched_id.tobytes() == item_id:
                asked = str(hashes[int(matches.version[at])][1])
                stored = f"{matches.plan[at]}.{matches.ordinal[at]}"
                return int(matches.distance_bits[at]), (asked, stored)
        return None, None


def index_of(
    items: Iterable[NDArray[np.void]], common: Iterable[NDArray[np.void]] = ()
) -> LiveIndex:
    """Index items as the server does; item n has the id of ``item_id_of``.

    ``common`` are those of pictures in common use.
    """
    stored = [
        StoredItem.of(
            at + 1,
            item_id_of(at),
            bank.number,
            MediaKind.IMAGE,
            Assurance.SELF_REPORTED,
            fingerprints,
        )
        for at, (bank, fingerprints) in enumerate(
            (bank, each) for bank, some in ((ADULTS, items), (COMMON, common)) for each in some
        )
    ]
    with tempfile.TemporaryDirectory() as folder:
        return LiveIndex(publish(Path(folder), [columns_of(stored)], Cursor(_EPOCH, len(stored))))


def item_id_of(at: int) -> bytes:
    """Return the id of the item at this place among all."""
    return hashlib.sha256(at.to_bytes(8)).digest()[:16]


def _peer_hash(data: bytes) -> int | None:
    digits, quality = pdq_from_bytes(data)
    return int(digits, 16) if quality >= MIN_QUALITY else None


def code_version(patterns: Sequence[str] = _SOURCES) -> str:
    """Return a digest of the code that results depend on."""
    root = Path(__file__).parents[2]
    matched = {pattern: sorted(root.glob(pattern)) for pattern in patterns}
    if absent := [pattern for pattern, files in matched.items() if not files]:
        raise FileNotFoundError(f"No code is named {', '.join(absent)}.")
    files = sorted({file for files in matched.values() for file in files})
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


_searched: Searched | None = None


def begin(registered: Sequence[Registered], photographs: Sequence[Photograph]) -> None:
    """Prepare this process for ``run``."""
    global _searched  # noqa: PLW0603 one for each process
    _searched = Searched(registered, photographs)


def run(task: Task) -> list[Trial]:
    """Run a task as ``Searched.run`` does, in a process that has begun."""
    if _searched is None:
        raise RuntimeError("begin was not called")
    return _searched.run(task)
