"""Every metric that the processes of a server count. No label has what a caller may choose."""

from __future__ import annotations

from collections.abc import Iterator

from disrupt.core.organisations import Kind as Quota
from disrupt.core.outcomes import Outcome
from disrupt.errors import DisruptError
from disrupt.isolation.child import Cause
from disrupt.server.admission.shares import CALLERS, Resource
from disrupt.server.calls.health import FEED, MATCH, REGISTRATION
from disrupt.server.calls.interceptors import CANCELLED, OK
from disrupt.server.metrics.figures import Family, Figures, Kind
from disrupt.server.rights import RIGHTS

OTHER = "other"
"""A call without a key, or one that there is not; an outcome that is not known here."""

_METHODS = {path: path.rpartition(".")[2] for path in RIGHTS}


def method_of(path: str) -> str:
    """Return the label of a call by its path."""
    return _METHODS.get(path, OTHER)


def kind_of(quota: Quota) -> str:
    """Return the label of what is looked up."""
    return quota.value.removesuffix("_per_s")


def refusal_of(of: Resource | Quota) -> str:
    """Return the label of what was refused."""
    return f"quota_{kind_of(of)}" if isinstance(of, Quota) else of.name.lower()


def _reasons(error: type[DisruptError]) -> Iterator[str]:
    yield error.reason
    for each in error.__subclasses__():
        yield from _reasons(each)


CAUSES = (*Cause, "MEMORY")
"""Causes for which a decoder failed. A file that it refuses is INVALID_MEDIA."""

OUTCOMES = (OK, CANCELLED, *sorted({*_reasons(DisruptError), *CAUSES}), OTHER)
"""What became of a call: OK, or the cause or the reason of its error."""
_OUTCOMES = frozenset(OUTCOMES)


def outcome_of(outcome: str) -> str:
    """Return the label of what became of a call."""
    return outcome if outcome in _OUTCOMES else OTHER


BANDS = ("0-7", "8-15", "16-23", "24-31", "32-")
"""Distances of matches, in bits."""
BAND_BITS = 8

BANKS_MAX = 256
"""Banks that are counted apart; of more, some share a series."""

SUPERVISOR, WRITER, WORKER, MONITOR = "supervisor", "writer", "worker", "monitor"
"""Names of rows; those of workers have a number behind."""

SERVICES = {"lookups": MATCH, "feed": FEED, "writes": REGISTRATION}
"""Names in gRPC health of what serves."""
FAULTS = {
    "lookups": "lookups are not answered: index or keys are too old, or nothing decodes pictures.",
    "feed": "the feed is not answered: index or keys are too old.",
    "writes": "nothing can be written: the disk is full, read-only or hangs.",
}
"""Why a service does not serve; the log says which it is."""

