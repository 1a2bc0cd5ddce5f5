"""Keys are known by their secrets, expire by day, are changed and rotated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.policy import ADULTS, MINORS, ApiKey, Right
from disrupt.errors import InvalidRequestError, NotFoundError, UnauthenticatedError
from disrupt.registry.sql import SqlRegistryWriter
from disrupt.services.keys import (
    SECRET_PREFIX,
    KeyRing,
    KeyUses,
    change_key,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from tests.registry.examples import ACT

YESTERDAY, DAY, NEXT_DAY = "2026-11-27", "2026-11-28", "2026-11-29"
LAST_DAYS = st.just("") | st.dates().map(date.isoformat)


def is_valid(registry: SqlRegistryWriter, secret: str, day: str) -> bool:
    try:
        KeyRing(list_keys(registry), (), day=day).authenticate(secret)
    except UnauthenticatedError:
        return False
    return True


def violated(call: Callable[[], object]) -> list[str]:
    """Return the fields that a call is refused for."""
    with pytest.raises(InvalidRequestError) as refused:
        call()
    return [violation.field for violation in refused.value.violations]


@given(expires_on=LAST_DAYS, revoked_on=LAST_DAYS, day=st.dates())
def test_a_key_is_valid_up_to_and_including_its_last_day_unless_revoked(
    expires_on: str, revoked_on: str, day: date
) -> None:
    key = ApiKey(
        "0a1b2c3d",
        "p",
        bytes(32),
        frozenset(),
        frozenset(),
        DAY,
        revoked_on=revoked_on,
        expires_on=expires_on,
    )
    expired = bool(expires_on) and date.fromisoformat(expires_on) < day
    assert key.valid_on(day.isoformat()) is not (expired or bool(revoked_on))


def test_a_key_is_refused_from_the_day_after_its_last_one(registry: SqlRegistryWriter) -> None:
    _, secret = create_key(registry, "p", [Right.MATCH], (), day=DAY, expires_on=DAY, act=ACT)
    assert is_valid(registry, secret, DAY)
    assert not is_valid(registry, secret, NEXT_DAY)


def test_a_key_is_of_the_organisation_that_it_is_named_after_unless_said(
    registry: SqlRegistryWriter,
) -> None:
    named, _ = create_key(registry, "platform", [Right.MATCH], (), day=DAY, act=ACT)
    told, _ = create_key(
        registry, "mirror", [Right.MATCH], (), day=DAY, organisation=" platform ", act=ACT
    )
    assert named.organisation == told.organisation == "platform"


@pytest.mark.parametrize(
    "last_day", [YESTERDAY, "tomorrow", "20261231", "2026-W52-1", "2026-12-32", " 2026-12-31"]
)
def test_a_last_day_that_is_past_or_no_day_is_refused_and_changes_nothing(
    registry: SqlRegistryWriter, last_day: str
) -> None:
    key, _ = create_key(registry, "p", [Right.MATCH], (), day=DAY, act=ACT)
    for call in (
        lambda: create_key(registry, "q", [Right.MATCH], (), day=DAY, expires_on=last_day, act=ACT),
        lambda: change_key(registry, key.key_id, expires_on=last_day, day=DAY, act=ACT),
        lambda: rotate_key(
            registry, key.key_id, overlap_days=1, expires_on=last_day, day=DAY, act=ACT
        ),
    ):
        assert violated(call) == ["expires_on"]
    assert list_keys(registry) == (key,)


@pytest.mark.parametrize("organisation", ["a\nb", "x" * 101, " "])
def test_an_organisation_without_sense_is_refused(
    registry: SqlRegistryWriter, organisation: str
) -> None:
    def create() -> None:
        create_key(registry, "p", [Right.MATCH], (), day=DAY, organisation=organisation, act=ACT)

    assert violated(create) == ["organisation"]


def test_what_is_changed_of_a_key_is_replaced_and_the_rest_stays(
    registry: SqlRegistryWriter,
) -> None:
    key, secret = create_key(registry, "p", [Right.MATCH, Right.FEED], (), day=DAY, act=ACT)
    narrowed = change_key(registry, key.key_id, bank_names=["minors"], day=DAY, act=ACT)
    assert narrowed == replace(key, banks=frozenset([MINORS.number]))
    restricted = change_key(registry, key.key_id, rights=[Right.REVIEW], day=DAY, act=ACT)
    assert restricted == replace(narrowed, rights=frozenset([Right.REVIEW]))
    ending = change_key(registry, f" {key.key_id.upper()} ", expires_on=DAY, day=DAY, act=ACT)
    assert ending == replace(restricted, expires_on=DAY)
    assert not is_valid(registry, secret, NEXT_DAY)
    endless = change_key(registry, key.key_id, expires_on="", day=NEXT_DAY, act=ACT)
    assert endless == restricted
    assert is_valid(registry, secret, NEXT_DAY)
    assert list_keys(registry) == (restricted,)


def test_a_rotated_key_works_beside_its_successor_until_the_overlap_ends(
    registry: SqlRegistryWriter,
) -> None:
    key, old_secret = create_key(
        registry, "p", [Right.MATCH], ["adults"], day=DAY, organisation="platform", act=ACT
    )
    registry.note_uses({key.key_id: DAY})
    old, new, new_secret = rotate_key(registry, key.key_id, overlap_days=3, day=DAY, act=ACT)
    assert old == replace(key, expires_on="2026-12-01", used_on=DAY)
    assert (new.name, new.organisation) == ("p", "platform")
    assert (new.rights, new.banks) == (key.rights, frozenset([ADULTS.number]))
    assert (new.created_on, new.expires_on, new.revoked_on, new.used_on) == (DAY, "", "", "")
    assert new.key_id != old.key_id
    assert list_keys(registry) == (old, new)
    for day, valid in (("2026-12-01", True), ("2026-12-02", False)):
        assert is_valid(registry, old_secret, day) is valid
        assert is_valid(registry, new_secret, day)


def test_an_overlap_never_lengthens_the_life_of_a_key(registry: SqlRegistryWriter) -> None:
    key, _ = create_key(registry, "p", [Right.MATCH], (), day=DAY, expires_on=NEXT_DAY, act=ACT)
    old, new, _ = rotate_key(
        registry, key.key_id, overlap_days=366, expires_on="2027-06-01", day=DAY, act=ACT
    )
    assert (old.expires_on, new.expires_on) == (NEXT_DAY, "2027-06-01")
    again, endless, _ = rotate_key(
        registry, key.key_id, overlap_days=0, expires_on="", day=DAY, act=ACT
    )
    assert (again.expires_on, endless.expires_on) == (DAY, "")


def test_the_successor_of_a_key_that_ends_is_endless_only_if_that_is_said(
    registry: SqlRegistryWriter,
) -> None:
    key, _ = create_key(registry, "p", [Right.MATCH], (), day=DAY, expires_on=NEXT_DAY, act=ACT)
    for today in (DAY, "2027-06-01"):
        rotated = violated(
            lambda: rotate_key(registry, key.key_id, overlap_days=1, day=today, act=ACT)
        )
        assert rotated == ["expires_on"]
    assert list_keys(registry) == (key,)


@pytest.mark.parametrize("days", [-1, 367])
def test_an_overlap_out_of_range_is_refused(registry: SqlRegistryWriter, days: int) -> None:
    key, _ = create_key(registry, "p", [Right.MATCH], (), day=DAY, act=ACT)
    rotated = violated(
        lambda: rotate_key(registry, key.key_id, overlap_days=days, day=DAY, act=ACT)
    )
    assert rotated == ["overlap_days"]
    assert list_keys(registry) == (key,)


def test_a_revoked_key_is_neither_changed_nor_rotated(registry: SqlRegistryWriter) -> None:
    key, secret = create_key(registry, "p", [Right.MATCH], (), day=DAY, act=ACT)
    revoked = revoke_key(registry, key.key_id, day=DAY, act=ACT)
    assert violated(lambda: change_key(registry, key.key_id, expires_on="", day=DAY, act=ACT)) == [
        "key_id"
    ]
    assert violated(lambda: rotate_key(registry, key.key_id, overlap_days=1, day=DAY, act=ACT)) == [
        "key_id"
    ]
    assert list_keys(registry) == (revoked,)
    assert not is_valid(registry, secret, DAY)


def test_an_unknown_key_or_bank_is_refused_and_changes_nothing(registry: SqlRegistryWriter) -> None:
    key, _ = create_key(registry, "p", [Right.MATCH], (), day=DAY, act=ACT)
    with pytest.raises(NotFoundError, match="keys list"):
        change_key(registry, "ffffffffff", rights=[Right.MATCH], day=DAY, act=ACT)
    with pytest.raises(NotFoundError, match="keys list"):
        rotate_key(registry, "ffffffffff", overlap_days=1, day=DAY, act=ACT)

    def change() -> None:
        change_key(
            registry, key.key_id, rights=[Right.FEED], bank_names=["nobody's"], day=DAY, act=ACT
        )

    assert violated(change) == ["banks"]
    assert list_keys(registry) == (key,)


NOTED = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([DAY, NEXT_DAY]), st.booleans()))


@given(NOTED)
def test_the_writer_is_told_of_each_key_and_day_at_most_once(
    noted: list[tuple[str, str, bool]],
) -> None:
    uses, told = KeyUses(), list[tuple[str, str]]()
    last: dict[str, str] = {}
    noted = sorted(noted, key=lambda use: use[1])  # days only go on
    for key_id, day, answers in noted:
        uses.note(key_id, day)
        last[key_id] = day
        untold = uses.untold()
        assert untold == {key: last[key] for key in last if (key, last[key]) not in told}
        if answers:
            uses.told(untold)
            told += untold.items()
    assert len(told) == len(set(told))


def test_a_key_is_known_by_its_secret_until_it_is_revoked(registry: SqlRegistryWriter) -> None:
    key, secret = create_key(registry, " platform ", [Right.MATCH], ["adults"], day=DAY, act=ACT)
    everything, _ = create_key(registry, "mirror", [Right.FEED], [], day=DAY, act=ACT)
    assert secret.startswith(SECRET_PREFIX)
    assert (key.name, len(key.banks), len(everything.banks)) == ("platform", 1, 2)
    assert KeyRing(list_keys(registry), (), day=DAY).authenticate(secret) == key
    for wrong in ("", secret[:-1], secret + "x", "ü\udcff"):
        with pytest.raises(UnauthenticatedError):
            KeyRing(list_keys(registry), (), day=DAY).authenticate(wrong)
    for _ in range(2):
        assert revoke_key(registry, key.key_id, day=DAY, act=ACT).revoked_on == DAY
    with pytest.raises(UnauthenticatedError):
        KeyRing(list_keys(registry), (), day=DAY).authenticate(secret)


@pytest.mark.parametrize(
    ("name", "rights", "banks", "field"),
    [
        ("", [Right.MATCH], [], "name"),
        ("a\nb", [Right.MATCH], [], "name"),
        ("x" * 101, [Right.MATCH], [], "name"),
        ("a", [], [], "rights"),
        ("a", [Right.MATCH], ["nobody's"], "banks"),
    ],
)
def test_a_key_without_sense_is_refused_by_field(
    registry: SqlRegistryWriter, name: str, rights: list[Right], banks: list[str], field: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        create_key(registry, name, rights, banks, day=DAY, act=ACT)
    assert [violation.field for violation in refused.value.violations] == [field]
