"""Machines of a deployment of several, on loopback: writers, and those that answer lookups."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from benchmarks.harness.deployment import Deployment
from benchmarks.harness.fleet import CERTIFICATES, Fleet, Place
from disrupt.data_directory import DataDirectory
from disrupt.registry.postgresql.roles import MATCH
from tests.postgresql import RIGHTS, SUPERUSER, PostgreSql

USERS = {"writer": SUPERUSER, "match": MATCH}
"""Roles of PostgreSQL, by those of machines."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority with its certificates, in a directory."""

    directory: Path

    def certify(self, name: str, role: str) -> None:
        """Make the certificate of a machine."""
        subprocess.run([CERTIFICATES, self.directory, name, role], check=True)

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
class Machines:
    """Two machines that write and two that answer lookups, with a database of their own.

    A context, at whose end no process of theirs is left.
    """

    postgresql: PostgreSql
    database: str
    fleet: Fleet
    running: dict[str, Deployment] = field(default_factory=dict)

    @classmethod
    def prepare(cls, folder: Path, postgresql: PostgreSql) -> Self:
        """Make a database with the documented rights in it, and all files of the machines."""
        for role in ("disrupt", MATCH):
            if role not in postgresql.sql("SELECT rolname FROM pg_roles").split():
                postgresql.sql(f"CREATE ROLE {role} LOGIN")
        database = postgresql.new_database()
        postgresql.sql(RIGHTS.replace("ON DATABASE disrupt", f"ON DATABASE {database}"), database)
        urls = {role: postgresql.url(database, user) for role, user in USERS.items()}
        writers = tuple(Place(f"writer-{number}", "writer") for number in (1, 2))
        nodes = tuple(Place(f"node-{number}", "match") for number in (1, 2))
        fleet = Fleet(folder, writers, nodes, urls)
        fleet.prepare()
        return cls(postgresql, database, fleet)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self.running.values():
            machine.kill()

    def start(self, name: str, settings: str = "") -> Deployment:
        """Start a machine, and wait until it is ready; a second writer then waits."""
        machine = self.fleet.launch(self.place(name), settings)
        machine.wait()
        self.running[name] = machine
        return machine

    def place(self, name: str) -> Place:
        """Return a machine's place."""
        return next(
            place for place in (*self.fleet.writers, *self.fleet.nodes) if place.name == name
        )

    def data(self, name: str) -> DataDirectory:
        """Return a machine's data directory."""
        return DataDirectory(self.fleet.data_dir(self.place(name)))

    def log(self, name: str) -> str:
        """Return what a machine has logged."""
        return self.data(name).path.with_suffix(".log").read_text()

    def states(self, name: str) -> dict[str, str]:
        """Return the states of a machine's processes, by their names."""
        states = self.data(name).ask_supervisor("states")
        return {process["name"]: process["state"] for process in states["processes"]}
