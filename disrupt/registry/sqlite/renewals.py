"""What a registration adds to a case, what it replaces there, and what its answer names.

The rules are those of ``core.renewals``: a case has each picture or video once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, insert, select

from disrupt.core.media import MediaKind
from disrupt.core.registrations import Outcome
from disrupt.core.renewals import identity_of, stays
from disrupt.registry.contract import HeldItem, NewItem, Registration
from disrupt.registry.sqlite import queries, schema


@dataclass(slots=True)
class CaseUpdate:
    """Items to add, rows of stored items to remove, and what the case then holds for each item."""

    added: list[NewItem] = field(default_factory=list)
    replaced: list[Row[Any]] = field(default_factory=list)
    held: list[HeldItem] = field(default_factory=list)

    @property
    def growth(self) -> int:
        """By how many items the case grows."""
        return len(self.added) - len(self.replaced)


def plan_update(connection: Connection, case_id: int, registration: Registration) -> CaseUpdate:
    """Compare the items of a registration with those of its case, and with each other."""
    # Where nothing identifies what an item shows, it equals no other.
    identities = [
        identity_of(item.kind, item.fingerprints) or item.item_id for item in registration.items
    ]
    best = dict[bytes, NewItem]()
    for identity, item in zip(identities, registration.items, strict=True):
        before = best.get(identity)
        if before is None or not stays(before.fingerprints, item.fingerprints):
            best[identity] = item
    stored = _stored(connection, case_id, best)
    update = CaseUpdate()
    held = {
        identity: _settle(update, item, stored.get(identity, ()), registration.bank)
        for identity, item in best.items()
    }
    for identity in identities:
        update.held.append(held[identity])
        held[identity] = held[identity]._replace(outcome=Outcome.KEPT)
    return update


def note_identities(
    connection: Connection,
    case_id: int,
    items: Iterable[tuple[int, MediaKind, NDArray[np.void]]],
) -> None:
    """Store what identifies items of a case: numbers, kinds and fingerprints."""
    rows = [
        {"item": number, "case_id": case_id, "identity": identity_of(kind, fingerprints)}
        for number, kind, fingerprints in items
    ]
    if rows:
        connection.execute(insert(schema.identities), rows)


def _settle(update: CaseUpdate, item: NewItem, stored: Sequence[Row[Any]], bank: int) -> HeldItem:
    """Decide between a new item and the stored ones of its identity; return what the case holds."""
    best, kept = item.fingerprints, None
    for row in stored:
        stored_fingerprints = queries.unpacked(row.number, row.fingerprints)
        if stays(stored_fingerprints, best):
            best, kept = stored_fingerprints, row
    if kept is not None and kept.bank == bank:
        update.replaced += [row for row in stored if row is not kept]
        return HeldItem(kept.item_id, kept.hashes, Outcome.KEPT)
    update.added.append(replace(item, fingerprints=best))
    update.replaced += stored
    return HeldItem(item.item_id, len(best), Outcome.RENEWED if stored else Outcome.ADDED)


def _stored(
    connection: Connection, case_id: int, identities: Collection[bytes]
) -> dict[bytes, list[Row[Any]]]:
    """Return the items of a case that have one of these identities, oldest first."""
    items, identified = schema.items.c, schema.identities.c
    rows = connection.execute(
        select(items.number, items.item_id, items.bank, items.hashes, items.fingerprints)
        .add_columns(identified.identity)
        .join_from(schema.identities, schema.items)
        .where(identified.case_id == case_id, identified.identity.in_(identities))
        .order_by(items.number)
    )
    stored = dict[bytes, list[Row[Any]]]()
    for row in rows:
        stored.setdefault(row.identity, []).append(row)
    return stored
