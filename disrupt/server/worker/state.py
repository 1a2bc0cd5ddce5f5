"""Follow the registry in a worker: the index, and the keys and banks that are valid now."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from disrupt.core.changes import Cursor
from disrupt.core.own_disputes import OwnDisputes
from disrupt.core.policy import COMMON, ApiKey
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError, UnauthenticatedError, UnavailableError
from disrupt.feed.follower import Follower
from disrupt.feed.mirror import mirror_fault
from disrupt.feed.wakeups import wake_at_commits
from disrupt.index.live import LiveIndex
from disrupt.registry import journal
from disrupt.registry.registry import RegistryReader
from disrupt.server.edge.part_failure import forever
from disrupt.server.metrics import families
from disrupt.services.keys import KeyRing, KeyUses
from disrupt.services.upload_counts import UploadCounts
from disrupt.upkeep import erasure

_LEAST_PAUSE_S = 0.02
"""Pause after a step, however much changes, so that the steps of a busy registry take in more."""

_WAITING_MAX = 32
"""Most calls with an unknown key that wait for the next read of the registry."""

_SETTLED_STEPS = 3
"""Steps after which other workers have made one, too, unless they are behind."""

_log = structlog.get_logger(__name__)


class WorkerState:
    """Live index and keys of one worker, kept up to date by threads beside the event loop.

    Neither is handed out once it is older than ``stale_s``, whatever became of the threads: it may
    hold withdrawn items and revoked keys.
    """

    def __init__(
        self,
        reader: RegistryReader,
        directory: DataDirectory,
        interval_s: float,
        stale_s: float,
        *,
        checked_from: int | None = None,
        outlives_registry: bool = False,
        mirror_max_age_s: float | None = None,
    ) -> None:
        """Follow a registry; ``checked_from`` and ``outlives_registry`` are those of Follower.

        ``mirror_max_age_s`` is the most of this machine's own, where the registry is a mirror's.
        """
        self._mirror_max_age_s = mirror_max_age_s
        self.mirror_fault = ""
        """Why lookups are not answered here though index and keys are fresh; empty: they are."""
        self._live = LiveIndex()
        self._ring = KeyRing(day=_today())
        self.uses = KeyUses()
        """Days on which keys were used here."""
        self.uploads = UploadCounts()
        """Uploads that were looked up here, and that the writer was not told of yet."""
        self._ring_s = -math.inf
        self._revoked: set[str] | None = None
        """Ids of all keys ever revoked, where the registry may be replaced by an older copy."""
        if outlives_registry:
            listed = journal.read(directory.journal)
            self._revoked = {key.key_id for key in listed.revoked} if listed else set()
        self._reader = reader
        self._follower = Follower(
            reader,
            self._live,
            directory.index,
            checked_from=checked_from,
            outlives_registry=outlives_registry,
        )
        self._directory = directory
        self._interval_s = interval_s
        self._stale_s = stale_s
        self._cursors: deque[Cursor] = deque(maxlen=1 + _SETTLED_STEPS)
        """State of the index after each of the last steps."""
        self._keys_read = asyncio.Event()
        self._waiting = 0
        self._fault = ""

    @property
    def live(self) -> LiveIndex:
        """The live index; UnavailableError where it is stale, or a mirror is too old."""
        self.check_fresh()
        if self.mirror_fault:
            raise UnavailableError(self.mirror_fault, retry_after_s=60.0)
        return self._live

    @property
    def settled(self) -> Cursor:
        """A state that the index includes, and that of other workers, too.

        Callers may have it: with a newer one they could ask another worker whether it is included,
        and see when there are changes in banks that are not theirs.
        """
        current = self.live.cursor
        before = self._cursors[0] if self._cursors else current
        return before if before.epoch == current.epoch else current

    @property
    def ring(self) -> KeyRing:
        """The keys and banks that are valid; UnavailableError where that is not known any more."""
        self.check_fresh()
        return self._ring

    def disputes(self, organisation: str) -> OwnDisputes:
        """Return what an organisation disputes, as of the index or later."""
        return self._follower.disputes.get(organisation, {})

    @property
    def serving(self) -> bool:
        """Tell whether there is an index to search."""
        return self._live.serving

    def behind_s(self) -> float:
        """Return an upper bound on the age of the oldest change that is not applied yet."""
        now_s = time.monotonic()
        return max(now_s - self._ring_s, self._follower.behind_s(now_s))

    def oldest_withdrawn_s(self, banks: Collection[int]) -> float:
        """Return an upper bound on the age of the oldest withdrawn byte of ``banks``, in seconds.

        Reads the registry and the manifests of the index's generations. Counts from 1970 where
        they cannot be read.
        """
        try:
            return erasure.oldest_withdrawn_s(self._reader, self._directory.index, banks)
        except DisruptError:
            return time.time()

    def report(self) -> dict[str, object]:
        """Set the metrics of the index; return what the supervisor tells operators of it.

        Both are of all banks.
        """
        lag_s = self.behind_s()
        families.INDEX_LAG.set(value=lag_s)
        report: dict[str, object] = {"lag_ms": round(lag_s * 1000)}
        with suppress(UnavailableError):  # there is no index
            status = self._live.status()
            families.INDEX_ITEMS.set(value=status.items)
            families.INDEX_COMMON.set(value=self._live.status((COMMON.number,)).items)
            families.INDEX_HASHES.set(value=status.hashes)
            families.INDEX_DELTA.set(value=status.delta_hashes)
            families.GENERATION.set(value=status.generation)
            families.GENERATION_TIME.set(value=self._live.snapshot.manifest.begun_s)
            report |= {"generation": status.generation, "tombstones": status.tombstones}
        return report

    def check_fresh(self) -> None:
        """Raise UnavailableError where index or keys are older than ``stale_s``."""
        if self.behind_s() > self._stale_s:
            raise UnavailableError(
                "This server has not seen what changed for too long. Try again in a moment.",
                retry_after_s=1.0,
            )

    def read_registry(self) -> None:
        """Read the registry once: changes and snapshots, then keys and banks."""
        self._follower.step()
        self._read_keys()

    def _read_keys(self) -> None:
        read_s = time.monotonic()
        try:
            reader, day = self._reader, _today()
            keys = reader.keys()
            ring = KeyRing(keys, reader.banks(), reader.quotas(), reader.partners(), day=day)
            if self._live.serving and not reader.knows(self._live.cursor):
                # keys that were revoked could be valid there
                raise UnavailableError("The registry is not the one that the index follows.")
            if self._revoked is not None:
                self._check_revoked(keys, self._revoked)
            if self._mirror_max_age_s is not None:
                self.mirror_fault = mirror_fault(reader, self._mirror_max_age_s)
            self._ring = ring
        except DisruptError as error:
            if error.message != self._fault:  # log a fault when it begins, not at every read
                _log.error("keys_unreadable", reason=error.message)
            self._fault = error.message
        else:
            self._ring_s = read_s
            self._fault = ""

    def _check_revoked(self, keys: Sequence[ApiKey], known: set[str]) -> None:
        """Raise UnavailableError where a key is valid that was revoked; note those that are."""
        revoked = {key.key_id for key in keys if key.revoked_on}
        if not known.isdisjoint(key.key_id for key in keys if not key.revoked_on):
            raise UnavailableError("In the registry keys are valid that were revoked.")
        known |= revoked

    async def follow_changes(self) -> None:
        """Apply changes and load snapshots, until cancelled. Call it once."""
        woken = asyncio.Event()
        wake_at_commits(self._directory, woken.set)
        noted_s = -math.inf

        async def step() -> None:
            nonlocal noted_s
            await asyncio.to_thread(self._follower.step)
            # at the pace of polling, which other workers keep as well
            if self._live.serving and time.monotonic() - noted_s >= self._interval_s:
                noted_s = time.monotonic()
                self._cursors.append(self._live.cursor)
            await asyncio.sleep(_LEAST_PAUSE_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), self._interval_s - _LEAST_PAUSE_S)
            woken.clear()

        await forever(step, 0)

    async def follow_keys(self, *followers: Callable[[KeyRing], None]) -> None:
        """Read keys and banks until cancelled; call the followers with them each time.

        It runs beside ``follow_changes``, so that a revocation does not wait for a snapshot.
        """

        async def read_once() -> None:
            await asyncio.to_thread(self._read_keys)
            for follow in followers:
                follow(self._ring)
            waiting, self._keys_read = self._keys_read, asyncio.Event()
            waiting.set()

        await forever(read_once, self._interval_s)

    async def authenticate(self, secret: str) -> ApiKey:
        """Return the key with this secret. Raises UnauthenticatedError where there is none.

        An unknown key may have been made a moment ago: it is searched for once more after the
        next read of the registry.
        """
        try:
            return self._used(self.ring, secret)
        except UnauthenticatedError:
            if self._waiting >= _WAITING_MAX:
                raise
        self._waiting += 1
        try:
            # two reads: the one under way may have read the keys before this one was made
            for _ in range(2):
                await self._keys_read.wait()
        finally:
            self._waiting -= 1
        return self._used(self.ring, secret)

    def _used(self, ring: KeyRing, secret: str) -> ApiKey:
        key = ring.authenticate(secret)
        self.uses.note(key.key_id, ring.day)
        return key


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
