"""Run a deployment of several machines: writers and match nodes over one PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from disrupt.data_directory import DataDirectory, write_private
from rig.ports import free_ports
from rig.servers.authority import Authority
from rig.servers.certificates import in_one_file
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment


def _free_ports() -> tuple[int, int, int]:
    first, second, third = free_ports(3)
    return first, second, third


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

    @classmethod
    def of_four(
        cls, directory: Path, urls: dict[str, str], place: Callable[[str, str], Place] = Place
    ) -> Self:
        """Make two writers and two nodes; ``place`` makes one of a name and a role."""
        writers, nodes = (
            tuple(place(f"{name}-{number}", role) for number in (1, 2))
            for name, role in (("writer", "writer"), ("node", "match"))
        )
        return cls(directory, writers, nodes, urls)

    @property
    def internal(self) -> Authority:
        """Authority by which the machines know each other."""
        return Authority(self.directory / "internal")

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
            self.internal.certify(place.name, place.role)
        in_one_file(self._pem, *(node.host for node in self.nodes))

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
        lines = {"role": place.role}
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
            + self.internal.settings(place.name, place.internal)
            + "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
            + settings,
            wrapper=(*place.wrapper, *WITH_BYTECODE),
        )
