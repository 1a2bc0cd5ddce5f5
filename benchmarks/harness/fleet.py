"""Run a deployment of several machines: writers and match nodes over one PostgreSQL."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks.harness.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment
from benchmarks.harness.proxied import certificate
from disrupt.data_directory import DataDirectory, write_private

CERTIFICATES = Path(__file__).parents[2] / "scripts" / "fleet-certificates"
"""Makes the certificates by which machines know each other."""


def _free_ports() -> tuple[int, int, int]:
    with socket.socket() as first, socket.socket() as second, socket.socket() as third:
        ports = []
        for probe in (first, second, third):
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    return ports[0], ports[1], ports[2]


@dataclass(frozen=True)
class Place:
    """A machine, and its ports for callers, for other machines and for metrics.

    ``wrapper`` is the command under which processes run on it. Callers need TLS beyond loopback.
    """

    name: str
    role: str
    host: str = "127.0.0.1"
    wrapper: tuple[str, ...] = ()
    ports: tuple[int, int, int] = field(default_factory=_free_ports)

    @property
    def address(self) -> str:
        """Where callers connect."""
        return f"{self.host}:{self.ports[0]}"

    @property
    def has_tls(self) -> bool:
        """Tell whether callers connect with TLS."""
        return self.host != "127.0.0.1"

    @property
    def internal(self) -> str:
        """Where other machines connect."""
        return f"{self.host}:{self.ports[1]}"


@dataclass(frozen=True)
class Fleet:
    """Writers and nodes, whose files are in a directory; ``urls`` of the registry, by role."""

    directory: Path
    writers: tuple[Place, ...]
    nodes: tuple[Place, ...]
    urls: dict[str, str]

    def data_dir(self, place: Place) -> Path:
        """Return the data directory of a machine."""
        return self.directory / place.name / "data"

    def prepare(self) -> None:
        """Make data directories, with the secrets that writers share, and certificates."""
        shared = DataDirectory(self.data_dir(self.writers[0]))
        for place in (*self.writers, *self.nodes):
            directory = DataDirectory(self.data_dir(place))
            directory.make()
            directory.note_registry_url(self.urls[place.role])
            secrets = shared.secrets()
            if place.role == "match":
                own = json.dumps({"match_tokens": secrets.match_tokens.hex()})
                write_private(directory.secrets_file, own)
            elif directory != shared:
                write_private(directory.secrets_file, shared.secrets_file.read_text())
            command = [str(CERTIFICATES), str(self.directory / "internal"), place.name, place.role]
            subprocess.run(command, check=True)
        certificate(self._pem, *(node.host for node in self.nodes))

    @cached_property
    def authority(self) -> bytes:
        """Certificate of the nodes, for callers to trust."""
        pem = self._pem.read_bytes()
        return pem[pem.index(b"-----BEGIN CERTIFICATE") :]

    @property
    def address(self) -> str:
        """Addresses of all nodes, as the SDK takes them."""
        return ",".join(node.address for node in self.nodes)

    @property
    def _pem(self) -> Path:
        return self.directory / "nodes.pem"

    def launch(self, place: Place, settings: str = "") -> Deployment:
        """Begin to start the server of a machine."""
        internal = self.directory / "internal"
        lines = {
            "role": place.role,
            "internal_listen": place.internal,
            "internal_cert": f"{internal / place.name}.pem",
            "internal_key": f"{internal / place.name}-key.pem",
            "internal_ca": f"{internal}/ca.pem",
        }
        if place.role == "match":
            lines["writers"] = "ipv4:" + ",".join(writer.internal for writer in self.writers)
        if place.role == "match" and place.has_tls:
            lines |= {"tls_cert": str(self._pem), "tls_key": str(self._pem)}
        return Deployment.launch(
            self.data_dir(place),
            *("--metrics-listen", f"{place.host}:{place.ports[2]}"),
            listen=place.address if place.role == "match" else "127.0.0.1:0",
            workers=1,
            settings=FEW_DECODERS
            + "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
            + settings,
            wrapper=(*place.wrapper, *WITH_BYTECODE),
        )
