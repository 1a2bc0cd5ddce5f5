"""Where the proof of a fleet plays: two writers, two nodes, PostgreSQL and its standby."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from disrupt.client import MatchClient
from disrupt.data_directory import DataDirectory
from disrupt.errors import DisruptError
from disrupt.feed.node import read_followed
from rig import waiting
from rig.model.lookups import Model
from rig.servers.deployment import Deployment
from rig.servers.fleet import Fleet, Place
from rig.servers.kept import Kept
from rig.servers.machines import Machine, Network
from rig.servers.pair import Pair

PORTS = (50051, 7000, 9464)
_DATABASE = "disrupt"
_BACK_WITHIN_S = 60.0
_LEADER = (
    "SELECT host(client_addr) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND granted"
)
"""Address of the writer that leads: it holds the lock."""

eventually = partial(
    waiting.eventually, within_s=_BACK_WITHIN_S, passing=(DisruptError, AssertionError)
)
"""Wait for a condition of a fleet of which anything may be down meanwhile."""


class FleetSite:
    """A context: six machines; those of Disrupt are started anew when they end."""

    def __init__(self, work: Path) -> None:
        self._work, self._stack = work, ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.network = stack.enter_context(Network())
            machine = self.network.machine
            self.pair = stack.enter_context(Pair((machine("first"), machine("second"))))
            self.pair.primary.make_registry()
            self.machines: dict[str, Machine] = {}
            urls = {
                "writer": self.pair.url("disrupt", _DATABASE),
                "match": self.pair.url("disrupt_match", _DATABASE),
            }
            self.fleet = Fleet.of_four(self._work, urls, self._place)
            self.fleet.prepare()
            self._kept: dict[str, Kept] = {}
            for place in (*self.fleet.writers, *self.fleet.nodes):
                self._kept[place.name] = stack.enter_context(Kept(partial(self._start, place)))
                eventually(lambda: self.leader)  # makes the registry, before anybody follows it
            rights = {"register": "register", "match": "match"}
            self.keys = {
                name: self.server(self.leader).make_key(name, right)
                for name, right in rights.items()
            }
            self.model = Model(np.empty((0, 32), np.uint8), self._match_tokens())
            for node in self.fleet.nodes:
                eventually(partial(self.includes, node, 0))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def leader(self) -> str:
        """Name of the writer that leads; empty for none."""
        address = self.pair.primary.sql(_LEADER, _DATABASE)
        return next((name for name, each in self.machines.items() if each.address == address), "")

    @property
    def starts(self) -> int:
        """Number of times that servers were started."""
        return sum(kept.starts for kept in self._kept.values())

    def server(self, name: str) -> Deployment:
        """Return the server of a machine that was started last."""
        return self._kept[name].server

    def client(self, node: Place) -> MatchClient:
        """Connect to one node."""
        return MatchClient(
            node.address, key=self.keys["match"], tls_ca=self.fleet.authority, connections=1
        )

    def includes(self, node: Place, position: int) -> bool:
        """Tell whether the lookups of a node include a place in the registry."""
        with self.client(node) as client:
            (answer,) = client.match_hashes(bytes(32))
        return self.model.sequence(answer.index_cursor) >= position

    def follows_timeline(self, node: Place, timeline: int) -> bool:
        """Tell whether a node has noted that it follows a timeline of PostgreSQL, or a later."""
        followed = read_followed(DataDirectory(self.fleet.data_dir(node)).followed)
        return followed is not None and followed.timeline >= timeline

    def fail_over(self) -> None:
        """Promote the standby, as an operator does, and make a standby of the old primary."""
        self.pair.promote()
        self.pair.follow()

    def _match_tokens(self) -> bytes:
        directory = DataDirectory(self.fleet.data_dir(self.fleet.writers[0]))
        return directory.secrets().match_tokens

    def _place(self, name: str, role: str) -> Place:
        machine = self.machines[name] = self.network.machine(name)
        return Place(name, role, machine.address, machine.wrapper, PORTS)

    def _start(self, place: Place) -> Deployment:
        return self.fleet.launch(place)
