"""Write what the feed of a hotline brings. Each function runs in one transaction of its caller.

A mirror's items are of no case of anybody's: all are of one, without a PIN. An item that is gone
leaves its number, under another id, so that the hotline may show it again, and that nothing here
tells what was withdrawn.
"""

import secrets
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from disrupt.core import media
from disrupt.core.cases import CaseStatus
from disrupt.core.changes import MARK_BYTES
from disrupt.core.media import ITEM_ID_BYTES, NOT_NARROWED
from disrupt.core.mirrors import FeedBank, FeedItem, FeedPage, MirrorState, Moment
from disrupt.core.policy import COMMON, Bank
from disrupt.core.states import ItemState
from disrupt.registry.records import Removed
from disrupt.registry.sql import banks, narrowings, queries, schema, statements

_Value = TypeVar("_Value")

_AT_ONCE = 5_000
"""Numbers or ids in one statement, which has a bounded number of variables."""

_CASE = 1
_NOBODY = frozenset({""})
"""Organisations of a bank that the feed does not bring: no key is of one without a name."""


def state(connection: Connection) -> MirrorState | None:
    """Return how far a mirror has come; None in a registry that is no mirror's."""
    row = connection.execute(select(schema.mirror)).first()
    if row is None:
        return None
    level = None
    if row.level_boot is not None:
        level = Moment(row.level_boot, row.level_boot_s, row.level_clock_s)
    names = frozenset(row.bank_names)
    return MirrorState(row.cursor, names, row.passed, level, row.level_at_s, row.max_age_s)


def begin(connection: Connection, day: str) -> None:
    """Make an empty registry a mirror's, and hide its banks until the feed brings them."""
    connection.execute(
        insert(schema.mirror).values(
            id=1, cursor="", bank_names=[], passed=0, level_at_s=0, max_age_s=0
        )
    )
    connection.execute(
        insert(schema.cases).values(
            id=_CASE,
            number="mirror",
            pin_hash="",
            status=CaseStatus.ACTIVE,
            opened_on=day,
            closed_on="",
            numbers_given=0,
        )
    )
    _follow_banks(connection, ())


def follow(connection: Connection, page: FeedPage, day: str) -> list[Removed]:
    """Make items and banks what a page says, and note its cursor; return what was erased.

    A page that ends the feed also erases what was there before the feed was begun anew, and did not
    come again. After a bank that this mirror did not have the feed is begun anew.
    """
    before = state(connection)
    if before is None:
        raise RuntimeError("the registry is no mirror's")
    numbers = _follow_banks(connection, page.banks)
    gone = set(_numbers_of(connection, page.items.keys()))
    if numbers.keys() != before.bank_names:
        gone.update(_hidden(connection, numbers.values()))
    mark = secrets.token_bytes(MARK_BYTES)
    passed = before.passed
    if passed and page.caught_up:
        gone.update(_up_to(connection, passed))
        passed = 0
    erased = [Removed(number, secrets.token_bytes(ITEM_ID_BYTES)) for number in sorted(gone)]
    _rename(connection, erased)
    added = [item for item in page.items.values() if item is not None and item.bank in numbers]
    # Removals come second: between the two, a lookup finds both rather than neither.
    _add(connection, added, numbers, mark, day)
    for some in _batches([item.number for item in erased]):
        statements.erase_items(connection, some, mark)
    connection.execute(
        update(schema.mirror).values(
            cursor=page.cursor,
            bank_names=sorted(numbers),
            passed=passed,
            max_age_s=page.max_age_s,
        )
    )
    if before.cursor and not numbers.keys() <= before.bank_names:
        start_over(connection)
    return erased


def start_over(connection: Connection) -> None:
    """Begin the feed anew: what is there stays until all has come that there is now."""
    newest = select(func.coalesce(func.max(schema.items.c.number), 0)).scalar_subquery()
    connection.execute(update(schema.mirror).values(cursor="", passed=newest))
    connection.execute(delete(schema.mirror_marks))


def note_level(
    connection: Connection,
    level: Moment,
    at_s: int,
    cursor: str,
    *,
    generations: Collection[int] | None,
) -> None:
    """Note when this mirror had all changes, those up to ``cursor``.

    ``generations`` are the states that files hold, by sequence; of the marks before only those that
    say how old these are stay. None: all do.
    """
    connection.execute(
        update(schema.mirror).values(
            cursor=cursor,
            level_boot=level.boot,
            level_boot_s=level.boot_s,
            level_clock_s=level.clock_s,
            level_at_s=at_s,
        )
    )
    _, sequence = queries.position(connection)
    marks = schema.mirror_marks.c
    unneeded = marks.sequence == sequence
    if generations is not None:
        last = select(func.max(marks.sequence))
        needed = [
            connection.execute(last.where(marks.sequence <= state)).scalar()
            for state in generations
        ]
        unneeded = or_(
            unneeded, marks.sequence.not_in([each for each in needed if each is not None])
        )
    connection.execute(delete(schema.mirror_marks).where(unneeded))
    connection.execute(insert(schema.mirror_marks).values(sequence=sequence, cursor=cursor))


