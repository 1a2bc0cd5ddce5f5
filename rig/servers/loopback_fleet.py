"""A fleet on loopback, whose registry is a database of a server of PostgreSQL that runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from disrupt.data_directory import DataDirectory
from disrupt.registry.postgresql.roles import MATCH
from rig.servers.deployment import Deployment
from rig.servers.fleet import Fleet, Place
from rig.servers.postgresql import SUPERUSER, PostgreSql

USERS = {"writer": SUPERUSER, "match": MATCH}
"""Roles of PostgreSQL, by those of machines."""


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
        database = postgresql.new_database()
        postgresql.grant(database)
        urls = {role: postgresql.url(database, user) for role, user in USERS.items()}
        fleet = Fleet.of_four(folder, urls)
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
