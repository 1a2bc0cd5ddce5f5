"""Promises of keeping keys, and quotas of their organisations."""

import random
from dataclasses import replace

import pytest

from disrupt.core.acts import Action
from disrupt.core.partners import Partner
from disrupt.core.policy import ADULTS, MINORS, ApiKey, LookupQuota, Right
from disrupt.errors import NotFoundError, UnavailableError
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import ACT, DAY, NEXT_DAY, api_key
from tests.registry.conformance.opened import Opened, OpenWriter


class KeysConformance(Opened):
    """Keys are kept in order, changed, and revoked once."""

    def test_keys_are_kept_oldest_first_and_revoked_once(
        self, open_writer: OpenWriter, chance: random.Random
    ) -> None:
        keys = [
            ApiKey(
                key_id,
                f"platform {key_id}",
                f"organisation {key_id}",
                chance.randbytes(32),
                frozenset(rights),
                frozenset(banks),
                DAY,
                expires_on=expires_on,
            )
            for key_id, rights, banks, expires_on in (
                ("zz", {Right.MATCH, Right.OPERATOR}, {ADULTS.number, MINORS.number}, NEXT_DAY),
                ("aa", set[Right](), set[int](), ""),
            )
        ]
        with open_writer() as writer:
            for key in keys:
                writer.add_key(key, act=ACT)
            revoked = writer.revoke_key("zz", day=NEXT_DAY, act=ACT)
            assert revoked == replace(keys[0], revoked_on=NEXT_DAY)
            assert writer.revoke_key("zz", day="2026-12-01", act=ACT) == revoked
        with open_writer() as writer:
            assert writer.keys() == (revoked, keys[1])
            with pytest.raises(UnavailableError):
                writer.add_key(keys[1], act=ACT)

    def test_a_change_replaces_rights_banks_expiry_and_bands_and_nothing_else(
        self, writer: RegistryWriter
    ) -> None:
        for key in (api_key("00000001"), api_key("00000002")):
            writer.add_key(key, act=ACT)
        first, second = writer.keys()
        changed = replace(
            first,
            rights=frozenset({Right.FEED, Right.REVIEW}),
            banks=frozenset({MINORS.number}),
            expires_on=NEXT_DAY,
            distance_bands=True,
        )
        writer.revoke_key("00000002", day=DAY, act=ACT)
        writer.change_key(replace(changed, name="x", organisation="x", last_used_on=DAY), act=ACT)
        writer.change_key(second, act=ACT)  # as it was read before it was revoked
        assert writer.keys() == (changed, replace(second, revoked_on=DAY))

    def test_a_key_that_replaces_another_comes_with_its_change_or_not_at_all(
        self, writer: RegistryWriter
    ) -> None:
        old, new = api_key("00000001"), api_key("00000002")
        writer.add_key(old, act=ACT)
        ending = replace(old, expires_on=NEXT_DAY)
        with pytest.raises(UnavailableError):
            writer.add_key(old, replaced=ending, act=ACT)
        assert writer.keys() == (old,)
        writer.add_key(new, replaced=ending, act=ACT)
        assert writer.keys() == (ending, new)

    def test_the_last_day_of_use_is_kept(self, writer: RegistryWriter) -> None:
        for key_id in ("00000001", "00000002"):
            writer.add_key(api_key(key_id), act=ACT)
        writer.note_key_uses(["00000001", "nobody"], day=NEXT_DAY)
        writer.note_key_uses(["00000001"], day=DAY)
        used, unused = writer.keys()
        assert (used.last_used_on, unused.last_used_on) == (NEXT_DAY, "")

    def test_an_organisation_has_the_quota_set_last(self, writer: RegistryWriter) -> None:
        name = api_key("00000001").organisation
        writer.add_key(api_key("00000001"), act=ACT)
        assert writer.quotas() == ()
        for quota in (LookupQuota(name, 1, 2), LookupQuota(name, 0, 2**53)):
            writer.set_quota(quota, act=ACT)
            assert writer.quotas() == (quota,)
        writer.set_quota(LookupQuota(name), act=ACT)
        assert writer.quotas() == ()
        with pytest.raises(NotFoundError):
            writer.set_quota(LookupQuota("nobody", 1, 1), act=ACT)

    def test_an_organisation_is_named_as_set_last(self, writer: RegistryWriter) -> None:
        name = api_key("00000001").organisation
        writer.add_key(api_key("00000001"), act=ACT)
        assert writer.partners() == ()
        named = replace(ACT, action=Action.PARTNER_SET)
        for partner in (Partner(name, "A", "https://a.example"), Partner(name, "B", "https://b")):
            writer.set_partner(partner, act=named)
            assert writer.partners() == (partner,)
        writer.set_quota(LookupQuota(name), act=ACT)
        assert writer.partners() == (partner,)
        writer.set_partner(Partner(name, "", ""), act=named)
        assert writer.partners() == ()
        with pytest.raises(NotFoundError):
            writer.set_partner(Partner("nobody", "N", "https://n.example"), act=named)
        acts = [record.act for record in writer.acts(9)]
        assert acts.count(named) == 3

    def test_an_unknown_key_is_neither_changed_nor_revoked(self, writer: RegistryWriter) -> None:
        for change in (
            lambda: writer.revoke_key("nobody", day=DAY, act=ACT),
            lambda: writer.change_key(api_key("00000001"), act=ACT),
            lambda: writer.add_key(api_key("00000002"), replaced=api_key("00000001"), act=ACT),
        ):
            with pytest.raises(NotFoundError):
                change()
        assert writer.keys() == ()

    def test_each_change_of_a_key_is_noted_once_with_the_key(self, writer: RegistryWriter) -> None:
        old, new = api_key("00000001"), api_key("00000002")
        rotated = replace(ACT, reason="rotated")
        revoked, quota = (
            replace(ACT, action=action) for action in (Action.KEY_REVOKED, Action.QUOTA_SET)
        )
        writer.add_key(old, act=ACT)
        writer.add_key(new, act=rotated, replaced=replace(old, expires_on=NEXT_DAY))
        for _ in range(2):
            writer.revoke_key("00000001", day=DAY, act=revoked)
        writer.set_quota(LookupQuota(old.organisation, 1, 1), act=quota)
        writer.note_key_uses(["00000002"], day=DAY)
        with pytest.raises(UnavailableError):
            writer.add_key(new, act=ACT)
        with pytest.raises(NotFoundError):
            writer.change_key(api_key("00000003"), act=ACT)
        with pytest.raises(NotFoundError):
            writer.set_quota(LookupQuota("nobody"), act=quota)
        assert [(record.act, record.key_id) for record in reversed(writer.acts(9))] == [
            (ACT, "00000001"),
            (replace(rotated, action=Action.KEY_CHANGED), "00000001"),
            (rotated, "00000002"),
            (revoked, "00000001"),
            (quota, ""),
        ]