CALLS = Family(
    "disrupt_call_duration_seconds",
    "Time from when a call is let in to its answer, by what became of it.",
    Kind.HISTOGRAM,
    {"method": (*_METHODS.values(), OTHER), "outcome": OUTCOMES},
)
LOOKED_UP = Family(
    "disrupt_looked_up",
    "What organisations had looked up: hashes, pictures, MiB of videos.",
    Kind.COUNTER,
    {"kind": tuple(map(kind_of, Quota)), "organisation": range(CALLERS)},
)
REFUSED = Family(
    "disrupt_refused",
    "Refusals of what would have been more than an organisation's share, or its quota.",
    Kind.COUNTER,
    {
        "of": tuple(map(refusal_of, (*Resource, *Quota))),
        "organisation": range(CALLERS),
    },
)
MATCHES = Family(
    "disrupt_matches",
    "Matches that were answered, by bank and distance.",
    Kind.COUNTER,
    {"bank": range(BANKS_MAX), "distance_bits": BANDS},
)
REPORTS = Family(
    "disrupt_outcomes",
    "Outcomes of matches that organisations reported, corrections included.",
    Kind.COUNTER,
    {
        "outcome": tuple(outcome.name.lower() for outcome in Outcome),
        "organisation": range(CALLERS),
    },
)
WAITING = Family(
    "disrupt_waiting",
    "Pictures and videos that wait for a process that decodes them.",
    Kind.GAUGE,
    {"of": ("pictures", "videos")},
    WORKER,
)
HELD = Family(
    "disrupt_held",
    "What calls under way hold of a resource that admission shares out, by worker.",
    Kind.GAUGE,
    {"of": tuple(map(refusal_of, Resource))},
    WORKER,
)
INDEX_HASHES = Family("disrupt_index_hashes", "Hashes that lookups search.", Kind.GAUGE, {}, WORKER)
INDEX_ITEMS = Family(
    "disrupt_index_items", "Media items that lookups can match.", Kind.GAUGE, {}, WORKER
)
INDEX_DELTA = Family(
    "disrupt_index_delta_hashes", "Hashes that came since the generation.", Kind.GAUGE, {}, WORKER
)
GENERATION_BEGUN = Family(
    "disrupt_index_generation_timestamp_seconds",
    "When the writing of the generation that is served began.",
    Kind.GAUGE,
    {},
    WORKER,
)
GENERATION = Family(
    "disrupt_index_generation", "Number of the generation that is served.", Kind.GAUGE, {}, WORKER
)
LAG = Family(
    "disrupt_index_lag_seconds",
    "Upper bound on the age of the oldest change that lookups do not show.",
    Kind.GAUGE,
    {},
    WORKER,
)
SERVING = Family(
    "disrupt_serving",
    "1 where lookups, the feed and writes are answered, as gRPC health says.",
    Kind.GAUGE,
    {"service": tuple(SERVICES)},
    WORKER,
)
SEEN = Family(
    "disrupt_seen_timestamp_seconds",
    "When a process last wrote its figures.",
    Kind.GAUGE,
    {},
)
STARTED = Family(
    "disrupt_start_timestamp_seconds",
    "When the server was started, or took up a new program.",
    Kind.GAUGE,
    {},
    SUPERVISOR,
)
OPEN_FILES = Family(
    "disrupt_open_files", "Files and connections that a process has open.", Kind.GAUGE, {}
)
OPEN_FILES_MAX = Family(
    "disrupt_open_files_max", "Most files and connections that it may have open.", Kind.GAUGE, {}
)
MEMORY = Family(
    "disrupt_memory_bytes",
    "Memory that a process has, with what it shares with others.",
    Kind.GAUGE,
    {},
)
ADDRESSES = Family(
    "disrupt_address_space_bytes", "Addresses that a process has mapped.", Kind.GAUGE, {}
)
ADDRESSES_MAX = Family(
    "disrupt_address_space_max_bytes",
    "Most addresses that it may have mapped; +Inf without a limit.",
    Kind.GAUGE,
    {},
)
DISK_FREE = Family(
    "disrupt_disk_free_bytes",
    "Room on the disk of the data directory.",
    Kind.GAUGE,
    {},
    MONITOR,
)
HIDDEN = Family(
    "disrupt_hidden_items",
    "Items that lookups do not find, by state.",
    Kind.GAUGE,
    {"state": ("waiting", "disabled")},
    MONITOR,
)
ERASURE_PENDING = Family(
    "disrupt_erasure_pending_seconds",
    "Time since files of the index were first seen, after the start, to hold withdrawn items.",
    Kind.GAUGE,
    {},
    MONITOR,
)
UNFINISHED = Family(
    "disrupt_index_unfinished_bytes",
    "Files of a generation that is being written, or whose writing was cut off.",
    Kind.GAUGE,
    {},
    MONITOR,
)
DECODER_ENDS = Family(
    "disrupt_decoder_ends",
    "Processes that decode pictures or videos and ended, by cause; not for videos given up.",
    Kind.COUNTER,
    {"of": ("pictures", "videos"), "cause": tuple(Cause)},
)
PROCESS_ENDS = Family(
    "disrupt_process_ends",
    "Processes that ended without being told to, by role.",
    Kind.COUNTER,
    {"role": (WRITER, WORKER, MONITOR)},
)

FAMILIES = (
    CALLS,
    LOOKED_UP,
    REFUSED,
    MATCHES,
    REPORTS,
    WAITING,
    HELD,
    INDEX_HASHES,
    INDEX_ITEMS,
    INDEX_DELTA,
    GENERATION,
    GENERATION_BEGUN,
    LAG,
    SERVING,
    SEEN,
    STARTED,
    OPEN_FILES,
    OPEN_FILES_MAX,
    MEMORY,
    ADDRESSES,
    ADDRESSES_MAX,
    DISK_FREE,
    HIDDEN,
    ERASURE_PENDING,
    UNFINISHED,
    PROCESS_ENDS,
    DECODER_ENDS,
)


def worker_row(number: int) -> str:
    """Return the name of a worker's row."""
    return f"{WORKER} {number}"


def figures_of(workers: int) -> Figures:
    """Allocate the figures of a server."""
    rows = [SUPERVISOR, WRITER, MONITOR, *map(worker_row, range(workers))]
    return Figures(FAMILIES, rows)
