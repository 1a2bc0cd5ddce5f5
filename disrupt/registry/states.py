"""Writes that change what lookups find of items: states, banks, assurance.

Each function runs in one transaction of its caller.
"""

import secrets
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from disrupt.core.acts import Act
from disrupt.core.cases import CaseStatus, advance
from disrupt.core.changes import MARK_BYTES
from disrupt.core.media import REJECTIONS, Assurance, ItemState, StateReason, StateRecord
from disrupt.errors import InvalidRequestError, NotFoundError, Violation
from disrupt.registry import acts, banks, queries, schema, waits


def set_status(connection: Connection, case: Row[Any], to: CaseStatus, closed_on: str = "") -> None:
    """Take a step of a case's status. Raises CaseClosedError for one that is not allowed."""
    status = advance(CaseStatus(case.status), to)
    connection.execute(
        update(schema.cases)
        .where(schema.cases.c.id == case.id)
        .values(status=status, closed_on=closed_on)
    )


def add_changes(
    connection: Connection, numbers: Sequence[int], kind: schema.ChangeKind, mark: bytes
) -> None:
    """Store one change per item, in their order."""
    rows = [{"item": number, "kind": kind, "mark": mark} for number in numbers]
    if rows:
        connection.execute(insert(schema.changes), rows)


def set_states(
    connection: Connection,
    item_ids: Collection[bytes],
    state: ItemState,
    reason: StateReason | None,
    day: str,
    act: Act,
) -> None:
    """Change the state of items that have another one, or another reason: a decision on them.

    A decision without a reason lets a reason stay, but for PIN_LOST: that would undo it.
    """
    before = _changeable(connection, item_ids)
    switched = [number for number, item in before.items() if item.state != state]
    explained = [
        number
        for number, item in before.items()
        if item.state == state != ItemState.LIVE
        and reason != item.reason
        and (reason is not None or item.reason == StateReason.PIN_LOST)
    ]
    change_states(
        connection,
        [(number, state, day, reason) for number in switched],
        secrets.token_bytes(MARK_BYTES),
    )
    connection.execute(
        update(schema.states).where(schema.states.c.item.in_(explained)).values(reason=reason)
    )
    if switched or explained:
        waits.decide(connection, switched + explained)
        changed = [before[number].item_id.hex() for number in sorted(switched + explained)]
        said = {} if reason is None else {"reason": reason.name.lower()}
        acts.append(connection, act.on(items=changed, **said))
        items = schema.items.c
        settle_cases(
            connection, select(items.case_id).where(items.number.in_(switched + explained)), day
        )


def change_states(
    connection: Connection,
    changed: Sequence[tuple[int, ItemState, str, StateReason | None]],
    mark: bytes,
) -> None:
    """Give items, by number, a state as of a day for a reason, with one change for each."""
    if not changed:
        return
    numbers = [number for number, *_ in changed]
    delete_states(connection, numbers)
    add_changes(connection, numbers, schema.ChangeKind.STATE, mark)
    newest = _newest(connection, len(changed))
    rows = [
        {"item": number, "state": state, "sequence": at, "changed_on": day, "reason": reason}
        for (number, state, day, reason), at in zip(reversed(changed), newest, strict=True)
    ]
    connection.execute(insert(schema.states), rows)


