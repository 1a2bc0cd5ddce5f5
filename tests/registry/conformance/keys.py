"""Promises of keeping keys."""

import random

import pytest

from disrupt.core.policy import ADULTS, MINORS, ApiKey, Right
from disrupt.errors import (
    NotFoundError,
    UnavailableError,
)
from disrupt.registry.contract import (
    RegistryWriter,
)
from tests.registry.conformance.opened import Opened, OpenWriter
from tests.registry.examples import (
    DAY,
    NEXT_DAY,
)


class KeysConformance(Opened):
    """Keys are kept in order and revoked once."""

    def test_keys_are_kept_oldest_first_and_revoked_once(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        keys = [
            ApiKey(
                key_id,
                f"platform {key_id}",
                chance.randbytes(32),
                frozenset(rights),
                frozenset(banks),
                DAY,
            )
            for key_id, rights, banks in (
                ("zz", {Right.MATCH, Right.OPERATOR}, {ADULTS.number, MINORS.number}),
                ("aa", set[Right](), set[int]()),
            )
        ]
        with open_writer() as writer:
            for key in keys:
                writer.add_key(key)
            revoked = writer.revoke_key("zz", day=NEXT_DAY)
            assert revoked.revoked_on == NEXT_DAY
            assert writer.revoke_key("zz", day="2026-12-01") == revoked
        with open_writer() as writer:
            assert writer.keys() == (revoked, keys[1])
            assert revoked.secret_sha256 == keys[0].secret_sha256
            assert (revoked.rights, revoked.banks) == (keys[0].rights, keys[0].banks)
            with pytest.raises(UnavailableError):
                writer.add_key(keys[1])

    def test_revoking_an_unknown_key_is_refused(self, writer: RegistryWriter) -> None:
        with pytest.raises(NotFoundError):
            writer.revoke_key("nobody", day=DAY)
