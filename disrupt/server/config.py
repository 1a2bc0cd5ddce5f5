"""Configuration of the server: frozen, safe by default; an unknown setting is refused.

A setting comes from an option, else from the environment, else from the file, else it is the
default.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections import ChainMap
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from disrupt.core.hashes import MAX_DISTANCE_BITS, OPERATOR_MAX_DISTANCE_BITS
from disrupt.core.waiting import LookupPolicy
from disrupt.errors import ConfigurationError

_MIB = 2**20


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _cores_each(settings: dict[str, Any]) -> int:
    workers: int = settings.get("workers", 1)
    return max(_cores() // workers, 1)


class Source(StrEnum):
    """Where a setting comes from."""

    OPTION = "option"
    ENVIRONMENT = "environment"
    FILE = "file"


class Config(BaseModel):
    """All settings, as in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path
    """Data directory; created where missing."""
    listen: str = "127.0.0.1:50051"
    """HOST:PORT; port 0 picks a free one. Beyond loopback only with TLS."""
    workers: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=_cores)
    """Processes that answer calls; by default as many as cores."""
    tls_cert: Path | None = None
    """Certificate chain, PEM; read again when it changes."""
    tls_key: Path | None = None
    """Its private key, PEM; read again when it changes."""
    client_listen: str | None = None
    """HOST:PORT of a second address, for callers with a client certificate of client_ca, who need a
    key besides; port 0 picks a free one."""
    client_ca: Path | None = None
    """Certificates of the authorities that sign client certificates, PEM."""

    metrics_listen: str | None = None
    """HOST:PORT of metrics for Prometheus and of /livez and /readyz, over HTTP without keys; port 0
    picks a free one. Beyond loopback only behind what lets nobody else in."""

    max_message_bytes: Annotated[int, Field(ge=64 * 1024, le=512 * _MIB)] = 33 * _MIB
    """Largest message. Pictures have up to 32 MiB."""
    max_hashes_per_lookup: Annotated[int, Field(ge=64, le=1_000_000)] = 10_000
    """Most hashes in one lookup."""
    max_matches_per_answer: Annotated[int, Field(ge=1000)] = 100_000
    """Most matches in one answer to a batch; by default, clients take answers of 4 MiB."""
    max_items_per_registration: Annotated[int, Field(ge=1)] = 64
    """Most items in one registration."""
    max_hashes_per_item: Annotated[int, Field(ge=1)] = 8000
    """A video has up to 2000 for each hour."""
    max_hashes_per_registration: Annotated[int, Field(ge=1)] = 64_000
    """Hashes of all items together: eight of the largest, or a thousand for each of 64."""
    max_items_per_case: Annotated[int, Field(ge=1)] = 1000
    """Most items in one case."""
    max_registered_hashes_per_h: Annotated[int, Field(ge=1)] = 2_000_000
    """Hashes that one organisation may register in an hour; more are RESOURCE_EXHAUSTED."""
    flood_items_per_h: Annotated[int, Field(ge=1)] = 1000
    """Items that one origin may register in an hour; more wait for review. By default a full case,
    the most that a person has."""
    negative_bits: Annotated[int, Field(ge=0, le=MAX_DISTANCE_BITS)] = MAX_DISTANCE_BITS
    """How near a picture may be to a harmless one without waiting for review."""

    hide_beyond_bits: Annotated[int, Field(ge=0, le=OPERATOR_MAX_DISTANCE_BITS)] = 12
    """Only reports of matches that are farther than this count as false positives."""
    hide_organisations: Annotated[int, Field(ge=2)] = 2
    """Organisations that report false positives of an item before it waits for review."""
    far_lookups_per_picture: Annotated[int, Field(ge=2)] = 320
    """Lookups near to one picture, of one organisation on one day and over 62 bits from each other,
    that make it one of far_lookup_organisations. No device registers more hashes of a picture than
    300, and each of these lookups is near to another one."""
    far_lookups_per_video: Annotated[int, Field(ge=2)] = 2048
    """The same of a video, which has up to 2000 hashes for each hour."""
    far_lookup_organisations: Annotated[int, Field(ge=3)] = 3
    """Organisations that look up so many before the item waits for review."""
    review_within_h: Annotated[float, Field(gt=0, le=8760)] = 72.0
    """Hours after which what waits by a rule, and nobody has reviewed, goes live again."""

    max_concurrent_calls: Annotated[int, Field(ge=1)] = 1000
    """Calls at once in one worker; more are RESOURCE_EXHAUSTED."""

    hashes_per_s: Annotated[float, Field(gt=0)] | None = None
    """Hashes that an organisation may look up a second, on average, of the whole server; by default
    without limit. More are RESOURCE_EXHAUSTED."""
    pictures_per_s: Annotated[float, Field(gt=0)] | None = None
    """Pictures that an organisation may have decoded a second, as above."""
    video_mib_per_s: Annotated[float, Field(gt=0)] | None = None
    """MiB of videos that an organisation may have decoded a second, as above."""

    search_threads: Annotated[int, Field(ge=1)] = Field(default_factory=_cores)
    """Searches at once in one worker, beside short ones, which its event loop makes."""
    hashing_workers: Annotated[int, Field(ge=1)] = Field(default_factory=_cores_each)
    """Processes that decode and hash pictures for one worker; by default a core each."""
    hashing_queue: Annotated[int, Field(ge=0)] = 16
    """Pictures of one organisation that wait to be hashed; more are RESOURCE_EXHAUSTED."""
    hashing_memory_mib: Annotated[int, Field(ge=640)] = 1536
    """Address space of one such process: libraries take 400 MiB, the largest pictures 900 more."""
    hashing_cpu_s: Annotated[int, Field(ge=1)] = 5
    """Processor time for one picture; the largest ones take 2 s."""

    max_video_mib: Annotated[int, Field(ge=1, le=16384)] = 512
    """Largest video file; it is held in memory while it is looked up or registered."""
    max_video_minutes: Annotated[int, Field(ge=1, le=1440)] = 180
    """Longest video."""
    video_workers: Annotated[int, Field(ge=1)] = Field(default_factory=_cores_each)
    """Processes that decode and hash videos for one worker, beside those for pictures."""
    video_queue: Annotated[int, Field(ge=0)] = 4
    """Videos of one organisation that wait to be hashed; more are RESOURCE_EXHAUSTED."""
    video_memory_mib: Annotated[int, Field(ge=640)] = 1536
    """Address space of one such process beside the file: frames of 9 megapixels take 600 MiB."""
    video_cpu_s: Annotated[int, Field(ge=1)] = 300
    """Processor time for one video; an hour of 720p takes about 100 s."""
    max_video_call_s: Annotated[float, Field(gt=0)] = 600.0
    """Like max_call_s, for calls that send a video."""
    video_stall_s: Annotated[float, Field(gt=0)] = 20.0
    """Longest wait for the next part of a video."""

    logged_calls_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of calls of which a line is logged, drawn at random."""
    max_call_s: Annotated[float, Field(gt=0)] = 30.0
    """Deadline of calls that come without one, and the longest deadline."""
    drain_grace_s: Annotated[float, Field(ge=0)] = 10.0
    """Time for calls in flight when the server stops."""
    connection_max_age_s: Annotated[float, Field(ge=1)] = 300.0
    """Age at which a connection is closed, gently, so that load spreads over the workers."""
    follow_interval_s: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Pause between two reads of the registry: changes, keys, snapshots."""
    stale_not_ready_s: Annotated[float, Field(ge=1)] = 30.0
    """Age of the oldest change that a worker has not applied, from which on its health says
    NOT_SERVING."""
    stale_closes_s: Annotated[float, Field(gt=1)] = 300.0
    """Age of that change from which on the worker closes its connections, and serves again once it
    has applied all: withdrawn items must not match, nor revoked keys work, for longer."""
    hung_after_s: Annotated[float, Field(ge=2)] = 30.0
    """Time without a heartbeat from the event loop of the writer or of a worker, one a second,
    after which it is killed and started anew."""
    compact_after_hashes: Annotated[int, Field(ge=1)] = 50_000
    """Hashes registered after which the index is compacted, beside serving; at least a twentieth of
    those it has. A withdrawal counts as one."""
    erase_within_h: Annotated[float, Field(gt=0, le=24)] = 24.0
    """Longest that bytes of what was withdrawn stay on disk without anybody's doing, in hours."""

    @classmethod
    def load(cls, sources: Mapping[Source, Mapping[str, object]]) -> Self:
        """Check the settings of ``sources_of``. Raises ConfigurationError."""
        try:
            return cls.model_validate(dict(ChainMap(*map(dict, sources.values()))))
        except ValidationError as error:
            problems = "; ".join(
                _problem(detail["loc"], detail["msg"])
                for detail in error.errors()
                if detail["type"] != "default_factory_not_called"  # after another problem only
            )
            raise ConfigurationError(f"The configuration is refused: {problems}") from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        host, _ = self.address
        if self.stale_closes_s <= self.stale_not_ready_s:
            raise ValueError(
                f"stale_closes_s {self.stale_closes_s:g} has to be more than stale_not_ready_s"
                f" {self.stale_not_ready_s:g}"
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together: give both or none")
        if self.tls_cert is None and not is_loopback(host):
            raise ValueError(
                f"listen {self.listen!r} is reachable from other machines: give tls_cert and"
                " tls_key, or listen on 127.0.0.1"
            )
        if (self.client_listen is None) != (self.client_ca is None):
            raise ValueError("client_listen and client_ca belong together: give both or none")
        if self.client_listen is not None:
            if self.tls_cert is None:
                raise ValueError("client_listen needs tls_cert and tls_key, which it shows, too")
            if _address("client_listen", self.client_listen) == self.address and self.address[1]:
                raise ValueError("client_listen is the same as listen: give it a port of its own")
        if self.metrics_listen is not None:
            metrics = _address("metrics_listen", self.metrics_listen)
            if metrics[1] and metrics in (self.address, self.client_address):
                raise ValueError("metrics_listen is another's port: give it a port of its own")
        return self

    @property
    def lookup_policy(self) -> LookupPolicy:
        """When lookups make an item wait for review."""
        return LookupPolicy(
            self.far_lookups_per_picture, self.far_lookups_per_video, self.far_lookup_organisations
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host, without brackets, and port of ``listen``."""
        return _address("listen", self.listen)

    @property
    def client_address(self) -> tuple[str, int] | None:
        """Host and port of ``client_listen``; None without."""
        if self.client_listen is None:
            return None
        return _address("client_listen", self.client_listen)

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of ``metrics_listen``; None without."""
        if self.metrics_listen is None:
            return None
        return _address("metrics_listen", self.metrics_listen)


def sources_of(
    file: Path | None, options: Mapping[str, object], environment: Mapping[str, str]
) -> dict[Source, Mapping[str, object]]:
    """Return what each source says of settings, the one that goes first at first.

    ``file`` is TOML. A variable that is empty says nothing. Raises ConfigurationError where the
    file cannot be read.
    """
    written: dict[str, object] = {}
    if file is not None:
        try:
            written = tomllib.loads(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"The file {file} cannot be read: {error}") from error
    variables = {name: environment.get(variable(name)) for name in Config.model_fields}
    return {
        Source.OPTION: options,
        Source.ENVIRONMENT: {name: value for name, value in variables.items() if value},
        Source.FILE: written,
    }


def variable(setting: str) -> str:
    """Return the name of a setting's variable."""
    return f"DISRUPT_{setting.upper()}"


def _address(setting: str, value: str) -> tuple[str, int]:
    host, colon, port = value.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError(f"{setting} {value!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    """Tell whether a host, by name or address, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _problem(location: tuple[int | str, ...], message: str) -> str:
    name = ".".join(map(str, location))
    if message == "Extra inputs are not permitted":
        return f"{name}: no such setting"
    if message == "Field required":
        return f"{name}: needed, as an option, as {variable(name)}, or in the file"
    text = message.removeprefix("Value error, ")
    return f"{name}: {text}" if name else text
