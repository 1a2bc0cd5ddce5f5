"""Keys are known by their secrets, expire by day, are changed and rotated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from disrupt.core.partners import Partner
from disrupt.core.policy import ADULTS, MINORS, LookupQuota, Right
from disrupt.errors import InvalidRequestError, NotFoundError, UnauthenticatedError
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.services.keys import (
    QUOTA_MAX,
    SECRET_PREFIX,
    KeyRing,
    KeyUses,
    change_key,
    create_key,
    revoke_key,
    rotate_key,
    set_partner,
    set_quota,
)
from rig.media.registrations import ACT

YESTERDAY, DAY, NEXT_DAY = "2026-11-24", "2026-11-25", "2026-11-26"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryWriter]:
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        yield writer


def is_valid(registry: RegistryWriter, secret: str, day: str) -> bool:
    try:
        KeyRing(registry.keys(), day=day).authenticate(secret)
    except UnauthenticatedError:
        return False
    return True


def violated(call: Callable[[], object]) -> list[str]:
    """Return the fields that a call is refused for."""
    with pytest.raises(InvalidRequestError) as refused:
        call()
    return [violation.field for violation in refused.value.violations]


def test_a_key_is_known_by_its_secret_until_it_is_revoked(registry: RegistryWriter) -> None:
    key, secret = create_key(registry, " platform ", [Right.MATCH], ["adults"], day=DAY, act=ACT)
    everything, _ = create_key(registry, "mirror", [Right.FEED], [], day=DAY, act=ACT)
    assert secret.startswith(SECRET_PREFIX)
    assert (key.name, len(key.banks), len(everything.banks)) == ("platform", 1, 2)
    assert KeyRing(registry.keys(), day=DAY).authenticate(secret) == key
    for wrong in ("", secret[:-1], secret + "x", "ü\udcff"):
        assert not is_valid(registry, wrong, DAY)
    for _ in range(2):
        assert revoke_key(registry, key.key_id, day=DAY, act=ACT).revoked_on == DAY
    assert not is_valid(registry, secret, DAY)


def test_a_key_is_refused_from_the_day_on_which_it_expires(registry: RegistryWriter) -> None:
    _, secret = create_key(
        registry, "p", [Right.MATCH], (), day=YESTERDAY, expires_on=NEXT_DAY, act=ACT
    )
    assert is_valid(registry, secret, DAY)
    assert not is_valid(registry, secret, NEXT_DAY)
    assert not is_valid(registry, secret, "2027-01-01")


def test_a_key_is_of_the_organisation_that_is_named_as_it_unless_said(
    registry: RegistryWriter,
) -> None:
    first, _ = create_key(registry, "platform", [Right.MATCH], (), day=DAY, act=ACT)
    second, _ = create_key(
        registry, "mirror", [Right.MATCH], (), day=DAY, organisation=" platform ", act=ACT
    )
    assert first.organisation == second.organisation == "platform"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"rights": []}, "rights"),
        ({"bank_names": ["nobody's"]}, "banks"),
        ({"organisation": " "}, "organisation"),
        ({"organisation": "a\nb"}, "organisation"),
        ({"expires_on": DAY}, "expires_on"),
        ({"expires_on": "tomorrow"}, "expires_on"),
        ({"expires_on": "20271231"}, "expires_on"),
        ({"expires_on": "2027-02-30"}, "expires_on"),
    ],
)
def test_a_key_without_sense_is_refused_by_field(
    registry: RegistryWriter, wrong: dict[str, object], field: str
) -> None:
    arguments: dict[str, object] = {"name": "p", "rights": [Right.MATCH], "bank_names": []} | wrong
    assert violated(lambda: create_key(registry, **arguments, day=DAY, act=ACT)) == [field]  # type: ignore[arg-type]
    assert registry.keys() == ()


def test_what_is_changed_of_a_key_is_replaced_and_the_rest_stays(
    registry: RegistryWriter,
) -> None:
    key, secret = create_key(registry, "p", [Right.MATCH, Right.FEED], (), day=DAY, act=ACT)
    narrowed = change_key(registry, key.key_id, bank_names=["minors"], day=DAY, act=ACT)
    assert narrowed == replace(key, banks=frozenset([MINORS.number]))
    other = change_key(registry, key.key_id, rights=[Right.REVIEW], day=DAY, act=ACT)
    assert other == replace(narrowed, rights=frozenset([Right.REVIEW]))
    ending = change_key(registry, f" {key.key_id.upper()} ", expires_on=NEXT_DAY, day=DAY, act=ACT)
    assert ending == replace(other, expires_on=NEXT_DAY)
    assert not is_valid(registry, secret, NEXT_DAY)
    assert change_key(registry, key.key_id, expires_on="", day="2027-01-01", act=ACT) == other
    assert is_valid(registry, secret, "2027-01-01")
    assert registry.keys() == (other,)


def test_a_rotated_key_works_beside_its_successor_until_the_overlap_ends(
    registry: RegistryWriter,
) -> None:
    key, old_secret = create_key(
        registry, "p", [Right.MATCH], ["adults"], day=DAY, organisation="platform", act=ACT
    )
    registry.note_key_uses([key.key_id], day=DAY)
    old, new, new_secret = rotate_key(registry, key.key_id, overlap_days=3, day=DAY, act=ACT)
    assert old == replace(key, expires_on="2026-11-28", last_used_on=DAY)
    assert new == replace(
        key, key_id=new.key_id, secret_sha256=new.secret_sha256, banks=frozenset([ADULTS.number])
    )
    assert registry.keys() == (old, new)
    for day, valid in (("2026-11-27", True), ("2026-11-28", False)):
        assert is_valid(registry, old_secret, day) is valid
        assert is_valid(registry, new_secret, day)


def test_an_overlap_never_lengthens_the_life_of_a_key(registry: RegistryWriter) -> None:
    key, _ = create_key(registry, "p", [Right.MATCH], (), day=DAY, expires_on=NEXT_DAY, act=ACT)
    old, new, _ = rotate_key(
        registry, key.key_id, overlap_days=366, day=DAY, expires_on="2027-06-01", act=ACT
    )
    assert (old.expires_on, new.expires_on) == (NEXT_DAY, "2027-06-01")


def test_a_wrong_change_is_refused_and_changes_nothing(registry: RegistryWriter) -> None:
    key, _ = create_key(registry, "p", [Right.MATCH], (), day=DAY, act=ACT)
    for days in (0, 367):
        rotated = violated(
            lambda days=days: rotate_key(registry, key.key_id, overlap_days=days, day=DAY, act=ACT)  # type: ignore[misc]
        )
        assert rotated == ["overlap_days"]
    for expires_on in (DAY, "never"):
        for change in (change_key, lambda *a, **k: rotate_key(*a, overlap_days=1, **k)):
            assert violated(
                lambda change=change, expires_on=expires_on: change(  # type: ignore[misc]
                    registry, key.key_id, day=DAY, expires_on=expires_on, act=ACT
                )
            ) == ["expires_on"]
    assert violated(
        lambda: change_key(
            registry, key.key_id, rights=[Right.FEED], bank_names=["nobody's"], day=DAY, act=ACT
        )
    ) == ["banks"]
    with pytest.raises(NotFoundError, match="keys list"):
        change_key(registry, "ffffffff", rights=[Right.MATCH], day=DAY, act=ACT)
    with pytest.raises(NotFoundError, match="keys list"):
        rotate_key(registry, "ffffffff", overlap_days=1, day=DAY, act=ACT)
    assert registry.keys() == (key,)


def test_a_revoked_key_is_neither_changed_nor_rotated(registry: RegistryWriter) -> None:
    key, _ = create_key(registry, "p", [Right.MATCH], (), day=DAY, act=ACT)
    revoked = revoke_key(registry, key.key_id, day=DAY, act=ACT)
    assert violated(lambda: change_key(registry, key.key_id, expires_on="", day=DAY, act=ACT)) == [
        "key_id"
    ]
    assert violated(lambda: rotate_key(registry, key.key_id, overlap_days=1, day=DAY, act=ACT)) == [
        "key_id"
    ]
    assert registry.keys() == (revoked,)


def test_a_quota_out_of_range_is_refused(registry: RegistryWriter) -> None:
    create_key(registry, "p", [Right.MATCH], (), day=DAY, act=ACT)
    assert violated(lambda: set_quota(registry, LookupQuota("p", QUOTA_MAX + 1), act=ACT)) == [
        "per_minute"
    ]
    assert violated(lambda: set_quota(registry, LookupQuota("p", 0, -1), act=ACT)) == ["per_day"]
    assert registry.quotas() == ()


def test_a_partner_is_listed_while_it_has_a_valid_key_to_look_up(registry: RegistryWriter) -> None:
    def listed(day: str) -> list[str]:
        ring = KeyRing(registry.keys(), registry.banks(), partners=registry.partners(), day=day)
        return [partner.name for partner in ring.partners]

    for name, right, until in (
        ("p", Right.MATCH, NEXT_DAY),
        ("q", Right.MATCH, ""),
        ("helpline", Right.REGISTER, ""),
    ):
        key, _ = create_key(registry, name, [right], (), day=DAY, act=ACT, expires_on=until)
        partner = Partner(name, f"{name} for all", f"https://{name}.example/report?a=1")
        set_partner(registry, partner, act=ACT)
        if name == "q":
            last = key.key_id
    assert listed(DAY) == ["p for all", "q for all"]
    assert listed(NEXT_DAY) == ["q for all"]
    revoke_key(registry, last, day=DAY, act=ACT)
    assert listed(DAY) == ["p for all"]
    set_partner(registry, Partner("p", "", ""), act=ACT)
    assert listed(DAY) == []


@pytest.mark.parametrize(
    "link",
    [
        "",
        "http://a.example",
        "javascript:alert(1)",
        "https://a@b.example",
        "https://a b",
        "https://",
    ],
)
def test_a_partner_without_an_https_link_is_refused(registry: RegistryWriter, link: str) -> None:
    create_key(registry, "p", [Right.MATCH], (), day=DAY, act=ACT)
    refused = violated(lambda: set_partner(registry, Partner("p", "P", link), act=ACT))
    assert refused == ["report_url"]
    long_name = Partner("p", "P" * 101, "https://a.example")
    assert violated(lambda: set_partner(registry, long_name, act=ACT)) == ["name"]
    assert registry.partners() == ()


def test_the_writer_is_told_of_each_key_and_day_once() -> None:
    uses = KeyUses()
    for _ in range(3):
        uses.note("a", DAY)
    uses.note("b", DAY)
    assert uses.untold() == {"a": DAY, "b": DAY}
    uses.told({"a": DAY})  # the writer could not be told of the other
    uses.note("a", DAY)
    assert uses.untold() == {"b": DAY}
    uses.told({"b": DAY})
    uses.note("a", NEXT_DAY)
    assert uses.untold() == {"a": NEXT_DAY}
