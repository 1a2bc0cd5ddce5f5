"""Prepare, before any process is forked, what all of them need: files, index, port."""

from __future__ import annotations

import contextlib
import resource
import shutil
import socket
from functools import partial

import structlog

from disrupt.data_directory import DataDirectory
from disrupt.distinctiveness.limits import check_limits
from disrupt.errors import ConfigurationError, SnapshotRefusedError, UnavailableError
from disrupt.feed.mirror import check_role
from disrupt.feed.node import Node, refuse_older, wipe_if_away
from disrupt.feed.removals import RemovalList
from disrupt.index.generations import check_history, create_first, known_whole_from, open_current
from disrupt.index.known_answers import check_table_search
from disrupt.index.snapshot import Snapshot
from disrupt.registry import opening
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config, parsed_address
from disrupt.server.supervisor import forking

_H = 3600.0
_OPEN_FILES = 65536
"""More than all that a process has open, a file for each connection."""

_log = structlog.get_logger(__name__)


def allow_open_files() -> None:
    """Take as many of the open files allowed as are of use: a shell or a service may begin low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def choose_registry(config: Config) -> None:
    """Note where the registry is, in a data directory that has none. Raises ConfigurationError."""
    directory = DataDirectory(config.data_dir)
    noted = directory.registry_url
    if config.registry is not None and config.registry != noted:
        if noted is not None or directory.registry.exists():
            raise ConfigurationError(
                f"The setting registry names another database than {directory.path}, which has a"
                " registry. Nothing was changed: `disrupt registry copy` moves one."
            )
        directory.note_registry_url(config.registry)
    if config.role == "mirror" and directory.registry_url is not None:
        raise ConfigurationError(
            "A mirror keeps its registry in SQLite: give a data directory of its own."
        )
    if config.role in {"writer", "match"} and directory.registry_url is None:
        raise ConfigurationError(
            f"Role {config.role} is for registries in PostgreSQL: give the setting registry."
        )


def check_internal_certificate(config: Config) -> None:
    """Raise ConfigurationError where the certificate for other machines lacks this one's role."""
    if config.internal_cert is None:
        return
    from cryptography import x509  # noqa: PLC0415 one machine alone does without

    role, names = "match" if config.role == "match" else "writer", list[str]()
    try:
        certificate = x509.load_pem_x509_certificate(config.internal_cert.read_bytes())
        with contextlib.suppress(x509.ExtensionNotFound):
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            names = extension.value.get_values_for_type(x509.DNSName)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"internal_cert cannot be read: {error}.") from error
    if role not in names:
        raise ConfigurationError(
            f"internal_cert {config.internal_cert} lacks the DNS name {role}, by which other"
            f" machines know the role of this one: `scripts/fleet-certificates DIR NAME {role}`"
            " makes one that has it."
        )


def load(config: Config) -> int:
    """Bring the data directory up to date, and load what all processes share.

    Reads the index whole. Returns the generation from which on the workers need not do that.
    """
    directory = DataDirectory(config.data_dir)
    check_internal_certificate(config)
    if config.role == "match":
        directory.check_secrets_of_node()
    else:
        opening.writers_secrets(directory)
    if config.role == "writer":
        if directory.index.exists():  # of before it had this role: nothing keeps it up to date
            shutil.rmtree(directory.index)
            _log.info("index_deleted")
        return 0
    if directory.registry_url is not None:
        # building an index starts threads
        forking.run_in_child("node", partial(_prepare_node, config, directory))
        with opening.reading(directory) as reader:
            return known_whole_from(directory.index, _load_index(directory, reader))
    with opening.writing(directory) as registry:
        check_role(registry, mirrors=config.role == "mirror")
        check_history(directory.index, registry)
        create_first(directory.index, registry.head().epoch)
        opened = _load_index(directory, registry)
    return known_whole_from(directory.index, opened)


def _prepare_node(config: Config, directory: DataDirectory) -> None:
    """Make the index one of the registry in PostgreSQL; where others write that, list removals."""
    if config.role == "all":
        with opening.writing(directory) as registry:
            refuse_older(registry)
            Node(registry, directory, None).step()
        return
    if opening.reads_cases(directory):
        _log.error("node_reads_cases")
    wipe_if_away(directory, config.erase_within_h * _H)
    with opening.reading(directory) as reader:
        Node(reader, directory, RemovalList(directory.journal)).step()


def load_beside_writer(config: Config, checked_from: int) -> None:
    """Load what all processes share, while the writer of the program before goes on."""
    if config.role == "writer":
        return
    directory = DataDirectory(config.data_dir)
    with opening.reading(directory) as registry:
        _load_index(directory, registry, checked_from)


def _load_index(
    directory: DataDirectory, registry: RegistryReader, checked_from: int | None = None
) -> Snapshot | None:
    opened = None
    # the workers log what to do
    with contextlib.suppress(SnapshotRefusedError, UnavailableError):
        opened = open_current(directory.index, registry, checked_from=checked_from)
        if opened.has_tables:
            check_table_search()
            check_limits()
    return opened


def reserve(config: Config) -> socket.socket:
    """Return a bound socket, which keeps the port for the server. Raises ConfigurationError."""
    host, port = parsed_address("address", config.serves_at)
    try:
        family, kind, _, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            # without SO_REUSEPORT, so that another program on this port is an error
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
        reserved = socket.socket(family, kind)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(target)
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {config.serves_at}: {error.strerror}."
        ) from error
    return reserved


def address_of(config: Config, reserved: socket.socket) -> str:
    """Return the address to listen on, with the port of a bound socket."""
    host, _ = parsed_address("address", config.serves_at)
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{reserved.getsockname()[1]}"
