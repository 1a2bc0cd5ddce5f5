"""Writes of keys and organisations: each function runs in one transaction of its caller."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from disrupt.core.acts import Act
from disrupt.core.organisations import Kind, Organisation
from disrupt.core.policy import ApiKey, Right
from disrupt.errors import InvalidRequestError, NotFoundError, Violation
from disrupt.registry import banks, queries, schema
from disrupt.registry.contract import Successor

_NO_KEY = "There is no key of this id. `disrupt keys list` shows all."


def add_key(connection: Connection, key: ApiKey) -> None:
    """Add a key."""
    connection.execute(
        insert(schema.keys).values(
            key_id=key.key_id,
            name=key.name,
            secret_sha256=key.secret_sha256,
            rights=sorted(key.rights),
            banks=sorted(key.banks),
            created_on=key.created_on,
            revoked_on=key.revoked_on,
            organisation=key.organisation,
            expires_on=key.expires_on,
            used_on=key.used_on,
        )
    )


def change_key(
    connection: Connection,
    key_id: str,
    rights: Collection[Right] | None,
    banks: Collection[int] | None,
    expires_on: str | None,
    organisation: str | None = None,
) -> tuple[ApiKey, ApiKey]:
    """Replace what is not None of a key that is not revoked; return it as it was and as it is."""
    key = _unrevoked(connection, key_id)
    changed = replace(
        key,
        rights=key.rights if rights is None else frozenset(rights),
        banks=key.banks if banks is None else frozenset(banks),
        expires_on=key.expires_on if expires_on is None else expires_on,
        organisation=key.organisation if organisation is None else organisation,
    )
    if banks is not None:
        _check_banks(connection, changed)
    connection.execute(
        update(schema.keys)
        .where(schema.keys.c.key_id == key_id)
        .values(
            rights=sorted(changed.rights),
            banks=sorted(changed.banks),
            expires_on=changed.expires_on,
            organisation=changed.organisation,
        )
    )
    return key, changed


def set_organisation(connection: Connection, organisation: Organisation) -> bool:
    """Replace what is an organisation's own; tell whether that changes anything.

    NotFoundError if no key belongs to it.
    """
    name = organisation.name
    keys = select(schema.keys.c.id).where(schema.keys.c.organisation == name)
    if connection.execute(keys.limit(1)).first() is None:
        raise NotFoundError(
            f"No key belongs to an organisation {name!r}. `disrupt keys list` shows those that"
            " there are."
        )
    known = {before.name: before for before in queries.organisations(connection)}
    if known.get(name, Organisation(name)) == organisation:
        return False
    connection.execute(delete(schema.organisations).where(schema.organisations.c.name == name))
    if organisation.rates or organisation.certificate:
        connection.execute(
            insert(schema.organisations).values(
                name=name,
                certificate=organisation.certificate,
                **{kind.value: organisation.rates.get(kind) for kind in Kind},
            )
        )
    return True


def rotate_key(
    connection: Connection, key_id: str, successor: Successor, overlap_until: str
) -> tuple[ApiKey, ApiKey]:
    """Add a key like another, which ends on a day unless it ends before; return both, old first."""
    key = _unrevoked(connection, key_id)
    _check_banks(connection, key)
    ends_before = key.expires_on and key.expires_on < overlap_until
    _, old = change_key(connection, key_id, None, None, None if ends_before else overlap_until)
    new = replace(
        key,
        key_id=successor.key_id,
        secret_sha256=successor.secret_sha256,
        created_on=successor.created_on,
        expires_on=successor.expires_on,
        used_on="",
    )
    add_key(connection, new)
    return old, new


def on_key(connection: Connection, act: Act, key: ApiKey) -> Act:
    """Return an act with a key in its subject, as it is now."""
    names = {bank.number: bank.name for bank in banks.banks(connection)}
    return act.on(
        key=key.key_id,
        rights=[right.name.lower() for right in sorted(key.rights)],
        banks=[names.get(number, str(number)) for number in sorted(key.banks)],
        expires_on=key.expires_on,
    )


def _unrevoked(connection: Connection, key_id: str) -> ApiKey:
    """Return a key. Raises NotFoundError where there is none, InvalidRequestError if revoked."""
    keys = queries.keys(connection, key_id)
    if not keys:
        raise NotFoundError(_NO_KEY)
    if keys[0].revoked_on:
        raise InvalidRequestError.of(
            Violation(
                "key_id", "this key was revoked, for good: make another with `disrupt keys create`"
            )
        )
    return keys[0]


def _check_banks(connection: Connection, key: ApiKey) -> None:
    """Raise InvalidRequestError unless there is every bank of the key."""
    if key.banks - {bank.number for bank in banks.banks(connection)}:
        raise InvalidRequestError.of(
            Violation(
                "banks",
                f"a bank of the key {key.key_id} is gone: name those that it is to search with"
                " `disrupt keys set`",
            )
        )


def note_uses(connection: Connection, days: Mapping[str, str]) -> None:
    """Note the day on which each key was last used, unless a later one is noted."""
    if days:
        connection.execute(
            update(schema.keys)
            .where(
                schema.keys.c.key_id == bindparam("key"), schema.keys.c.used_on < bindparam("day")
            )
            .values(used_on=bindparam("day")),
            [{"key": key_id, "day": day} for key_id, day in days.items()],
        )


def revoke_key(connection: Connection, key_id: str, day: str) -> tuple[ApiKey, bool]:
    """Revoke a key; return it as it is now, and whether it was valid before."""
    revoked = connection.execute(
        update(schema.keys)
        .where(schema.keys.c.key_id == key_id, schema.keys.c.revoked_on == "")
        .values(revoked_on=day)
    )
    keys = queries.keys(connection, key_id)
    if not keys:
        raise NotFoundError(_NO_KEY)
    return keys[0], bool(revoked.rowcount)
