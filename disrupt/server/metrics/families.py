"""Every metric of a server. No label has what a caller may choose, nor an address.

A metric is used where something happens, in the event loop of any process of the server, and goes
to the row of this process. Matches and uploads alone are counted in other threads, too.
"""

from __future__ import annotations

import json
import math
import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable
from typing import Any

from disrupt.server.metrics.rows import Row, Rows

BUCKETS_S = (
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    120,
)
"""Upper bounds of the buckets of a histogram; one more has what took longer."""

_SUM = len(BUCKETS_S) + 1
"""Place of the sum, behind the buckets."""

FAMILIES: dict[str, Family] = {}
"""All metrics, by name."""


class Family:
    """A metric with labels, whose numbers are in the row of this process."""

    width = 1
    _row = Row()
    _numbers = _row.numbers
    _rows: Rows | None = None

    def __init__(self, name: str, description: str, *labels: str) -> None:
        self.name = name
        self.description = description
        self.labels = labels
        self._places: dict[tuple[str, ...], int] = {}
        FAMILIES[name] = self

    def _begin(self, labels: tuple[str, ...]) -> int:
        """Return where the numbers of a series begin, which may be new."""
        if len(labels) != len(self.labels):
            raise TypeError(f"{self.name} has the labels {self.labels}")
        name = json.dumps([self.name, *labels])
        place = self._places[labels] = self._row.place(name, self.width)
        return place

    @classmethod
    def use(cls, row: Row, rows: Rows | None = None) -> None:
        """Count in this row from now on, which is one of ``rows``."""
        Family._row, Family._numbers, Family._rows = row, row.numbers, rows
        for family in FAMILIES.values():
            family._places.clear()  # noqa: SLF001 its own

    @classmethod
    def in_use(cls) -> tuple[Row, Rows | None]:
        """Return the row of this process, and the rows that it is one of."""
        return cls._row, cls._rows


class Counter(Family):
    """A number that grows, summed over processes."""

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Add to it."""
        try:
            place = self._places[labels]
        except KeyError:
            place = self._begin(labels)
        self._numbers[place] += amount

    def show(self, *labels: str) -> None:
        """Show a series at 0, before it grows: from then on Prometheus sees by how much.

        For any thread.
        """
        if labels not in self._places:
            self._begin(labels)


class Gauge(Family):
    """A present state: of each process, which a label names, unless it is the server's."""

    def __init__(
        self, name: str, description: str, *labels: str, of_each_process: bool = True
    ) -> None:
        super().__init__(name, description, *labels)
        self.of_each_process = of_each_process

    def set(self, *labels: str, value: float) -> None:
        """Set it; NaN hides it."""
        place = self._places.get(labels)
        self._numbers[self._begin(labels) if place is None else place] = value


class Histogram(Family):
    """Durations, summed over processes: the count of each bucket, and the sum in seconds."""

    width = _SUM + 1

    def observe(self, *labels: str, value_s: float) -> None:
        """Count a duration."""
        try:
            place = self._places[labels]
        except KeyError:
            place = self._begin(labels)
        numbers = self._numbers
        numbers[place + bisect_left(BUCKETS_S, value_s)] += 1.0
        numbers[place + _SUM] += value_s


def clear_gauges(rows: Rows, process: str) -> None:
    """Hide the gauges of a process that has ended; what it counted stays."""
    row = rows.of(process)
    for name, _ in row.read():
        if isinstance(FAMILIES.get(json.loads(name)[0]), Gauge):
            row.numbers[row.place(name, 1)] = math.nan


def layout() -> dict[str, list[Any]]:
    """Return, by name, what the numbers of a metric mean: its kind, width and labels.

    The bounds that all histograms share are beside them.
    """
    return {"buckets_s": [*BUCKETS_S]} | {
        name: [type(family).__name__, family.width, *family.labels]
        for name, family in FAMILIES.items()
    }


