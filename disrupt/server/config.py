"""Configuration of the server: frozen, safe by default; an unknown setting is refused."""

from __future__ import annotations

import ipaddress
import os
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from disrupt.errors import ConfigurationError
from disrupt.extras import install_extra

_MIB = 2**20


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _cores_each(settings: dict[str, Any]) -> int:
    workers: int = settings.get("workers", 1)
    return max(_cores() // workers, 1)


class Config(BaseModel):
    """All settings, as in the file; options of the command line override them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path
    """Data directory; made if missing."""
    role: Literal["all", "writer", "match", "mirror"] = "all"
    """What this machine does: ``all``; ``writer`` writes the registry for other machines, and
    answers no lookups; ``match`` answers lookups, and has the rest done by a writer; ``mirror``
    answers a platform's lookups from a copy of banks that it reads from the hotline's feed."""
    registry: str | None = None
    """URL of a PostgreSQL database, ``postgresql://USER@HOST:PORT/DATABASE``, for the registry of a
    data directory that has none yet, which notes it in ``registry.url``. None: as noted there, else
    SQLite. Passwords, certificates and several hosts as libpq takes them; of several hosts the
    primary is used."""
    writers: str | None = None
    """Of role ``match``: the internal addresses of the writers, as a target of gRPC, such as
    ``ipv4:10.0.0.2:7000,10.0.0.3:7000``. The first that listens is asked."""
    nodes: tuple[str, ...] = ()
    """Internal addresses, HOST:PORT, of all machines of role ``match``, whose lists of removals
    ``disrupt restore --removals`` reads."""
    hotline: str | None = None
    """Of role ``mirror``: HOST:PORT of the hotline's server. Beyond loopback over TLS."""
    hotline_key: Path | None = None
    """Of role ``mirror``: file of the key of right ``feed`` that the hotline has given."""
    hotline_ca: Path | None = None
    """Of role ``mirror``: authorities to trust instead of the system's, PEM."""
    mirror_max_age_s: Annotated[float, Field(ge=60, le=7 * 86_400)] = 86_400.0
    """Age at which a mirror stops answering. A hotline tells its mirrors; a mirror stops at that
    age, or at its own where this is less."""
    audit_name: Annotated[str, Field(pattern=r"^[^\s+]{0,200}$")] | None = None
    """Name of the audit log, which its checkpoints begin with, such as ``hotline.example/audit``.
    None: one made from its key."""
    mirror_disputes_per_day: Annotated[int, Field(ge=0)] = 500
    """Matches that one organisation may dispute in a day through its mirrors, which can name any
    item of their banks (docs/mirror.md#outcomes); further ones are RESOURCE_EXHAUSTED."""
    listen: str = "127.0.0.1:50051"
    """HOST:PORT; port 0 picks a free one. Beyond loopback only with TLS."""
    workers: Annotated[int, Field(ge=1, le=256)] = Field(default_factory=_cores)
    """Processes that answer calls; by default as many as cores."""
    tls_cert: Path | None = None
    """Certificate chain, PEM."""
    tls_key: Path | None = None
    """Its private key, PEM."""
    metrics_listen: str = "127.0.0.1:9464"
    """HOST:PORT of metrics (docs/watch.md), /livez and /readyz, over plain HTTP; port 0 picks a
    free one. Empty: nowhere. Whoever reaches it may read them."""
    traces_endpoint: str | None = None
    """URL of a collector of OpenTelemetry that takes OTLP over gRPC, for spans of calls; needs the
    extra ``traces``. None: no spans are made."""
    backups_dir: Path | None = None
    """Directory of the backups, so that metrics have the age of the newest."""

    internal_listen: str | None = None
    """HOST:PORT for the other machines of a deployment, over mutual TLS. None: nowhere."""
    internal_cert: Path | None = None
    """Certificate chain of this machine, PEM. A DNS name is its role: ``writer`` or ``match``."""
    internal_key: Path | None = None
    """Its private key, PEM."""
    internal_ca: Path | None = None
    """Authority that signs the certificates of all these machines, PEM, and nothing else."""

    max_message_bytes: Annotated[int, Field(ge=512 * 1024, le=512 * _MIB)] = 33 * _MIB
    """Largest message. Pictures have up to 32 MiB."""
    max_hashes_per_lookup: Annotated[int, Field(ge=10_000, le=1_000_000)] = 10_000
    """Most hashes in one lookup, at least 10 000; a picture has up to 9272."""
    max_matches_per_answer: Annotated[int, Field(ge=1000)] = 100_000
    """Most matches in one answer to a batch; by default, clients take answers of 4 MiB."""
    max_items_per_registration: Annotated[int, Field(ge=1)] = 64
    """Most items in one registration."""
    max_hashes_per_item: Annotated[int, Field(ge=1)] = 8000
    """Most hashes of one item; a video has up to 2000 for each hour."""
    max_hashes_per_registration: Annotated[int, Field(ge=1)] = 64_000
    """Hashes of all items together: eight of the largest, or a thousand for each of 64."""
    max_items_per_case: Annotated[int, Field(ge=1, le=20_000)] = 1000
    """Most items in one case; more could not be withdrawn at once in every database."""
    max_registered_hashes_per_h: Annotated[int, Field(ge=1)] = 2_000_000
    """Hashes that one key may register in an hour, all at once if it likes: 15 000 pictures of 130.
    More are RESOURCE_EXHAUSTED, with a time to try again (docs/settings.md#who-shares-a-key)."""
    live_pictures_per_origin: Annotated[int, Field(ge=1)] = 200
    """Pictures of one network that go live at once in a day (UTC); further ones take turns
    (docs/live-limits.md). The wider networks of an IPv6 address, /56 and /48, have twice and four
    times as many."""
    live_pictures_per_key: Annotated[int, Field(ge=1)] = 2000
    """Like live_pictures_per_origin, of the calls of one key that name no network."""
    turns_per_h: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Pictures in an hour that go live by turns, of one network and day, or one key."""
    proof_attempts: Annotated[int, Field(ge=0, le=1_000_000)] = 500
    """Attempts of the proof of work for an earlier turn of one picture, on average: with 500 some
    3 s of a phone. 0: no proof is asked for."""
    dispute_organisations: Annotated[int, Field(ge=2)] = 2
    """Organisations that have to dispute a version of an item until it is answered only nearer than
    all of them dispute it."""
    dispute_floor_bits: Annotated[int, Field(ge=0, le=31)] = 16
    """Distance in bits up to which a match is of the same picture: no dispute hides it there, but
    for a tenth of the versions that show only a part."""
    review_within_h: Annotated[float, Field(ge=48)] = 72.0
    """Hours within which a wait for a review ends that nobody makes, at the last midnight (UTC):
    what was registered to wait takes its turn (docs/live-limits.md), other items go live."""
    probing_varied_bits: Annotated[int, Field(ge=0, le=256)] = 192
    """Bits of a stored hash from which on an organisation is counted as probing it: those in which
    its hashes that matched it within an hour differ (docs/probing.md). 0: nobody is, and nobody
    waits. Not on a mirror."""
    probing_delay_s: Annotated[float, Field(ge=0, le=2)] = 0.25
    """Time that each further hash near such an item waits, one after the other, and a call at most
    2 s. 0: none waits."""
    max_concurrent_calls: Annotated[int, Field(ge=1)] = 1000
    """Calls at once in one worker; more are RESOURCE_EXHAUSTED. One key alone has half."""

    search_threads: Annotated[int, Field(ge=1)] = Field(default_factory=_cores)
    """Searches at once in one worker, beside short ones, which its event loop makes."""
    hashing_workers: Annotated[int, Field(ge=1)] = Field(default_factory=_cores_each)
    """Locked-down processes that decode and hash pictures for one worker."""
    hashing_queue: Annotated[int, Field(ge=0)] = 16
    """Most pictures of one key that wait to be hashed, fewer where decoders are slow
    (docs/settings.md#by-delay); more are RESOURCE_EXHAUSTED, with a time to try again."""
    hashing_memory_mib: Annotated[int, Field(ge=640)] = 1536
    """Address space of one such process: libraries take 400 MiB, the largest pictures 900 more."""
    hashing_cpu_s: Annotated[int, Field(ge=1)] = 5
    """Processor time for one picture; the largest ones take 2 s."""

    max_video_mib: Annotated[int, Field(ge=1, le=16384)] = 512
    """Largest video file; it is held in memory while it is looked up or registered."""
    max_video_minutes: Annotated[int, Field(ge=1, le=1440)] = 180
    """Longest video."""
    video_workers: Annotated[int, Field(ge=1)] = Field(default_factory=_cores_each)
    """Locked-down processes that decode and hash videos for one worker, beside those for
    pictures."""
    video_queue: Annotated[int, Field(ge=0)] = 4
    """Most videos of one key that wait to be hashed, fewer where decoders are slow
    (docs/settings.md#by-delay); more are RESOURCE_EXHAUSTED, with a time to try again."""
    video_memory_mib: Annotated[int, Field(ge=640)] = 1536
    """Address space of one such process beside the file: frames of 9 megapixels take 600 MiB."""
    video_cpu_s: Annotated[int, Field(ge=1)] = 300
    """Processor time for one video; an hour of 720p takes about 100 s. Of it, 60 s once another key
    waits for a process."""
    max_video_call_s: Annotated[float, Field(gt=0)] = 600.0
    """Like max_call_s, for calls that send a video."""
    video_stall_s: Annotated[float, Field(gt=0)] = 20.0
    """Longest wait for the next part of a video."""

    max_call_s: Annotated[float, Field(gt=0)] = 30.0
    """Deadline of calls that come without one, and the longest deadline."""
    drain_grace_s: Annotated[float, Field(ge=0)] = 10.0
    """Time for calls in flight when the server stops."""
    connection_max_age_s: Annotated[float, Field(ge=1)] = 60.0
    """Age at which a connection is closed, gently, so that load spreads over the workers. A reload
    takes as long."""
    follow_interval_s: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Pause between two reads of the registry: changes, keys, snapshots."""
    stale_not_ready_s: Annotated[float, Field(ge=1)] = 30.0
    """Age of the oldest change that a worker has not applied, from which on its health says
    NOT_SERVING."""
    stale_closes_s: Annotated[float, Field(gt=1)] = 300.0
    """Age of that change from which on the worker closes its connections, and serves again once it
    has applied all: withdrawn items must not match, nor revoked keys work, for longer."""
    hung_after_s: Annotated[float, Field(ge=2)] = 6.0
    """Time without a heartbeat from the event loop of the writer or of a worker, one a second,
    after which it is killed and started anew. Give more before a debugger stops a process."""
    compact_after_hashes: Annotated[int, Field(ge=1)] = 50_000
    """Hashes registered after which the index is compacted, beside serving; at least a twentieth of
    those it has. A withdrawal counts as one."""
    erase_within_h: Annotated[float, Field(gt=0, le=24)] = 24.0
    """Longest that bytes of what was withdrawn stay on disk without anybody's doing, in hours."""

    @classmethod
    def load(cls, file: Path | None, **overrides: object) -> Self:
        """Load a TOML file; ``overrides`` that are not None replace its values.

        Raises ConfigurationError.
        """
        settings: dict[str, Any] = {}
        if file is not None:
            try:
                settings = tomllib.loads(file.read_text("utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise ConfigurationError(f"The file {file} cannot be read: {error}") from error
        settings |= {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**settings)
        except ValidationError as error:
            problems = "; ".join(
                _problem(detail["loc"], detail["msg"])
                for detail in error.errors()
                if detail["type"] != "default_factory_not_called"  # follows from the others
            )
            raise ConfigurationError(f"The configuration is refused: {problems}") from None

    @model_validator(mode="after")
    def _check(self) -> Self:
        host, _ = self.address
        if self.metrics_listen:
            parsed_address("metrics_listen", self.metrics_listen)
        if self.traces_endpoint:
            if not self.traces_endpoint.startswith(("http://", "https://")):
                raise ValueError(
                    f"traces_endpoint {self.traces_endpoint!r} is no URL of http or https"
                )
            if find_spec("opentelemetry") is None:
                raise ValueError(
                    f"traces_endpoint needs the extra traces: {install_extra('traces')}"
                )
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
        return self

    @model_validator(mode="after")
    def _check_machines(self) -> Self:
        if self.internal_listen:
            parsed_address("internal_listen", self.internal_listen)
        internal = (self.internal_listen, self.internal_cert, self.internal_key, self.internal_ca)
        if len({setting is None for setting in internal}) > 1:
            raise ValueError(
                "internal_listen, internal_cert, internal_key and internal_ca belong together: give"
                " all four or none"
            )
        if self.role in {"writer", "match"} and self.internal_listen is None:
            raise ValueError(
                f"role {self.role} needs internal_listen, and the settings that go with it"
            )
        for node in self.nodes:
            parsed_address("nodes", node)
        if self.nodes and self.internal_listen is None:
            raise ValueError("nodes needs internal_listen, and the settings that go with it")
        if (self.role == "match") != (self.writers is not None):
            raise ValueError("role match needs writers, and no other role has them")
        of_mirror = (self.hotline, self.hotline_key)
        if {setting is not None for setting in of_mirror} != {self.role == "mirror"}:
            raise ValueError("role mirror needs hotline and hotline_key, no other role has them")
        if self.hotline is not None:
            parsed_address("hotline", self.hotline)
        if self.role == "mirror" and (
            self.registry is not None or self.internal_listen is not None
        ):
            raise ValueError(
                "a mirror has a registry of its own and is no part of a fleet: leave"
                " out registry and internal_listen"
            )
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host, without brackets, and port of ``listen``."""
        return parsed_address("listen", self.listen)

    @property
    def serves_at(self) -> str:
        """HOST:PORT that the server announces: the one at which others need it."""
        return (self.internal_listen or "") if self.role == "writer" else self.listen

    def at(self, address: str) -> Self:
        """Return these settings with another address for ``serves_at``."""
        name = "internal_listen" if self.role == "writer" else "listen"
        return self.model_copy(update={name: address})


def parsed_address(setting: str, text: str) -> tuple[str, int]:
    """Return host, without brackets, and port of HOST:PORT. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise ValueError(f"{setting} {text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host."""
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
    text = message.removeprefix("Value error, ")
    return f"{name}: {text}" if name else text
