"""Disputes of matches, and what follows. Each function runs in one transaction of its caller.

A report, a decision of staff, a renewal and a move make narrowings anew in their own transaction.
Whose keys are valid changes those of many items: these are made anew after it, some in each
transaction, so that nobody waits, and that a key can be revoked on a full disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from disrupt.core.acts import Act
from disrupt.core.case_erasures import day_of
from disrupt.core.cases import AgeBand
from disrupt.core.disputes import Narrowing, Version, narrowing
from disrupt.core.outcomes import (
    Dispute,
    MatchedVersion,
    NarrowingPolicy,
    OutcomeReport,
    Settlement,
)
from disrupt.core.policy import age_of
from disrupt.core.states import SHOWN, ItemState
from disrupt.registry.records import DISPUTED_MATCHES, StatesSet
from disrupt.registry.sql import acts, api_keys, narrowings, queries, schema, states, tallies

_ITEMS_AT_ONCE = 500
_POLICY = {name: f"dispute_{name}" for name in ("organisations", "floor_bits", "silent_permille")}
"""Columns of the registry in which the policy is noted."""


def disputes(connection: Connection) -> Sequence[Dispute]:
    """Return all disputes, in no order, but those that staff have widened.

    Those of organisations without a valid key too. Whenever they change for an item that is
    matched, the feed shows it again.
    """
    settlement = schema.disputes.c.settlement
    wanted = or_(settlement.is_(None), settlement != Settlement.WIDENED)
    return _read(connection.execute(_disputes().where(wanted)))


def of_item(connection: Connection, number: int) -> Sequence[Dispute]:
    """Return all disputes of an item, by organisation and day."""
    columns = schema.disputes.c
    query = _disputes().where(columns.item == number)
    return _read(
        connection.execute(query.order_by(columns.organisation, columns.day, columns.match))
    )


def _disputes() -> Select[Any]:
    return select(schema.disputes, schema.items.c.item_id).join_from(schema.disputes, schema.items)


def _read(rows: Iterable[Row[Any]]) -> list[Dispute]:
    return [
        Dispute(
            row.item_id,
            row.organisation,
            row.match,
            MatchedVersion(row.plan, row.ordinal, row.distance_bits),
            row.day,
            None if row.settlement is None else Settlement(row.settlement),
        )
        for row in rows
    ]


def count_disputes(connection: Connection) -> Mapping[str, int]:
    """Count the items that are matched and that staff have to decide about, by reason.

    The reasons are those of ``DisputeSummary.needs_staff``; all of them are there.
    """
    narrowed, items = schema.narrowings.c, schema.items.c
    rows = connection.execute(
        select(narrowed.needs_staff, func.count())
        .join_from(schema.narrowings, schema.items)
        .where(narrowed.needs_staff != 0, items.state.in_(SHOWN))
        .group_by(narrowed.needs_staff)
    )
    counts = dict.fromkeys(narrowings.REASONS, 0)
    for needs_staff, count in rows:
        for reason in narrowings.reasons_of(needs_staff):
            counts[reason] += count
    return counts


# What organisations report


def is_disputed(connection: Connection, number: int, organisation: str, match: bytes) -> bool:
    """Tell whether an organisation disputes a match."""
    return bool(
        connection.execute(select(exists().where(*_is_of(number, organisation, match)))).scalar()
    )


def add(connection: Connection, number: int, report: OutcomeReport, *, day: str) -> bool:
    """Note that a match is disputed, in place of the farthest one where there are many.

    Returns whether the organisation disputes the item now, and did not before.
    """
    columns = schema.disputes.c
    of_match = _is_of(number, report.organisation, report.match)
    known = {
        (plan, ordinal): settlement
        for plan, ordinal, settlement in connection.execute(
            select(columns.plan, columns.ordinal, columns.settlement).where(*of_match)
        )
    }
    versions = [version for version in report.versions if version[:2] not in known]
    if not versions or any(settled != Settlement.WIDENED for settled in known.values()):
        return False
    was_disputed = connection.scalar(
        select(
            exists().where(
                columns.item == number,
                columns.organisation == report.organisation,
                columns.settlement.is_distinct_from(Settlement.WIDENED),
            )
        )
    )
    _make_room(connection, number, report.organisation)
    widened = connection.execute(
        select(columns.plan, columns.ordinal, func.min(columns.distance_bits))
        .where(columns.item == number, columns.organisation == report.organisation)
        .where(columns.settlement == Settlement.WIDENED)
        .group_by(columns.plan, columns.ordinal)
    )
    widened_bits = {(plan, ordinal): bits for plan, ordinal, bits in widened}
    rows = [
        {
            "item": number,
            "organisation": report.organisation,
            "match": report.match,
            **version._asdict(),
            "day": day,
            "settlement": Settlement.WIDENED
            if version.distance_bits >= widened_bits.get(version[:2], version.distance_bits + 1)
            else None,
        }
        for version in versions
    ]
    connection.execute(insert(schema.disputes), rows)
    refresh(connection, [number], day, told=[number])
    return not was_disputed and any(row["settlement"] is None for row in rows)


def remove(connection: Connection, number: int, report: OutcomeReport, *, day: str) -> None:
    """Note that a match is not disputed any more.

    What staff have widened stays on record: else the next report would undo their decision.
    """
    of_match = _is_of(number, report.organisation, report.match)
    is_open = schema.disputes.c.settlement.is_distinct_from(Settlement.WIDENED)
    if connection.execute(delete(schema.disputes).where(*of_match, is_open)).rowcount:
        refresh(connection, [number], day, told=[number])


def _is_of(number: int, organisation: str, match: bytes) -> tuple[ColumnElement[bool], ...]:
    columns = schema.disputes.c
    return columns.item == number, columns.organisation == organisation, columns.match == match


def _make_room(connection: Connection, number: int, organisation: str) -> None:
    """Delete the farthest disputes of an organisation where there is room for no other."""
    columns = schema.disputes.c
    farther = connection.scalars(
        select(columns.match)
        .where(columns.item == number, columns.organisation == organisation)
        .group_by(columns.match)
        .order_by(func.min(columns.distance_bits), columns.match)
        .offset(DISPUTED_MATCHES - 1)
    ).all()
    for match in farther:
        connection.execute(delete(schema.disputes).where(*_is_of(number, organisation, match)))


# What staff decide


def settle_disputes(
    connection: Connection,
    item_ids: Collection[bytes],
    settlement: Settlement,
    act: Act,
    *,
    banks: Collection[int] | None = None,
) -> StatesSet:
    """Settle disputes of items, and note one act for each item of which one was changed.

    All are widened, or those upheld that are not settled yet: what staff have widened stays so.
    Idempotent; errors as for ``set_states``.
    """
    columns, settled, disputed_since = schema.disputes.c, list[Row[Any]](), list[str]()
    is_left: ColumnElement[bool] = columns.settlement.is_(None)
    if settlement == Settlement.WIDENED:
        is_left = columns.settlement.is_distinct_from(settlement)
    for row in states.named(connection, item_ids, banks):
        changed = connection.scalars(
            update(schema.disputes)
            .where(columns.item == row.number, is_left)
            .values(settlement=settlement)
            .returning(columns.day)
        ).all()
        if changed:
            acts.note(connection, act, item=row.number, bank=row.bank)
            settled.append(row)
            disputed_since.append(min(changed))
    tallies.reviews(connection, act, disputed_since)
    numbers = [row.number for row in settled]
    refresh(connection, numbers, day_of(act.at_s), told=numbers)
    return StatesSet(tuple(row.item_id for row in settled), queries.head(connection))


def move_items(
    connection: Connection,
    item_ids: Collection[bytes],
    bank: int,
    act: Act,
    *,
    banks: Collection[int] | None = None,
) -> StatesSet:
    """Move items to a bank, in their state, and note one act for each item moved.

    Idempotent; errors as for ``set_states``. In the feed an item goes from its old bank and
    comes to the new one, where it is matched; so a reader of one bank sees it go or come.
    """
    moved = states.move_items(connection, item_ids, bank, act, banks=banks)
    numbers = [row.number for row in states.named(connection, moved.item_ids, None)]
    refresh(connection, numbers, day_of(act.at_s))
    return StatesSet(moved.item_ids, queries.head(connection))


# Narrowings


def hand_over(
    connection: Connection, replaced: Sequence[Row[Any]], item_id: bytes, *, day: str
) -> None:
    """Let an item have the disputes of those that it replaces, of versions with the same hash.

    ``replaced`` are their numbers and packed fingerprints.
    """
    columns, items, stored = schema.disputes.c, schema.items.c, schema.fingerprints.c
    old = {row.number: row for row in replaced}
    disputed = connection.execute(select(schema.disputes).where(columns.item.in_(old))).all()
    if not disputed:
        return
    new = connection.execute(
        select(items.number)
        .add_columns(stored.fingerprints)
        .join_from(schema.items, schema.fingerprints, stored.number == items.number)
        .where(items.item_id == item_id)
    ).one()
    own = connection.execute(select(schema.disputes).where(columns.item == new.number)).all()
    successors = {
        number: _successors(_unpacked(row), _unpacked(new)) for number, row in old.items()
    }
    nearest = dict[tuple[str, bytes, int, int], dict[str, Any]]()
    for row in sorted((*own, *disputed), key=lambda row: row.distance_bits):
        version = (row.plan, row.ordinal)
        kept = {version} if row.item == new.number else successors[row.item][version]
        for plan, ordinal in kept:
            values = row._asdict() | {"item": new.number, "plan": plan, "ordinal": ordinal}
            nearest.setdefault((row.organisation, row.match, plan, ordinal), values)
    connection.execute(delete(schema.disputes).where(columns.item.in_([*old, new.number])))
    if nearest:
        connection.execute(insert(schema.disputes), [*nearest.values()])
    refresh(connection, [new.number], day, told=[new.number])


def _unpacked(row: Row[Any]) -> NDArray[np.void]:
    return queries.unpacked(row.number, row.fingerprints)


def _successors(old: NDArray[np.void], new: NDArray[np.void]) -> Mapping[Version, set[Version]]:
    """Return the versions of a new item that have a hash of each version of an old one."""
    with_hash = defaultdict[bytes, set[Version]](set)
    for value, version in _hashes(new):
        with_hash[value].add(version)
    successors = defaultdict[Version, set[Version]](set)
    for value, version in _hashes(old):
        successors[version] |= with_hash[value]
    return successors


def _hashes(fingerprints: NDArray[np.void]) -> Iterator[tuple[bytes, Version]]:
    plans, ordinals = fingerprints["plan"].tolist(), fingerprints["ordinal"].tolist()
    hashes = map(bytes, fingerprints["hash"])
    return zip(hashes, zip(plans, ordinals, strict=True), strict=True)


def note_policy(connection: Connection, policy: NarrowingPolicy) -> None:
    """Note the policy by which items are narrowed from now on."""
    noted = {_POLICY[name]: value for name, value in asdict(policy).items()}
    connection.execute(update(schema.registry).values(noted))


def refresh_some(
    connection: Connection, day: str, after: int, organisation: str | None = None
) -> int | None:
    """Refresh some items of numbers over ``after``; return the last of them, None if none follow.

    With ``organisation``, of the items that it disputes.
    """
    disputed, narrowed = schema.disputes.c, schema.narrowings.c
    own = select(disputed.item).where(disputed.organisation == organisation)
    either = select(disputed.item).union(select(narrowed.item))
    item = (own.distinct() if organisation else either).subquery().c.item
    numbers = connection.scalars(
        select(item).where(item > after).order_by(item).limit(_ITEMS_AT_ONCE)
    ).all()
    refresh(connection, numbers, day)
    return numbers[-1] if len(numbers) == _ITEMS_AT_ONCE else None


def refresh(
    connection: Connection, numbers: Sequence[int], day: str, *, told: Collection[int] = ()
) -> None:
    """Make the narrowings of items anew, by the keys that are valid on a day.

    Readers of the feed see the items go and come whose versions are narrowed otherwise than before,
    and those of ``told``, whose disputes have changed.
    """
    policy = _policy(connection)
    for at in range(0, len(numbers), _ITEMS_AT_ONCE):
        some = numbers[at : at + _ITEMS_AT_ONCE]
        counted, again = _counted(connection, some, day), list[int]()
        for row in _items(connection, some):
            made = None
            if row.number in counted:
                versions = narrowings.versions_of(_unpacked(row))
                is_minors = age_of(row.bank) == AgeBand.MINOR
                made = narrowing(versions, counted[row.number], policy, is_minors=is_minors)
            is_narrowed_otherwise = _store(connection, row, made)
            if ItemState(row.state).matches and (is_narrowed_otherwise or row.number in told):
                again.append(row.number)
        states.show_again(connection, again, day)


def _policy(connection: Connection) -> NarrowingPolicy:
    noted = connection.execute(select(schema.registry)).one()
    return NarrowingPolicy(**{name: getattr(noted, column) for name, column in _POLICY.items()})


def _counted(
    connection: Connection, numbers: Sequence[int], day: str
) -> Mapping[int, list[Dispute]]:
    """Return the disputes of items, by number, of organisations that have a valid key."""
    columns = schema.disputes.c
    rows = connection.execute(
        _disputes()
        .where(columns.item.in_(numbers))
        .where(columns.organisation.in_(api_keys.valid_organisations(day)))
    ).all()
    counted = defaultdict[int, list[Dispute]](list)
    for row, dispute in zip(rows, _read(rows), strict=True):
        counted[row.item].append(dispute)
    return counted


def _items(connection: Connection, numbers: Sequence[int]) -> Sequence[Row[Any]]:
    """Return living items with their fingerprints, and their narrowings as they are stored."""
    items, stored, narrowed = schema.items.c, schema.fingerprints.c, schema.narrowings.c
    return connection.execute(
        select(items.number, items.bank, items.state, stored.fingerprints, *narrowed)
        .join_from(schema.items, schema.fingerprints, stored.number == items.number, isouter=True)
        .join(schema.narrowings, narrowed.item == items.number, isouter=True)
        .where(items.number.in_(numbers), items.state.is_not(None))
        .order_by(items.number)
    ).all()


def _store(connection: Connection, row: Row[Any], made: Narrowing | None) -> bool:
    """Store what is made of an item, unless that is stored; tell whether versions are affected."""
    before = {column.name: getattr(row, column.name) for column in schema.narrowings.c}
    after = dict.fromkeys(before)
    if made is not None:
        after = {"item": row.number, **narrowings.values_of(made)}
    if after != before:
        of_item = schema.narrowings.c.item == row.number
        connection.execute(delete(schema.narrowings).where(of_item))
        if made is not None:
            connection.execute(insert(schema.narrowings).values(after))
    return (after["narrowed"] or b"") != (before["narrowed"] or b"")