def marked_cursor(connection: Connection, sequence: int) -> str:
    """Return the hotline's cursor up to which all is in this registry as of one of its changes.

    Empty where that is not known.
    """
    marks = schema.mirror_marks.c
    query = select(marks.cursor).where(marks.sequence <= sequence)
    newest = query.order_by(marks.sequence.desc()).limit(1)
    return connection.execute(newest).scalar() or ""


def _follow_banks(connection: Connection, wanted: Sequence[FeedBank]) -> dict[str, int]:
    """Make the banks those of the feed, the others nobody's; return the numbers of these."""
    stored = {bank.name: bank for bank in banks.banks(connection) if bank.number != COMMON.number}
    distances = {bank.name: bank.max_distance_bits for bank in wanted}
    for name in stored.keys() - distances.keys():
        banks.store_policy(connection, Bank(stored[name].number, name, organisations=_NOBODY))
    for name, distance_bits in distances.items():
        if name in stored:
            bank = Bank(stored[name].number, name, distance_bits)
            if bank != stored[name]:
                banks.store_policy(connection, bank)
        else:
            number = connection.execute(select(func.max(schema.banks.c.number))).scalar_one() + 1
            bank = Bank(number, name, distance_bits)
            banks.insert_bank(connection, bank)
        stored[name] = bank
    return {name: stored[name].number for name in distances}


def _numbers_of(connection: Connection, item_ids: Collection[bytes]) -> Iterator[int]:
    """Yield the numbers of the living items among some ids."""
    items = schema.items.c
    for some in _batches(item_ids):
        query = select(items.number).where(items.item_id.in_(some), items.state.is_not(None))
        yield from connection.scalars(query)


def _hidden(connection: Connection, of_feed: Collection[int]) -> Sequence[int]:
    """Return the numbers of the living items in banks that the feed does not bring any more."""
    items = schema.items.c
    query = select(items.number).where(items.bank.not_in(of_feed), items.state.is_not(None))
    return connection.scalars(query).all()


def _up_to(connection: Connection, number: int) -> Sequence[int]:
    """Return the numbers of the living items up to one."""
    items = schema.items.c
    query = select(items.number).where(items.number <= number, items.state.is_not(None))
    return connection.scalars(query).all()


def _rename(connection: Connection, erased: Sequence[Removed]) -> None:
    """Give items other ids."""
    if erased:
        connection.execute(
            update(schema.items)
            .where(schema.items.c.number == bindparam("of"))
            .values(item_id=bindparam("new")),
            [{"of": item.number, "new": item.item_id} for item in erased],
        )


def _add(
    connection: Connection,
    added: Sequence[FeedItem],
    bank_numbers: dict[str, int],
    mark: bytes,
    day: str,
) -> None:
    """Add items, live."""
    if not added:
        return
    add = insert(schema.items).returning(schema.items.c.number, sort_by_parameter_order=True)
    rows = [
        {
            "item_id": item.item_id,
            "bank": bank_numbers[item.bank],
            "case_id": _CASE,
            "state": ItemState.LIVE,
            "kind": item.kind,
            "assurance": item.assurance,
            "hashes": len(item.fingerprints),
            "number_in_case": 0,
            "registered_on": day,
            "new_on": day,
        }
        for item in added
    ]
    numbers = connection.scalars(add, rows).all()
    connection.execute(
        insert(schema.fingerprints),
        [
            {"number": number, "fingerprints": media.pack(item.fingerprints)}
            for number, item in zip(numbers, added, strict=True)
        ],
    )
    narrowed = [
        {"item": number, "narrowed": narrowings.blob_of(item.fingerprints, item.below_bits)}
        for number, item in zip(numbers, added, strict=True)
        if (item.below_bits != NOT_NARROWED).any()
    ]
    if narrowed:
        # What staff are told of disputes is the hotline's alone.
        told = {"organisations": 0, "silent": 0, "needs_staff": 0, "is_settled": True}
        connection.execute(insert(schema.narrowings).values(told), narrowed)
    statements.add_changes(connection, numbers, schema.ChangeKind.ADDITION, mark)


def _batches(values: Collection[_Value]) -> Iterator[list[_Value]]:
    ordered = list(values)
    return (ordered[at : at + _AT_ONCE] for at in range(0, len(ordered), _AT_ONCE))