CALLS = Histogram(
    "disrupt_call_seconds",
    "Time from when a worker lets a call in to its answer. outcome: OK, CANCELLED, the reason of"
    " the error, or RELAYED for an error of the writer.",
    "call",
    "outcome",
)
WRITES = Histogram(
    "disrupt_writer_call_seconds",
    "Time from when the writer lets in what a worker relays to its answer, by outcome.",
    "call",
    "outcome",
)
HELD = Counter("disrupt_held", "Calls for the writer that waited while it was replaced.")
RELOADS = Counter(
    "disrupt_reloads",
    "Reloads that were asked for: done; refused, which changed nothing; failed, in which a new"
    " process did not start at first, and which is done once it does.",
    "outcome",
)
KEY_CALLS = Counter("disrupt_key_calls", "Calls that were let in, by key.", "key", "call")
REFUSALS = Counter(
    "disrupt_refusals",
    "Calls answered with an error, by its reason and by key; no key where none is valid.",
    "reason",
    "key",
)
FAULTS = Counter("disrupt_faults", "Calls answered INTERNAL: faults of the server.")
MEDIA_FAILURES = Counter(
    "disrupt_media_failures",
    "Pictures and videos that were not hashed (docs/isolation.md).",
    "call",
    "cause",
)
MATCHES = Counter("disrupt_matches", "Matches that were answered.", "bank", "distance_bits")
COMMON_MATCHES = Counter(
    "disrupt_common_matches",
    "Matches among them that something in common use explains (docs/banks.md). Those that the"
    " caller left out are in neither.",
)
UPLOADS_LOOKED_UP = Counter(
    "disrupt_uploads_looked_up",
    "Uploads that were looked up, as tallies count them, but for lookups of what is new; from 0 on"
    " for each organisation with a valid key of right match.",
    "organisation",
)
UPLOADS_MATCHED = Counter(
    "disrupt_uploads_matched", "Uploads that matched, in whichever banks.", "organisation"
)
PROBING = Counter(
    "disrupt_probing",
    "Items whose hash an organisation explored bit by bit within an hour (docs/probing.md).",
    "organisation",
)
OUTCOMES = Counter(
    "disrupt_outcomes",
    "Outcomes of matches that platforms reported for the first time.",
    "outcome",
    "organisation",
)
ADMISSION_REFUSALS = Counter(
    "disrupt_admission_refusals",
    "Refusals of more than a key's share; cause: delay where the share is small for slow decoders.",
    "resource",
    "key",
    "cause",
)
KEY_INFO = Gauge(
    "disrupt_key_info",
    "1: the name of a key, beside its id; of calls without a valid one an empty id.",
    "key",
    "name",
)
QUOTA_LEFT = Gauge(
    "disrupt_quota_left",
    "Uploads and hashes that are left of the quota of an organisation, as a worker sees it.",
    "organisation",
    "of",
    "per",
)
ADMISSION_HELD = Gauge(
    "disrupt_admission_held", "Amount of a resource that calls under way hold.", "resource", "key"
)
WAITING = Gauge("disrupt_waiting", "Calls that wait for a thread or a decoder.", "queue")
DECODER_ENDS = Counter(
    "disrupt_decoder_ends", "Decoders that died, by media and cause.", "media", "cause"
)
WAIT = Gauge(
    "disrupt_wait_seconds", "Time that a call which comes now waits for a decoder.", "queue"
)
SERVING = Gauge("disrupt_serving", "1 where a service is served, as gRPC health says.", "service")
INDEX_LAG = Gauge(
    "disrupt_index_lag_seconds", "Bound on the age of the oldest change that lookups do not show."
)
INDEX_ITEMS = Gauge("disrupt_index_items", "Media items that lookups can match.")
INDEX_COMMON = Gauge(
    "disrupt_index_common_items", "Pictures among them in common use, by which matches are marked."
)
INDEX_HASHES = Gauge("disrupt_index_hashes", "Hashes that lookups search.")
INDEX_DELTA = Gauge("disrupt_index_delta_hashes", "Hashes among them since the generation.")
GENERATION = Gauge("disrupt_index_generation", "Number of the generation that is served.")
GENERATION_TIME = Gauge("disrupt_index_generation_timestamp_seconds", "When its writing was begun.")
INDEX_UNFINISHED = Gauge(
    "disrupt_index_unfinished_seconds",
    "Time since a generation that is not published was written to; 0 without any. A killed rebuild"
    " leaves it until the next begins.",
    of_each_process=False,
)
CERTIFICATE_EXPIRY = Gauge(
    "disrupt_certificate_expiry_timestamp_seconds",
    "End of validity of the served certificate; of writer and node that for other machines.",
)
REGISTERED = Gauge(
    "disrupt_registered_hashes",
    "Hashes registered today (UTC): of the case and of the origin (network) that have most, and"
    " all; anew after a restart.",
    "of",
    of_each_process=False,
)
TURNS_WAITING = Gauge(
    "disrupt_turns_waiting",
    "Items of the longest queue of what was registered beyond a limit, and goes live in turns.",
    of_each_process=False,
)
ITEMS = Gauge(
    "disrupt_items",
    "Media items in each state but live.",
    "state",
    of_each_process=False,
)
DISPUTES = Gauge(
    "disrupt_disputes",
    "Media items about whose disputes staff have to decide: within_floor, minor, near_tenth.",
    "reason",
    of_each_process=False,
)
ITEMS_HIDDEN = Gauge(
    "disrupt_items_hidden",
    "Media items that staff have hidden within a day, and that still are, or moved.",
    of_each_process=False,
)
OLDEST_WITHDRAWN = Gauge(
    "disrupt_oldest_withdrawn_seconds",
    "Bound on the age of the oldest withdrawn byte in the index or, on a writer, in PostgreSQL.",
    of_each_process=False,
)
ERASE_WITHIN = Gauge(
    "disrupt_erase_within_seconds", "Age that it must not reach.", of_each_process=False
)
DISK_FREE = Gauge(
    "disrupt_disk_free_bytes", "Room on the disk of the data directory.", of_each_process=False
)
BACKUP_TIME = Gauge(
    "disrupt_backup_timestamp_seconds",
    "When the newest backup in backups_dir was made; 0 without any.",
    of_each_process=False,
)
MIRROR_BEHIND = Gauge(
    "disrupt_mirror_behind_seconds",
    "Bound on the age of the oldest withdrawn hash in files of mirrors, by organisation.",
    "organisation",
    of_each_process=False,
)
MIRROR_AGE = Gauge(
    "disrupt_mirror_age_seconds",
    "On a mirror: time since it had all that the hotline has.",
    of_each_process=False,
)
MIRROR_OUTCOMES = Gauge(
    "disrupt_mirror_outcomes_waiting",
    "On a mirror: outcomes that the hotline was not told yet.",
    of_each_process=False,
)
MIRROR_OUTCOMES_PASSED = Counter(
    "disrupt_mirror_outcomes", "On a mirror: outcomes sent to the hotline, or dropped.", "result"
)
LIST_READ = Gauge(
    "disrupt_list_read_timestamp_seconds",
    "When a partner's list was last read to its end, or was added.",
    "list",
    of_each_process=False,
)
LIST_FAILURES = Gauge(
    "disrupt_list_failures",
    "Runs of a partner's list that failed since one ended well.",
    "list",
    of_each_process=False,
)
LIST_SKIPPED = Gauge(
    "disrupt_list_skipped_entries",
    "Entries that the last run of a partner's list did not register.",
    "list",
    "reason",
    of_each_process=False,
)
INFO = Gauge("disrupt_info", "1, with the version.", "version", of_each_process=False)
STARTED = Gauge("disrupt_start_timestamp_seconds", "Start of the server.", of_each_process=False)
PROCESS_UP = Gauge(
    "disrupt_process_up",
    "1 where a process serves, 0 where it is starting, silent or down.",
    "process",
    of_each_process=False,
)
PROCESS_SILENT = Gauge(
    "disrupt_process_silent_seconds",
    "Time since a process gave a sign of life.",
    "process",
    of_each_process=False,
)
PROCESS_ENDS = Counter(
    "disrupt_process_ends",
    "Processes that ended untold (died), or were killed (hung).",
    "role",
    "cause",
)
SUPERVISOR_STALLED = Counter(
    "disrupt_supervisor_stalled_seconds", "Time for which the supervisor did not run."
)
CLOCK_JUMPS = Counter(
    "disrupt_clock_jumps",
    "Times that the clock was set by more than 2 s, forward or back.",
    "direction",
)
MAINTENANCE_STARTED = Gauge(
    "disrupt_maintenance_start_timestamp_seconds",
    "Start of the process of maintenance; hidden where none runs.",
    of_each_process=False,
)
MEMORY = Gauge(
    "disrupt_memory_bytes",
    "Resident memory of a process, with what it shares with others.",
    "process",
    of_each_process=False,
)
PROCESSOR = Gauge(
    "disrupt_processor_seconds",
    "Processor time that a process has used since its start.",
    "process",
    of_each_process=False,
)
OPEN_FILES = Gauge(
    "disrupt_open_files",
    "Files and connections that a process has open.",
    "process",
    of_each_process=False,
)
OPEN_FILES_MAX = Gauge(
    "disrupt_open_files_max", "Most that it may have open.", of_each_process=False
)

DISTANCES = ("0-7", "8-15", "16-23", "24-31", "32-")
"""Bands of distances in bits, by which matches are counted."""


_counting_matches = threading.Lock()


def count_uploads(organisation: str, looked_up: int, matched: int) -> None:
    """Count uploads of an organisation. For any thread."""
    with _counting_matches:
        UPLOADS_LOOKED_UP.add(organisation, amount=looked_up)
        if matched:
            UPLOADS_MATCHED.add(organisation, amount=matched)


def count_probed(organisation: str, items: int) -> None:
    """Count items that an organisation probes. For any thread."""
    with _counting_matches:
        PROBING.add(organisation, amount=items)


def count_matches(matches: Iterable[tuple[str, int, bool]]) -> None:
    """Count matches, given the bank, the distance in bits, and the mark ``common`` of each.

    For any thread.
    """
    tally = Tally(
        (bank, min(bits >> 3, len(DISTANCES) - 1), common) for bank, bits, common in matches
    )
    with _counting_matches:
        for (bank, band, common), number in tally.items():
            MATCHES.add(bank, DISTANCES[band], amount=number)
            if common:
                COMMON_MATCHES.add(amount=number)
