"""What a registration adds to a case, what it replaces there, and what its answer names.

The rules are those of ``core.renewals``: a case has each picture or video once.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, exists, insert, select

from disrupt.core.media import ItemState, MediaKind, StateReason
from disrupt.core.policy import FIRST_BANKS
from disrupt.core.registrations import Outcome
from disrupt.core.renewals import identity_of, stays
from disrupt.registry import queries, schema, waits
from disrupt.registry.contract import NewItem, Place, Registration

_OF_AGES = frozenset(bank.number for bank in FIRST_BANKS)
"""Banks that registrations go to; only staff move items to others."""

_State: TypeAlias = "tuple[ItemState, str, StateReason | None]"
"""A state, its day and its reason."""


@dataclass(slots=True)
class Arrangement:
    """Items to add, rows of stored items to remove, and one place for each item of the request.

    For each item to add, ``banks`` has its bank, ``states`` state, its day and its reason,
    ``waits`` whether it begins to wait, and ``replacing`` the numbers of the stored items whose
    place it takes.
    """

    added: list[NewItem] = field(default_factory=list)
    banks: list[int] = field(default_factory=list)
    states: list[_State] = field(default_factory=list)
    replacing: list[list[int]] = field(default_factory=list)
    waits: list[bool] = field(default_factory=list)
    replaced: list[Row[Any]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    @property
    def growth(self) -> int:
        """By how many items the case grows; negative where it held copies from earlier."""
        return len(self.added) - len(self.replaced)


def arrange(
    connection: Connection, case_id: int, registration: Registration, day: str
) -> Arrangement:
    """Compare the items of a registration with those of its case, and with each other.

    ``day`` is that of the state of new items that wait.
    """
    # Where nothing identifies what an item shows, it equals no other.
    identities = [
        identity_of(item.kind, item.fingerprints) or item.item_id for item in registration.items
    ]
    brought = dict[bytes, NewItem]()
    for identity, item in zip(identities, registration.items, strict=True):
        before = brought.get(identity)
        if before is None:
            brought[identity] = item
        else:
            stayed = before if stays(before.fingerprints, item.fingerprints) else item
            brought[identity] = replace(stayed, waits=before.waits or item.waits)
    stored = _stored(connection, case_id, brought)
    arranged = Arrangement()
    places = {
        identity: _settle(
            connection, arranged, item, stored.get(identity, ()), registration.bank, day
        )
        for identity, item in brought.items()
    }
    for identity in identities:
        arranged.places.append(places[identity])
        places[identity] = places[identity]._replace(outcome=Outcome.KEPT)
    return arranged


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


def _settle(
    connection: Connection,
    arranged: Arrangement,
    item: NewItem,
    stored: Sequence[Row[Any]],
    bank: int,
    day: str,
) -> Place:
    """Decide between a new item and the stored ones of its identity; return what the case holds."""
    # What staff have moved out of the banks of ages stays where they moved it.
    bank = next((row.bank for row in reversed(stored) if row.bank not in _OF_AGES), bank)
    fingerprints, kept = item.fingerprints, None
    for row in stored:
        here = queries.unpacked(row.number, row.fingerprints)
        if stays(here, fingerprints):
            fingerprints, kept = here, row
    if kept is not None and kept.bank == bank:
        arranged.replaced += [row for row in stored if row is not kept]
        return Place(kept.item_id, kept.hashes, Outcome.KEPT, ItemState(kept.state))
    arranged.added.append(replace(item, fingerprints=fingerprints))
    arranged.banks.append(bank)
    states = [(ItemState(row.state), row.changed_on, queries.reason(row)) for row in stored]
    live: _State = (ItemState.LIVE, "", None)
    state = max(states, default=live, key=lambda state: state[:2])
    begins = state[0] == ItemState.LIVE and _has_to_wait(connection, item, stored, bank)
    if begins:
        state = (ItemState.WAITING, day, item.waits)
    arranged.states.append(state)
    arranged.waits.append(begins)
    arranged.replacing.append([row.number for row in stored])
    arranged.replaced += stored
    outcome = Outcome.RENEWED if stored else Outcome.ADDED
    return Place(item.item_id, len(fingerprints), outcome, state[0])


def _has_to_wait(
    connection: Connection, item: NewItem, stored: Sequence[Row[Any]], bank: int
) -> bool:
    """Tell whether a new item waits for review.

    Not because of its bank, if that has it already, not in a flood, if its case has it, and for no
    other reason a second time.
    """
    if item.waits is None or (item.waits == StateReason.FLOOD and stored):
        return False
    if item.waits == StateReason.BANK:
        return all(row.bank != bank for row in stored)
    return not any(waits.waited(connection, row.number, item.waits) for row in stored)


def _stored(
    connection: Connection, case_id: int, identities: Collection[bytes]
) -> dict[bytes, list[Row[Any]]]:
    """Return the items of a case that have one of these identities, oldest first."""
    _identify_earlier(connection, case_id)
    items, identified = schema.items.c, schema.identities.c
    rows = connection.execute(
        select(items.number, items.item_id, items.bank, items.hashes, items.fingerprints)
        .add_columns(identified.identity)
        .add_columns(queries.STATE.label("state"), queries.CHANGED_ON.label("changed_on"))
        .add_columns(schema.states.c.reason)
        .join_from(schema.identities, schema.items)
        .outerjoin(schema.states, schema.states.c.item == items.number)
        .where(identified.case_id == case_id, identified.identity.in_(identities))
        .order_by(items.number)
    )
    stored = dict[bytes, list[Row[Any]]]()
    for row in rows:
        stored.setdefault(row.identity, []).append(row)
    return stored


def _identify_earlier(connection: Connection, case_id: int) -> None:
    """Identify items of a case that were stored before identities were."""
    items = schema.items.c
    rows = connection.execute(
        select(items.number, items.kind, items.fingerprints).where(
            items.case_id == case_id, ~exists().where(schema.identities.c.item == items.number)
        )
    )
    unidentified = (
        (row.number, MediaKind(row.kind), queries.unpacked(row.number, row.fingerprints))
        for row in rows  # SQLite reads a row when it is asked for
    )
    note_identities(connection, case_id, unidentified)
