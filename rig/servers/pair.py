"""PostgreSQL as an operator runs it for a fleet: a primary, and a standby that commits wait for."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import Self

from rig.servers.machines import Machine
from rig.servers.postgresql import SUPERUSER, PostgreSql

PORT = 5432
_SETTINGS = {
    "listen_addresses": "*",
    "synchronous_standby_names": "*",
    "wal_keep_size": "64MB",
    "wal_receiver_timeout": "4s",
    "wal_sender_timeout": "4s",
    "wal_retrieve_retry_interval": "200ms",
}


class Pair:
    """A context: two servers, each on a machine of its own. Any of them may be the primary."""

    def __init__(self, machines: tuple[Machine, Machine]) -> None:
        self.machines = machines
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            first, second = self.machines
            self.primary = PostgreSql.create(port=PORT, wrapper=first.wrapper, **_SETTINGS)
            with (self.primary.data / "pg_hba.conf").open("a") as rules:
                rules.write("host all,replication all samenet trust\n")
            stack.enter_context(self.primary)
            self.standby = PostgreSql.empty(port=PORT, wrapper=second.wrapper)
            stack.push(self.standby)
            self.follow()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def machine(self, server: PostgreSql) -> Machine:
        """Return the machine of a server."""
        return next(each for each in self.machines if each.wrapper == server.wrapper)

    def url(self, user: str, database: str) -> str:
        """Return a URL that leads to whichever of them takes writes."""
        hosts = ",".join(machine.address for machine in self.machines)
        options = "target_session_attrs=read-write&connect_timeout=2"
        return f"postgresql://{user}@{hosts}:{PORT}/{database}?{options}"

    def timeline(self) -> int:
        """Return the timeline of the primary, which every promotion raises."""
        return int(self.primary.sql("SELECT timeline_id FROM pg_control_checkpoint()"))

    def promote(self) -> None:
        """Fence the primary, by ending it, and promote the standby, as an operator does."""
        self.primary.kill()
        self.standby.command("pg_ctl", "promote", "--wait", "--pgdata", self.standby.data)
        self.primary, self.standby = self.standby, self.primary

    def follow(self) -> None:
        """Make a standby of the server that is not the primary: an old primary starts over."""
        shutil.rmtree(self.standby.data, ignore_errors=True)
        address = self.machine(self.primary).address
        self.standby.command(
            *("pg_basebackup", "--pgdata", self.standby.data, "--write-recovery-conf"),
            *("--checkpoint=fast", "--no-sync"),
            *("--dbname", f"host={address} port={PORT} user={SUPERUSER}"),
        )
        self.standby.start()
