"""Try, in a process of its own, whether this program could take over from the one that runs."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from disrupt.data_directory import DataDirectory
from disrupt.errors import ConfigurationError, DisruptError
from disrupt.hashing import check_known_answers
from disrupt.index.generations import check_history
from disrupt.isolation.child import ProcessDiedError
from disrupt.registry import opening
from disrupt.server.config import Config
from disrupt.server.supervisor.handover import Handover
from disrupt.server.supervisor.preparation import check_internal_certificate, load_beside_writer
from disrupt.server.worker.process import decoders


def check(config: Config, handover: Handover) -> None:
    """Do what a server does before its workers serve, and change nothing.

    That another process of a former version writes the registry meanwhile is why it has to have
    this version's schema. Raises ConfigurationError, DataDirectoryError and whatever else is wrong.
    """
    for name, before, now in (
        ("role", handover.role, config.role),
        ("The address", handover.port.wanted, config.serves_at),
    ):
        if before != now:
            raise ConfigurationError(
                f"{name} has changed from {before} to {now}, which needs a restart."
            )
    for setting, certificate, key in (
        ("tls", config.tls_cert, config.tls_key),
        ("internal", config.internal_cert, config.internal_key),
    ):
        if certificate and key:
            _check_pair(setting, certificate, key)
    check_internal_certificate(config)
    check_known_answers()
    directory = DataDirectory(config.data_dir)
    with opening.reading(directory) as registry:
        if config.role == "match":
            directory.check_secrets_of_node()
        else:
            opening.check_secrets(directory, registry)
        check_history(directory.index, registry)
    if config.role != "writer":
        asyncio.run(_start_decoders(config))
    # what the supervisor does first, where an error would end the server
    load_beside_writer(config, handover.checked_from)


def _check_pair(setting: str, certificate: Path, key: Path) -> None:
    """Check a certificate and its key, as TLS loads them. Raises ConfigurationError."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Check {setting}_cert and {setting}_key: {error}.") from error


async def _start_decoders(config: Config) -> None:
    """Start a decoding process for pictures, and another for videos. Raises DisruptError."""
    hashing, videos = decoders(config.model_copy(update={"hashing_workers": 1, "video_workers": 1}))
    async with hashing, videos:
        try:
            await videos.start()
        except (OSError, ProcessDiedError) as error:
            raise DisruptError(f"The decoder of videos does not start ({error}).") from error
