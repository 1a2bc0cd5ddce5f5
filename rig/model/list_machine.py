"""A list read from a source with faults, against a naive model of what that lists."""

from __future__ import annotations

import json
import random
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from disrupt.admin.v1 import admin_pb2
from disrupt.core.changes import Addition, Removal
from disrupt.core.policy import BankPolicy
from disrupt.operators.lists import run_list
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.server.desk import Desk
from disrupt.services.common_bank import CommonBank
from disrupt.wire import banks as wire_banks
from rig.media.registrations import all_changes
from rig.model.list_source import FAULTS, FILES, SHAPES, ListSource

NAME = "partner"
_NAMES = st.integers(0, 11)
_SECRETS = {
    "subscription_key": "s",
    "fetch_key": "f",
    "user": "u",
    "password": "p",
    "access_token": "a",
}


def pdq(seed: int) -> str:
    """Return the hex of a hash that is like no simple shape."""
    return np.random.default_rng(seed).bytes(32).hex()


class ListMachine(RuleBasedStateMachine):
    """After each run that ends well, the registry has exactly what the source lists."""

    shapes: tuple[str, ...] = SHAPES
    desk_class: type[Desk] = Desk

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(mkdtemp(prefix="lists"))
        self._opened = sqlite.open_writer(self.directory / "registry.db")
        self.registry: RegistryWriter = self._opened.__enter__()
        self.desk = self.desk_class(self.registry, CommonBank(self.registry))

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        """Add a list."""
        chance = random.Random(seed)
        shape = chance.choice(self.shapes)
        path = self.directory / f"list.{shape}"
        self.source = ListSource(shape, chance, path)
        credentials = self.directory / "credentials.json"
        credentials.touch(0o600)
        credentials.write_text(json.dumps(_SECRETS))
        source = {"kind": shape, "url": "https://example.org", "credentials": str(credentials)}
        if shape == "threatexchange":
            source["group"] = "1"
        if shape in FILES:
            source = {"kind": "file", "path": str(path)}
        self.desk.AddList(
            admin_pb2.AddListRequest(
                name=NAME,
                source=json.dumps(source),
                policy=wire_banks.create_request(NAME, BankPolicy()).policy,
            )
        )

    @rule(name=_NAMES, value=st.one_of(st.none(), _NAMES))
    def change(self, name: int, value: int | None) -> None:
        """Let the source list an entry, or withdraw it."""
        by_hash = self.source.shape == "stopncii"
        if value is not None:
            value = name if by_hash else value
        self.source.change(
            pdq(name) if by_hash else str(name), None if value is None else pdq(value)
        )

    @rule(fault=st.sampled_from(FAULTS))
    def run(self, fault: str) -> None:
        """Read the list; one that ended well is as the source is."""
        self.source.begin(fault)
        if run_list(self.desk, self.kept, self.source.ask, now_s=self.source.clock_s):
            self.compare()
        else:
            assert self.kept.failure

    @precondition(lambda self: hasattr(self, "source"))
    @rule()
    def compare_after_a_good_run(self) -> None:
        """Whatever failed before, a run without faults ends level with the source."""
        self.source.begin("none")
        now_s = self.source.clock_s
        assert run_list(self.desk, self.kept, self.source.ask, now_s=now_s, may_shrink=True)
        assert not self.kept.failure
        self.compare()

    @property
    def kept(self) -> admin_pb2.List:
        """The list as the registry has it."""
        return self.desk.ListLists(admin_pb2.ListListsRequest()).lists[0]

    def compare(self) -> None:
        """Compare living items of the list with what is listed."""
        living = dict[bytes, str]()
        for change in all_changes(self.registry):
            if isinstance(change, Removal):
                living.pop(change.item_id, None)
            elif isinstance(change, Addition):
                added = change.item
                living[added.item_id] = added.fingerprints["hash"][0].tobytes().hex()
        assert sorted(living.values()) == sorted(self.source.listed)

    def teardown(self) -> None:
        """Close the registry."""
        self._opened.__exit__(None, None, None)