def delete_states(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete the states of items, by number."""
    connection.execute(delete(schema.states).where(schema.states.c.item.in_(numbers)))


def settle_cases(connection: Connection, ids: Select[tuple[int]], day: str) -> None:
    """Close cases that have items if all of them were rejected, and open them again if not."""
    items, cases, states = schema.items.c, schema.cases.c, schema.states.c
    is_rejected = and_(states.state == ItemState.DISABLED, states.reason.in_(REJECTIONS))
    others = (
        select(items.number)
        .join_from(schema.items, schema.states, isouter=True)
        .where(items.case_id == cases.id, ~func.coalesce(is_rejected, False))
    )
    rows = connection.execute(
        select(schema.cases, exists(others).label("is_open")).where(cases.id.in_(ids))
    ).all()
    for case in rows:
        if not case.is_open and case.status != CaseStatus.REJECTED:
            set_status(connection, case, CaseStatus.REJECTED, closed_on=day)
        elif case.is_open and case.status == CaseStatus.REJECTED:
            set_status(connection, case, CaseStatus.ACTIVE)


def _changeable(connection: Connection, item_ids: Collection[bytes]) -> dict[int, StateRecord]:
    """Return the states of items that are to be changed; errors as of ``queries.states``."""
    try:
        return queries.states(connection, item_ids)
    except NotFoundError as error:
        raise NotFoundError(f"{error.message} None was changed.") from None


def move_items(connection: Connection, item_ids: Collection[bytes], bank: int, act: Act) -> None:
    """Move items that are in another bank, with one act for each bank that they leave."""
    names = {known.number: known.name for known in banks.banks(connection)}
    if bank not in names:
        raise InvalidRequestError.of(Violation("bank", "there is no such bank"))
    before = _changeable(connection, item_ids)
    moved = {number: item for number, item in before.items() if item.bank != bank}
    connection.execute(
        update(schema.items).where(schema.items.c.number.in_(moved)).values(bank=bank)
    )
    # Hidden items, too: who sees the old bank only may have yet to read that they were hidden.
    _hide_and_show(connection, moved, {number: item.bank for number, item in moved.items()})
    waits.spend(connection, list(moved))
    by_bank = defaultdict[int, list[str]](list)
    for item in moved.values():
        by_bank[item.bank].append(item.item_id.hex())
    for left, moved_ids in sorted(by_bank.items()):
        acts.append(connection, act.on(items=moved_ids, left=names[left], bank=names[bank]))


def confirm_items(connection: Connection, item_ids: Collection[bytes], act: Act) -> None:
    """Let the assurance of items be REVIEWED."""
    items = schema.items.c
    before = _changeable(connection, item_ids)
    is_other = and_(items.number.in_(before), items.assurance != Assurance.REVIEWED)
    numbers = set(connection.scalars(select(items.number).where(is_other)))
    confirmed = {number: item for number, item in before.items() if number in numbers}
    if not confirmed:
        return
    connection.execute(
        update(schema.items).where(items.number.in_(numbers)).values(assurance=Assurance.REVIEWED)
    )
    live = {number: item for number, item in confirmed.items() if item.state == ItemState.LIVE}
    _hide_and_show(connection, live, dict.fromkeys(live))
    waits.spend(connection, list(confirmed))
    confirmed_ids = [item.item_id.hex() for item in confirmed.values()]
    acts.append(connection, act.on(items=confirmed_ids))


def _hide_and_show(
    connection: Connection, items: dict[int, StateRecord], left: Mapping[int, int | None]
) -> None:
    """Let a change hide each item, by number, and one show it as it is now, if it is LIVE.

    A change that hides says which bank the item has left, None for none. The two come together for
    each item: a reader of many pages misses only one at a time. Readers of the feed add what a
    change of state shows only where they do not have it.
    """
    if not items:
        return
    mark, kind = secrets.token_bytes(MARK_BYTES), schema.ChangeKind.STATE
    changes = list[tuple[int, int | None, bool]]()
    for number, item in items.items():
        changes.append((number, left[number], False))
        if item.state == ItemState.LIVE:
            changes.append((number, None, True))
    connection.execute(
        insert(schema.changes),
        [{"item": number, "kind": kind, "mark": mark, "bank": bank} for number, bank, _ in changes],
    )
    shown = [
        (number, sequence)
        for (number, _, shows), sequence in zip(
            reversed(changes), _newest(connection, len(changes)), strict=True
        )
        if shows
    ]
    delete_states(connection, [number for number, _ in shown])
    rows = [
        {
            "item": number,
            "state": items[number].state,
            "sequence": sequence,
            "changed_on": items[number].changed_on,
            "reason": items[number].reason,
        }
        for number, sequence in shown
    ]
    if rows:
        connection.execute(insert(schema.states), rows)


def _newest(connection: Connection, count: int) -> Sequence[int]:
    """Return the sequences of the newest changes, newest first."""
    sequence = schema.changes.c.sequence
    query = select(sequence).order_by(sequence.desc()).limit(count)
    return connection.scalars(query).all()
