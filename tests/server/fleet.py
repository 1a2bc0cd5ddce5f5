"""Machines of a deployment of several, on loopback: a writer, and those that answer lookups."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from disrupt.data_directory import DataDirectory, write_private
from tests.postgresql import PostgreSql

SCRIPT = Path(__file__).parents[2] / "scripts" / "fleet-certificates"
MATCH = "disrupt_match"
"""Role of PostgreSQL by which machines that answer lookups read the registry."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority with its certificates, in a directory."""

    directory: Path

    def certify(self, name: str, role: str) -> None:
        """Make the certificate of a machine."""
        subprocess.run([SCRIPT, self.directory, name, role], check=True)

    def settings(self, name: str, port: int) -> str:
        """Return the settings by which a machine listens internally, on loopback."""
        return (
            f'internal_listen = "127.0.0.1:{port}"\n'
            f'internal_cert = "{self.directory / name}.pem"\n'
            f'internal_key = "{self.directory / name}-key.pem"\n'
            f'internal_ca = "{self.directory}/ca.pem"\n'
        )

    def read(self, name: str) -> bytes:
        """Return a file of PEM."""
        return (self.directory / f"{name}.pem").read_bytes()

    def channel(self, port: int, name: str | None, role: str = "writer") -> grpc.Channel:
        """Return a channel to a machine of a role; without a certificate for no name."""
        own = (self.read(f"{name}-key"), self.read(name)) if name else (None, None)
        return grpc.secure_channel(
            f"127.0.0.1:{port}",
            grpc.ssl_channel_credentials(self.read("ca"), *own),
            options=[("grpc.ssl_target_name_override", role)],
        )


@dataclass
class Fleet:
    """Machines in directories of one folder, with a registry in a database of their own.

    ``ports`` are the internal ones, by the name of the machine. A context, at whose end no process
    of a machine is left.
    """

    folder: Path
    postgresql: PostgreSql
    database: str
    authority: Authority
    ports: dict[str, int] = field(default_factory=dict)
    machines: dict[str, Deployment] = field(default_factory=dict)

    @classmethod
    def create(cls, folder: Path, postgresql: PostgreSql) -> Self:
        """Make a database, and the role by which machines that answer lookups read it."""
        exists = f"SELECT FROM pg_roles WHERE rolname = '{MATCH}'"
        postgresql.sql(
            f"DO $$ BEGIN IF NOT EXISTS ({exists}) THEN CREATE ROLE {MATCH} LOGIN; END IF; END $$"
        )
        return cls(folder, postgresql, postgresql.new_database(), Authority(folder / "machines"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.machines.values():
            machine.kill()

    def writer(self, name: str, *, settings: str = "") -> Deployment:
        """Start a machine that writes, or wait until another has ended."""
        directory = self.folder / name
        others = [
            path for path in self.folder.glob("writer*/secrets.json") if path.parent != directory
        ]
        if others and not directory.exists():
            directory.mkdir(mode=0o700)
            write_private(directory / "secrets.json", others[0].read_text())
        url = self.postgresql.url(self.database)
        return self._start(name, "writer", url, settings)

    def node(self, name: str, *, settings: str = "", workers: int = 1) -> Deployment:
        """Start a machine that answers lookups; a writer has to have run."""
        directory = self.folder / name
        if not directory.exists():
            directory.mkdir(mode=0o700)
            stored = json.loads(next(self.folder.glob("writer*/secrets.json")).read_text())
            known = {"match_tokens": stored["match_tokens"]}
            write_private(directory / "secrets.json", json.dumps(known))
        listening = ",".join(
            f"127.0.0.1:{port}" for name, port in self.ports.items() if name.startswith("writer")
        )
        settings += f'writers = "ipv4:{listening}"\n' + FEW_DECODERS
        url = self.postgresql.url(self.database, MATCH)
        return self._start(name, "match", url, settings, workers=workers)

    def _start(
        self, name: str, role: str, url: str, settings: str, *, workers: int = 1
    ) -> Deployment:
        if name not in self.ports:
            self.ports[name] = free_port()
            self.authority.certify(name, role)
        settings = f'role = "{role}"\n' + settings + self.authority.settings(name, self.ports[name])
        self.machines[name] = Deployment.start(
            self.folder / name, "--registry", url, settings=settings, workers=workers
        )
        return self.machines[name]

    def state(self, name: str) -> str:
        """Return the state of the first process of a machine."""
        states = DataDirectory(self.folder / name).ask_supervisor("states")
        state: str = states["processes"][0]["state"]
        return state


def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
