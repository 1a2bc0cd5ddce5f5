"""Keys of a registry against a dictionary: subclass the machine, and define ``open_writer``."""

import random
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from disrupt.core.policy import ADULTS, MINORS, ApiKey, Right
from disrupt.errors import DisruptError, InvalidRequestError, NotFoundError
from disrupt.registry.contract import RegistryWriter, Successor
from tests.registry.examples import ACT

KEY_IDS = st.sampled_from(["0a", "1b", "2c", "3d"])
DAYS = st.sampled_from(["2026-11-28", "2026-11-29", "2026-12-01"])
LAST_DAYS = st.just("") | DAYS
RIGHTS = st.frozensets(st.sampled_from(Right), min_size=1)
NO_BANK = 9
BANKS = st.frozensets(st.sampled_from([ADULTS.number, MINORS.number, NO_BANK]), min_size=1)


class KeysMachine(RuleBasedStateMachine):
    """The model is a dictionary in the order of the keys; every step compares all keys to it."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = ExitStack()
        self.keys: dict[str, ApiKey] = {}

    def open_writer(self) -> AbstractContextManager[RegistryWriter]:
        """Open the one registry of this run."""
        raise NotImplementedError

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.writer = self.closing.enter_context(self.open_writer())

    def teardown(self) -> None:
        self.closing.close()

    @rule()
    def reopen(self) -> None:
        self.closing.close()
        self.writer = self.closing.enter_context(self.open_writer())

    @rule(key_id=KEY_IDS, rights=RIGHTS, banks=BANKS, day=DAYS, expires_on=LAST_DAYS)
    def add(
        self,
        key_id: str,
        rights: frozenset[Right],
        banks: frozenset[int],
        day: str,
        expires_on: str,
    ) -> None:
        if key_id in self.keys:
            return
        key = ApiKey(
            key_id,
            f"name of {key_id}",
            self.chance.randbytes(32),
            rights,
            banks,
            day,
            organisation=f"organisation of {key_id}",
            expires_on=expires_on,
        )
        self.writer.add_key(key, act=ACT)
        self.keys[key_id] = key

    @rule(key_id=KEY_IDS, day=DAYS)
    def revoke(self, key_id: str, day: str) -> None:
        key = self.keys.get(key_id)
        if key is None:
            with pytest.raises(NotFoundError):
                self.writer.revoke_key(key_id, day=day, act=ACT)
            return
        revoked = key if key.revoked_on else replace(key, revoked_on=day)
        assert self.writer.revoke_key(key_id, day=day, act=ACT) == revoked
        self.keys[key_id] = revoked

    def _refusal(self, key_id: str) -> type[DisruptError] | None:
        key = self.keys.get(key_id)
        if key is None:
            return NotFoundError
        return InvalidRequestError if key.revoked_on else None

    @rule(
        key_id=KEY_IDS,
        rights=st.none() | RIGHTS,
        banks=st.none() | BANKS,
        expires_on=st.none() | LAST_DAYS,
        organisation=st.none() | st.sampled_from(["one", "two"]),
    )
    def change(
        self,
        key_id: str,
        rights: frozenset[Right] | None,
        banks: frozenset[int] | None,
        expires_on: str | None,
        organisation: str | None,
    ) -> None:
        refusal = self._refusal(key_id)
        if refusal is None and banks is not None and NO_BANK in banks:
            refusal = InvalidRequestError
        if refusal is not None:
            with pytest.raises(refusal):
                self.writer.change_key(
                    key_id,
                    rights=rights,
                    banks=banks,
                    expires_on=expires_on,
                    organisation=organisation,
                    act=ACT,
                )
            return
        key = self.keys[key_id]
        if rights is not None:
            key = replace(key, rights=rights)
        if banks is not None:
            key = replace(key, banks=banks)
        if expires_on is not None:
            key = replace(key, expires_on=expires_on)
        if organisation is not None:
            key = replace(key, organisation=organisation)
        changed = self.writer.change_key(
            key_id,
            rights=rights,
            banks=banks,
            expires_on=expires_on,
            organisation=organisation,
            act=ACT,
        )
        assert changed == key
        self.keys[key_id] = key

    @rule(key_id=KEY_IDS, new_id=KEY_IDS, day=DAYS, until=DAYS, expires_on=LAST_DAYS)
    def rotate(self, key_id: str, new_id: str, day: str, until: str, expires_on: str) -> None:
        if new_id in self.keys:
            return
        successor = Successor(new_id, self.chance.randbytes(32), day, expires_on)
        refusal = self._refusal(key_id)
        if refusal is None and NO_BANK in self.keys[key_id].banks:
            refusal = InvalidRequestError
        if refusal is not None:
            with pytest.raises(refusal):
                self.writer.rotate_key(key_id, successor, overlap_until=until, act=ACT)
            return
        key = self.keys[key_id]
        self.keys[key_id] = replace(key, expires_on=min(key.expires_on or until, until))
        self.keys[new_id] = ApiKey(
            new_id,
            key.name,
            successor.secret_sha256,
            key.rights,
            key.banks,
            day,
            organisation=key.organisation,
            expires_on=expires_on,
        )
        both = self.writer.rotate_key(key_id, successor, overlap_until=until, act=ACT)
        assert both == (self.keys[key_id], self.keys[new_id])

    @rule(days=st.dictionaries(KEY_IDS, DAYS))
    def note_uses(self, days: dict[str, str]) -> None:
        self.writer.note_uses(days)
        for key_id in days.keys() & self.keys.keys():
            key = self.keys[key_id]
            self.keys[key_id] = replace(key, used_on=max(key.used_on, days[key_id]))

    @invariant()
    def keys_are_as_in_the_model(self) -> None:
        assert self.writer.keys() == tuple(self.keys.values())
