"""What a process shows of its present state, in its row."""

from __future__ import annotations

import math
import mmap
import resource
import shutil
import time
from contextlib import suppress
from pathlib import Path

from disrupt.core.media import ItemState
from disrupt.errors import DisruptError
from disrupt.feed.erasure import holding
from disrupt.index.generations import unfinished_bytes
from disrupt.isolation.pictures import IsolatedHashing
from disrupt.isolation.videos import IsolatedVideos
from disrupt.registry.contract import RegistryReader
from disrupt.server.admission.shares import Admission, Resource
from disrupt.server.calls.health import Health
from disrupt.server.following import Following
from disrupt.server.metrics import families
from disrupt.server.metrics.figures import Row

_STATM, _FILES = Path("/proc/self/statm"), Path("/proc/self/fd")

SHOW_S = 1.0
"""Pause between two times that a process writes its gauges."""


async def show_worker(
    row: Row,
    following: Following,
    admission: Admission,
    statuses: Health,
    hashing: IsolatedHashing,
    videos: IsolatedVideos,
) -> None:
    """Write the gauges of a worker."""
    try:
        status = following.live.status()
    except DisruptError:  # no index, or one that is too old: the services do not serve then
        pass
    else:
        row.set(families.INDEX_ITEMS, value=status.items)
        row.set(families.INDEX_HASHES, value=status.hashes)
        row.set(families.INDEX_DELTA, value=status.delta_hashes)
        row.set(families.GENERATION, value=status.generation)
        begun_s = following.live.snapshot.manifest.begun_s
        row.set(families.GENERATION_BEGUN, value=begun_s)
    row.set(families.LAG, value=following.behind_s())
    row.set(families.WAITING, "pictures", value=hashing.waiting)
    row.set(families.WAITING, "videos", value=videos.waiting)
    for shared in Resource:
        row.set(families.HELD, families.refusal_of(shared), value=admission.taken[shared])
    for service, name in families.SERVICES.items():
        row.set(families.SERVING, service, value=statuses.serves(name))
    show_process(row)


async def show_life(row: Row) -> None:
    """Do what ``show_process`` does, for a task."""
    show_process(row)


def show_process(row: Row) -> None:
    """Write that this process lives, and what it takes from the machine."""
    row.set(families.OPEN_FILES_MAX, value=_limit(resource.RLIMIT_NOFILE))
    row.set(families.ADDRESSES_MAX, value=_limit(resource.RLIMIT_AS))
    with suppress(OSError):  # no file can be opened
        # kernels before 6.2 give the directory no size
        row.set(families.OPEN_FILES, value=_FILES.stat().st_size or len([*_FILES.iterdir()]))
        mapped, resident = (int(pages) for pages in _STATM.read_bytes().split()[:2])
        row.set(families.MEMORY, value=resident * mmap.PAGESIZE)
        row.set(families.ADDRESSES, value=mapped * mmap.PAGESIZE)
    row.set(families.SEEN, value=time.time())


def _limit(kind: int) -> float:
    soft, _ = resource.getrlimit(kind)
    return math.inf if soft == resource.RLIM_INFINITY else soft


class Storage:
    """What the disk and the registry hold, as the monitor sees them."""

    def __init__(self, reader: RegistryReader, index_dir: Path) -> None:
        """Begin without anything seen."""
        self._reader = reader
        self._index_dir = index_dir
        self._since_s: dict[int, float] = {}
        """By generation that holds withdrawn items, when that was first seen."""

    def show(self, row: Row) -> None:
        """Write it. Raises DisruptError and OSError."""
        row.set(families.DISK_FREE, value=shutil.disk_usage(self._index_dir).free)
        row.set(families.ERASURE_PENDING, value=self._pending_s())
        row.set(families.UNFINISHED, value=unfinished_bytes(self._index_dir))
        counts = self._reader.count_states()
        for state in (ItemState.WAITING, ItemState.DISABLED):
            row.set(families.HIDDEN, state.name.lower(), value=counts.get(state, 0))
        show_process(row)

    def _pending_s(self) -> float:
        now_s = time.monotonic()
        self._since_s = {
            generation: self._since_s.get(generation, now_s)
            for generation in holding(self._reader, self._index_dir)
        }
        return now_s - min(self._since_s.values(), default=now_s)
