"""Keys, and what is set of their organisations.

Each function runs in one transaction of its caller.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, replace

from sqlalchemy import Connection, Select, Table, delete, insert, or_, select, update

from disrupt.core.acts import Act, Action
from disrupt.core.partners import Partner
from disrupt.core.policy import ApiKey, LookupQuota, Right
from disrupt.errors import NotFoundError
from disrupt.registry.sql import acts, schema, tallies


def keys(connection: Connection, key_id: str | None = None) -> tuple[ApiKey, ...]:
    """Return all keys, oldest first, revoked and expired ones too."""
    query = select(schema.keys).order_by(schema.keys.c.id)
    if key_id is not None:
        query = query.where(schema.keys.c.key_id == key_id)
    return tuple(
        ApiKey(
            row.key_id,
            row.name,
            row.organisation,
            row.secret_sha256,
            frozenset(map(Right, row.rights)),
            frozenset(row.banks),
            row.created_on,
            row.revoked_on,
            row.expires_on,
            row.last_used_on,
            row.distance_bands,
        )
        for row in connection.execute(query)
    )


def valid_organisations(day: str) -> Select[tuple[str]]:
    """Select the organisations that have a key which is valid on a day."""
    keys = schema.keys.c
    lasts = or_(keys.expires_on == "", keys.expires_on > day)
    return select(keys.organisation).where(keys.revoked_on == "", lasts)


def add_key(
    connection: Connection, key: ApiKey, *, act: Act, replaced: ApiKey | None = None
) -> None:
    """Add a key; with ``replaced``, change that one."""
    if replaced is not None:
        change_key(connection, replaced, act=replace(act, action=Action.KEY_CHANGED))
    stored = asdict(key) | {"rights": sorted(key.rights), "banks": sorted(key.banks)}
    connection.execute(insert(schema.keys).values(stored))
    acts.note(connection, act, key_id=key.key_id)


def change_key(connection: Connection, key: ApiKey, *, act: Act) -> None:
    """Change what a key allows, its expiry and bands. NotFoundError if there is none."""
    changed = connection.execute(
        update(schema.keys)
        .where(schema.keys.c.key_id == key.key_id)
        .values(
            rights=sorted(key.rights),
            banks=sorted(key.banks),
            expires_on=key.expires_on,
            distance_bands=key.distance_bands,
        )
    )
    if not changed.rowcount:
        raise _no_key()
    acts.note(connection, act, key_id=key.key_id)


def revoke_key(
    connection: Connection, key_id: str, day: str, act: Act | None = None
) -> tuple[ApiKey, bool]:
    """Revoke a key; return it as it is now, and whether it was not revoked before.

    Without an act, it is one that was noted before, and is done again.
    """
    revoked = connection.execute(
        update(schema.keys)
        .where(schema.keys.c.key_id == key_id, schema.keys.c.revoked_on == "")
        .values(revoked_on=day)
    )
    stored = keys(connection, key_id)
    if not stored:
        raise _no_key()
    if act is not None and revoked.rowcount:
        acts.note(connection, act, key_id=key_id)
    return stored[0], bool(revoked.rowcount)


def note_key_uses(connection: Connection, key_ids: Collection[str], *, day: str) -> None:
    """Note that keys were used on a day; of ids that there are not, nothing is noted."""
    columns, active = schema.keys.c, defaultdict[str, set[Right]](set)
    for organisation, rights in connection.execute(
        select(columns.organisation, columns.rights).where(columns.key_id.in_(key_ids))
    ):
        active[organisation].update(map(Right, rights))
    tallies.note_active(connection, active, day)
    connection.execute(
        update(schema.keys)
        .where(schema.keys.c.key_id.in_(key_ids), schema.keys.c.last_used_on < day)
        .values(last_used_on=day)
    )


def quotas(connection: Connection) -> tuple[LookupQuota, ...]:
    """Return the quotas of the organisations that have one."""
    rows = connection.execute(
        select(schema.organisations).order_by(schema.organisations.c.organisation)
    )
    return tuple(LookupQuota(**row._asdict()) for row in rows)


def set_quota(connection: Connection, quota: LookupQuota, *, act: Act) -> None:
    """Set the quota of an organisation. NotFoundError if no key belongs to it."""
    kept = asdict(quota) if quota.is_limit else None
    _set(connection, schema.organisations, quota.organisation, kept)
    acts.note(connection, act)


def partners(connection: Connection) -> tuple[Partner, ...]:
    """Return the organisations that want to be named, whether or not they have a valid key."""
    rows = connection.execute(select(schema.partners).order_by(schema.partners.c.organisation))
    return tuple(Partner(row.organisation, row.name, row.report_url) for row in rows)


def set_partner(connection: Connection, partner: Partner, *, act: Act) -> None:
    """Set how an organisation is named; an empty name: not. NotFoundError if it has no key."""
    kept = asdict(partner) if partner.name else None
    _set(connection, schema.partners, partner.organisation, kept)
    acts.note(connection, act)


def _set(
    connection: Connection, table: Table, organisation: str, kept: dict[str, object] | None
) -> None:
    """Replace the row of an organisation; None: by nothing. NotFoundError if it has no key."""
    named = select(schema.keys.c.id).where(schema.keys.c.organisation == organisation).limit(1)
    if connection.execute(named).first() is None:
        raise NotFoundError(
            f"No key belongs to an organisation {organisation!r}. `disrupt keys list` shows all."
        )
    connection.execute(delete(table).where(table.c.organisation == organisation))
    if kept is not None:
        connection.execute(insert(table).values(kept))


def _no_key() -> NotFoundError:
    return NotFoundError("There is no key of this id. `disrupt keys list` shows all.")
