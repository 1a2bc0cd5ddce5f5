"""Try, in a process of its own, whether this program could take over from the one that runs."""

from __future__ import annotations

import ssl
from contextlib import suppress

from disrupt.data_directory import DataDirectory
from disrupt.errors import ConfigurationError, SnapshotRefusedError, UnavailableError
from disrupt.hashing import check_known_answers
from disrupt.index.generations import check_history, open_current
from disrupt.registry import opening
from disrupt.server.config import Config
from disrupt.server.processes.handover import Handover


def check(config: Config, handover: Handover) -> None:
    """Check what a server needs, and change nothing.

    That another process of a former version writes the registry meanwhile is why it has to have
    this version's schema. Raises ConfigurationError, DataDirectoryError and whatever else is wrong.
    """
    if config.listen != handover.port.wanted:
        raise ConfigurationError(
            f"listen has changed from {handover.port.wanted} to {config.listen}, which needs a"
            " restart."
        )
    if config.tls_cert is not None and config.tls_key is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                config.tls_cert, config.tls_key, password=""
            )
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"Check tls_cert and tls_key: {error}.") from error
    check_known_answers()
    directory = DataDirectory(config.data_dir)
    with opening.reading(directory) as registry:
        opening.check_secrets(directory, registry)
        check_history(directory.index, registry)
        # the workers log what to do, as at a start
        with suppress(SnapshotRefusedError, UnavailableError):
            open_current(directory.index, registry, checked_from=handover.checked_from)
