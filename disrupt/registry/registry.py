"""The registry: cases, items, keys, acts and the change feed, in an SQL database.

A registration, a withdrawal and a revocation go the same way:

1. One transaction changes the tables; once committed, it is durable.
2. What it removed is listed in the journal of removals, outside the database.
3. The database's log is emptied, so that no file holds what was erased: at once where that is
   quick, else by the next ``checkpoint``.
4. The disk reserve is filled again. Where the disk is full, 1 and 2 of a withdrawal or revocation
   run once more in the space that the reserve gives up.

One lock serialises them, so that a repeated removal is acknowledged only after the first one is in
the journal. Opening a writer makes registry and journal agree, whichever a crash left behind.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import Connection, Engine

from disrupt.audit.entries import LeafId
from disrupt.core.acts import Act
from disrupt.core.case_erasures import day_of
from disrupt.core.changes import Cursor
from disrupt.core.mirrors import FeedPage
from disrupt.core.outcomes import NarrowingPolicy
from disrupt.core.policy import ApiKey
from disrupt.core.registrations import Outcome, WithdrawnItem
from disrupt.core.review import Done, ItemFilter
from disrupt.core.states import ItemState
from disrupt.core.tallies import Closing
from disrupt.data_directory import HEAD_NOTE, JOURNAL, RESERVE
from disrupt.errors import (
    DisruptError,
    ItemsChangedError,
    LimitExceededError,
    StorageFullError,
    UnavailableError,
)
from disrupt.registry import head_note, journal
from disrupt.registry.journal import Epoch, Journal
from disrupt.registry.records import (
    ITEMS_OF_ACT_MAX,
    ListApplied,
    ListPart,
    Registered,
    Registration,
    Removed,
    Revoked,
    Withdrawn,
)
from disrupt.registry.sql import (
    access,
    acts,
    api_keys,
    audit,
    banks,
    bulk,
    case_erasures,
    decisions,
    disputes,
    lists,
    mirror_reports,
    mirroring,
    outcomes,
    queries,
    statements,
    states,
    tallies,
    turns,
)
from disrupt.registry.sql.database import Database, WritableDatabase
from disrupt.registry.sql.disk_reserve import DiskReserve
from disrupt.registry.sql.reconciliation import begin_epoch, reconcile

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Removals = Sequence[Removed | Revoked]

_log = structlog.get_logger(__name__)


def _reading(
    query: Callable[Concatenate[Connection, _Parameters], _Result],
) -> Callable[Concatenate[RegistryReader, _Parameters], _Result]:
    """Make a method that runs a query in a short transaction of its own."""

    @wraps(query)
    def method(
        self: RegistryReader, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        with _transaction(self.database, self.database.reader) as connection:
            return query(connection, *args, **kwargs)

    return method


def _changing(
    change: Callable[Concatenate[Connection, _Parameters], _Result],
) -> Callable[Concatenate[RegistryWriter, _Parameters], _Result]:
    """Make a method that changes something in a transaction of its own, and removes nothing."""

    @wraps(change)
    def method(
        self: RegistryWriter, /, *args: _Parameters.args, **kwargs: _Parameters.kwargs
    ) -> _Result:
        with self._writing, self._transaction() as connection:
            return change(connection, *args, **kwargs)

    return method


class RegistryReader:
    """Reading: any number of processes and threads at once, in short transactions.

    Every method, here and in RegistryWriter, raises UnavailableError when the store cannot be
    reached now, and DataDirectoryError when what it holds is damaged.
    """

    def __init__(self, database: Database, directory: Path) -> None:
        """Read a registry whose journal and head note are in ``directory``."""
        self.database = database
        self._note = directory / HEAD_NOTE

    head = _reading(queries.head)
    knows = _reading(queries.knows)
    takes_pepper = _reading(queries.takes_pepper)
    changes = _reading(queries.changes)
    matched_items = _reading(queries.matched_items)
    removed_since = _reading(queries.removed_since)
    hashes_since = _reading(queries.hashes_since)
    timeline = _reading(queries.timeline)
    journaled = _reading(queries.journaled)
    living = _reading(queries.living)
    banks = _reading(banks.banks)
    keys = _reading(api_keys.keys)
    quotas = _reading(api_keys.quotas)
    partners = _reading(api_keys.partners)
    case = _reading(queries.case)
    common_hashes = _reading(queries.common_hashes)
    pin_hash = _reading(queries.pin_hash)
    registered = _reading(queries.registered)
    items_for_review = _reading(states.items_for_review)
    count_states = _reading(states.count_states)
    count_items = _reading(bulk.count_items)
    count_hidden = _reading(bulk.count_hidden)
    acts_unlike_log = _reading(acts.unlike_log)
    acts = _reading(acts.acts)
    leaves = _reading(audit.leaves)
    newest_leaf = _reading(audit.newest_leaf)
    access = _reading(access.access)
    erasures = _reading(case_erasures.erasures)
    item_reports = _reading(outcomes.item_reports)
    outcomes = _reading(outcomes.outcomes)
    count_disputes = _reading(disputes.count_disputes)
    disputes = _reading(disputes.disputes)
    turn_queues = _reading(turns.turn_queues)
    next_turns = _reading(turns.next_turns)
    counted_until = _reading(tallies.counted_until)
    tallies = _reading(tallies.tallies)
    mirror = _reading(mirroring.state)
    mirror_cursor = _reading(mirroring.marked_cursor)
    mirror_reports = _reading(mirror_reports.reports)
    lists = _reading(lists.lists)

    def lacks(self) -> Cursor | None:
        """Return the head noted beside the registry, if the registry does not know it; else None.

        A registry that does not know it is an older copy of the one that noted it.
        """
        head = head_note.read(self._note)
        return head if head is not None and not self._has(head) else None

    def _has(self, cursor: Cursor) -> bool:
        """Tell whether a change is in this history; the cursor may be of an earlier epoch."""
        return self.knows(replace(cursor, epoch=self.head().epoch))

    def accept_head(self) -> None:
        """Note the head as the newest that this registry ever had, whatever was noted before."""
        try:
            head_note.write(self._note, self.head())
        except OSError as error:
            raise UnavailableError(f"{self._note.name} cannot be written: {error}") from error

    def note_head(self) -> None:
        """Note the head, unless a newer change is noted; does not raise."""
        with suppress(DisruptError, OSError):
            head, before = self.head(), head_note.read(self._note)
            if before is None or (before.sequence < head.sequence and self._has(before)):
                head_note.write(self._note, head)


class RegistryWriter(RegistryReader):
    """Writing: one process at a time. Every method returns only when its effect is durable.

    Threads take turns at writing, and read beside it. StorageFullError when the disk is full:
    nothing of the call is kept, but see ``withdraw``. Some space is reserved for that and
    ``revoke_key``, so that only a withdrawal larger than it fails.
    """

    def __init__(
        self, database: WritableDatabase, directory: Path, removals: Journal, reserve: DiskReserve
    ) -> None:
        super().__init__(database, directory)
        self._writable = database
        self._removals = removals
        self._reserve = reserve
        self._writing = threading.Lock()
        self._reserve.fill()

    def _transaction(self) -> AbstractContextManager[Connection]:
        return _transaction(self._writable, self._writable.writer)

    def note_pepper(self, check: bytes) -> None:
        """Note a pepper's check value, unless one is noted."""
        with self._transaction() as connection:
            statements.note_pepper(connection, check)

    def register(
        self, registration: Registration, *, day: str, items_per_case: int | None = None
    ) -> Registered:
        """Add items. The same request id with the same digest gives the first result again.

        A case has each picture or video once: items of one identity (``core.renewals``) are the
        same. The case keeps the stored item if its fingerprints stay and its bank is that of the
        registration, or is kept. Otherwise the new item takes its place, in that bank, with
        the stored fingerprints where these stay, else with its own. Then the old item is removed
        in the same transaction, after the addition, as ``withdraw`` removes it, and its id goes on
        naming the new one. Of one registration the same holds, from the first item to the last.

        What it adds is LIVE or, with a reason, WAITING: items of a bank whose registrations wait
        for a review, those that are unlike a picture or common, and those for which
        ``live_pictures`` has no room left. An item that takes another's place keeps its state where
        its hashes do; it stays hidden if that one was, and else is LIVE, and no longer ENABLED,
        where its new hashes go live at once. Where they would wait, the old item keeps its hashes,
        so that no picture goes that lookups found.

        A new case becomes ACTIVE with its first item. Raises NotFoundError (no such case),
        CaseClosedError (withdrawn or rejected), CaseErasingError (about to be erased, see
        ``ask_erasure``), LimitExceededError (the case would grow, to more
        than ``items_per_case``), UnavailableError (a new case's number or an item id is taken: draw
        again), and RequestIdReusedError (other digest, or any item of that answer was withdrawn or
        replaced since: a late retry never brings back what was withdrawn).

        UnavailableError also where an item was replaced and that cannot be kept outside the
        database, see ``withdraw``: calling again completes it.
        """
        # Not during a withdrawal: only that one may use the reserve that it frees.
        with self._writing:
            with self._transaction() as connection:
                registered, replaced = statements.register(
                    connection, registration, day, items_per_case, self._writable.make_room
                )
            self._list_replaced(registered, replaced)
            if replaced:
                self._checkpoint_if_possible()
            self._reserve.fill()
        return registered

    def registered(self, request_id: bytes) -> tuple[bytes, Registered] | None:
        """Return digest and result of an earlier registration, as durable as at first."""
        earlier = super().registered(request_id)
        if earlier is not None:
            with self._writing:
                self._list_replaced(earlier[1], ())
        return earlier

    def _list_replaced(self, registered: Registered, replaced: Sequence[Removed]) -> None:
        """List in the journal what a registration replaced, also where a first try failed."""
        if all(item.outcome == Outcome.ADDED for item in registered.items):
            return
        try:
            self._removals.add(replaced)
        except StorageFullError as error:  # which would say that nothing was stored
            raise UnavailableError(error.message) from error

    def withdraw(
        self,
        number: str,
        item_ids: Sequence[bytes] | None,
        *,
        numbers: Sequence[int] = (),
        day: str,
    ) -> Withdrawn:
        """Remove some items of a case, or with None all of them, and their fingerprints at once.

        They are named by their ids, or by their numbers in the case. The id of an item that was
        replaced names what its picture is now. Idempotent. A case without items left is WITHDRAWN.
        NotFoundError if there is no such case or an id or number is no item of it; then nothing is
        withdrawn. Ids of withdrawn items pass for any case: which case they were of is erased too.
        So does every number pass in a withdrawn case.

        A withdrawn case keeps its number, PIN hash, status and days; an erased item its number, id
        and bank, unlinked from the case; its request the id. What was erased is
        overwritten in the database, and in its log by ``checkpoint``, which this method calls
        without insisting on success; in PostgreSQL by ``checkpoint`` alone. That an item was
        withdrawn is kept outside the database too, so that a restored backup does not bring it
        back; where that fails (StorageFullError, UnavailableError) the items are withdrawn, and
        calling again completes it.
        """
        # A second attempt, in the reserve, removes nothing that the first has committed.
        withdrawn = dict[int, WithdrawnItem]()
        receipts = list[LeafId]()

        def withdraw(connection: Connection) -> tuple[_Removals, Cursor]:
            erased, leaf = statements.withdraw(connection, number, item_ids, numbers, day)
            withdrawn.update({removed.number: item for removed, item in erased})
            receipts[:] = [leaf] if leaf else receipts
            return [removed for removed, _ in erased], queries.head(connection)

        cursor = self._remove(withdraw)
        return Withdrawn(tuple(withdrawn.values()), cursor, next(iter(receipts), None))

    def remove_common(self, item_ids: Collection[bytes], act: Act, *, day: str) -> Cursor:
        """Remove items of the bank ``policy.COMMON`` as ``withdraw`` does, with an act on each.

        Returns a cursor that includes it. NotFoundError if an id is unknown, withdrawn, or of an
        item of another bank; then nothing is removed.
        """

        def remove(connection: Connection) -> tuple[_Removals, Cursor]:
            removed = statements.remove_common(connection, item_ids, act, day)
            return removed, queries.head(connection)

        return self._remove(remove)

    def revoke_key(self, key_id: str, *, day: str, act: Act) -> ApiKey:
        """Revoke a key; idempotent. NotFoundError if there is none of that id.

        Kept outside the database too, as a removal is, and completed by calling again.
        """

        def revoke(connection: Connection) -> tuple[_Removals, ApiKey]:
            key, was_valid = api_keys.revoke_key(connection, key_id, day, act)
            return [Revoked(key_id)] if was_valid else [], key

        key = self._remove(revoke)
        self._refresh_of(key, day)
        return key

    def _remove(self, change: Callable[[Connection], tuple[_Removals, _Result]]) -> _Result:
        """Withdraw or revoke, then list it in the journal; on a full disk, in the reserve."""
        # A removal that another thread repeats is acknowledged only once the first is journaled.
        with self._writing:
            try:
                removed, result = self._journaled(change)
            except StorageFullError:
                if not self._reserve.release():
                    raise
                # Clear the log in any case, which frees the space that it took.
                _, result = self._journaled(change)
                removed = True
            if removed:
                self._checkpoint_if_possible()
            self._reserve.fill()
        return result

    def _journaled(
        self, change: Callable[[Connection], tuple[_Removals, _Result]]
    ) -> tuple[bool, _Result]:
        with self._transaction() as connection:
            removed, result = change(connection)
        self._removals.add(removed)
        return bool(removed), result

    def _checkpoint_if_possible(self) -> None:
        if not self._writable.clears_at_once:
            return
        try:
            done = self.checkpoint()
        except DisruptError as error:  # the withdrawal itself is durable
            _log.warning("registry_checkpoint_failed", reason=error.reason)
        else:
            if not done:
                _log.warning("registry_checkpoint_held_up")

    def checkpoint(self) -> bool:
        """Clear the database's log, so that no file holds bytes erased before.

        False when a reader held it up: then call again. Call it from time to time, in case the
        checkpoint of a withdrawal could not finish. Takes milliseconds, at most about a second;
        with PostgreSQL seconds, for which registrations wait.
        """
        with self._writable.translated_errors():
            return self._writable.clear_log()

    def uncleared_s(self) -> float:
        """Return a bound on the age of the oldest erased byte in PostgreSQL's files, in seconds.

        That is the time since the last ``checkpoint`` that was complete, where anything was erased
        since; else, and in SQLite, which clears with each withdrawal, 0.
        """
        with self._writable.translated_errors(), self._writable.reader.begin() as connection:
            return self._writable.uncleared_s(connection)

    def erased_within_s(self) -> float:
        """Return a time: no file of the database holds what was erased earlier than that ago.

        Clears the log of SQLite for that, see ``checkpoint``; infinite while that is held up.
        """
        if self._writable.clears_at_once:
            return 0.0 if self.checkpoint() else math.inf
        return self.uncleared_s()

    def check_leadership(self) -> None:
        """Raise LeadershipLostError where this process can write no more. Waits for nothing."""
        self._writable.check_leadership()

    def check_storage(self) -> None:
        """Write durably, as any call that changes something does, and change nothing.

        Also notes the head, see ``lacks``, where that is possible.
        """
        with self._writing, self._writable.translated_errors():
            self._writable.prove_writable()
        self.note_head()

    def note_head(self) -> None:
        """Note the head, in turn with other writes."""
        with self._writing:
            super().note_head()

    def begin_epoch(self) -> None:
        """Expire every cursor given out before, after the registry was restored from a backup.

        Every erasure of a case that was asked for is stopped, as ``stop_erasure`` does.
        """
        with self._transaction() as connection:
            begin_epoch(connection, self._writable)
        self._removals.add([Epoch(self.head().epoch)])
        self.accept_head()

    def set_all_states(
        self, wanted: ItemFilter, state: ItemState, act: Act, *, expected: int
    ) -> Done:
        """Set the state of all items that conditions name, with one act for those that it changes.

        The act names the one bank, the case and the key that they have in common by the conditions.
        ItemsChangedError unless they name ``expected`` items, LimitExceededError if these are more
        than ``ITEMS_OF_ACT_MAX``: nothing is changed then. In the feed as ``set_states``.
        """
        # Beside other writes: it may look at every item.
        with _transaction(self.database, self.database.reader) as connection:
            numbers = bulk.named(connection, wanted)
        if len(numbers) > ITEMS_OF_ACT_MAX:
            raise LimitExceededError(
                f"At most {ITEMS_OF_ACT_MAX} items in one act. Name fewer, such as those of a day.",
                limit=str(ITEMS_OF_ACT_MAX),
            )
        if len(numbers) != expected:
            raise ItemsChangedError(
                f"{len(numbers)} items are named now, {expected} were before. Nothing was changed:"
                " look at the preview again."
            )
        with self._writing, self._transaction() as connection:
            return bulk.set_all(connection, numbers, wanted, state, act)

    count_uploads = _changing(tallies.count_uploads)
    put_access = _changing(access.put)
    note_cleared = _changing(audit.note_cleared)
    take_over = _changing(decisions.take_over)
    undo = _changing(bulk.undo)
    forget = _changing(bulk.forget)
    set_states = _changing(states.set_states)
    move_items = _changing(disputes.move_items)
    confirm_items = _changing(states.confirm_items)
    report = _changing(outcomes.report)
    settle_disputes = _changing(disputes.settle_disputes)
    release = _changing(outcomes.release)
    give_turns = _changing(turns.give_turns)
    forget_origins = _changing(turns.forget_origins)
    add_bank = _changing(banks.add_bank)
    change_bank = _changing(banks.change_bank)
    ask_erasure = _changing(case_erasures.ask_erasure)
    stop_erasure = _changing(case_erasures.stop_erasure)
    note_key_uses = _changing(api_keys.note_key_uses)
    set_quota = _changing(api_keys.set_quota)
    set_partner = _changing(api_keys.set_partner)
    report_mirrored = _changing(outcomes.report_mirrored)
    note_mirror_report = _changing(mirror_reports.note_report)
    begin_mirror = _changing(mirroring.begin)
    start_feed_over = _changing(mirroring.start_over)
    note_feed_level = _changing(mirroring.note_level)

    def follow_feed(self, page: FeedPage, *, day: str) -> None:
        """Do what a page of the feed says, wholly or not at all, see ``mirroring.follow``.

        Items that are gone are erased as by ``withdraw``.
        """

        def follow(connection: Connection) -> tuple[_Removals, None]:
            return mirroring.follow(connection, page, day), None

        self._remove(follow)

    add_list = _changing(lists.add_list)
    note_list_run = _changing(lists.note_list_run)
    list_feedback = _changing(lists.list_feedback)

    def apply_list(self, part: ListPart, *, day: str) -> ListApplied:
        """Apply a part of a partner's list; what it removes goes as ``withdraw`` removes it.

        In one transaction, which has exactly the changes that its checkpoint covers. Errors as
        ``lists.apply_list`` raises; of what is not a success, repeat the same part.
        """

        def apply(connection: Connection) -> tuple[_Removals, ListApplied]:
            applied, removed = lists.apply_list(connection, part, day, self._writable.make_room)
            return removed, applied

        return self._remove(apply)

    def remove_list(self, name: str, act: Act, *, day: str) -> bool:
        """Withdraw some items of a list, and tell whether nothing is left of it: else call again.

        NotFoundError if there is no such list.
        """

        def remove(connection: Connection) -> tuple[_Removals, bool]:
            is_done, removed = lists.remove_some(connection, name, act=act, day=day)
            return removed, is_done

        return self._remove(remove)

    def add_key(self, key: ApiKey, *, act: Act, replaced: ApiKey | None = None) -> None:
        """Add a key; with ``replaced``, change that one in the same transaction.

        UnavailableError if its id is taken.
        """
        with self._writing, self._transaction() as connection:
            api_keys.add_key(connection, key, act=act, replaced=replaced)
        self._refresh_of(key, day_of(act.at_s))

    def change_key(self, key: ApiKey, *, act: Act) -> None:
        """Change rights, banks and expiry of the key of this id; all else is ignored.

        NotFoundError if there is none.
        """
        with self._writing, self._transaction() as connection:
            api_keys.change_key(connection, key, act=act)
        self._refresh_of(key, day_of(act.at_s))

    def refresh_narrowings(self, policy: NarrowingPolicy, *, day: str) -> None:
        """Note the policy, and narrow all items by it and by the keys that are valid on a day.

        In several transactions; call it again where it failed. Call it once a day, since keys
        expire.
        """
        with self._writing, self._transaction() as connection:
            disputes.note_policy(connection, policy)
        self._refresh(day)

    def _refresh_of(self, key: ApiKey, day: str) -> None:
        """Narrow anew what a key's organisation disputes; on a full disk the daily refresh does."""
        try:
            self._refresh(day, key.organisation)
        except StorageFullError:  # which would say that the key is as before
            _log.warning("narrowings_late", organisation=key.organisation)

    def _refresh(self, day: str, organisation: str | None = None) -> None:
        """Narrow all items anew, or those that an organisation disputes: some at a time."""
        after: int | None = 0
        while after is not None:
            with self._writing, self._transaction() as connection:
                after = disputes.refresh_some(connection, day, after, organisation)

    def erase_due(self, *, at_s: int, day: str) -> bool:
        """Withdraw the case that is due the longest, as ``withdraw`` does; False if none is due.

        The act of that, CASE_ERASED, is the server's.
        """

        def erase(connection: Connection) -> tuple[_Removals, bool]:
            number = case_erasures.next_due(connection, at_s)
            if number is None:
                return [], False
            erased, _ = statements.withdraw(connection, number, None, (), day, Closing.ERASED)
            case_erasures.note_erased(connection, number, at_s)
            return [removed for removed, _ in erased], True

        return self._remove(erase)


@contextmanager
def _transaction(database: Database, engine: Engine) -> Iterator[Connection]:
    """Run one transaction, which raises the errors of the contract."""
    with database.translated_errors(), engine.begin() as connection:
        yield connection


OpenDatabase = Callable[[], AbstractContextManager[WritableDatabase]]


@contextmanager
def open_writer(
    database: OpenDatabase, directory: Path, *, restoring: bool = False
) -> Iterator[RegistryWriter]:
    """Open a registry for writing, and make it and the journal of removals in ``directory`` agree.

    See ``reconciliation``. On a full disk the reserve is given up for that, and as much of it taken
    again as there is room. With ``restoring`` an older copy, which a backup is meant to be, is no
    error to log.
    """
    space = DiskReserve(directory / RESERVE)
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(_opened(database, directory, space, restoring=restoring))
        except StorageFullError:
            if not space.release():
                raise
            opened = stack.enter_context(_opened(database, directory, space, restoring=restoring))
        yield opened


@contextmanager
def _opened(
    open_database: OpenDatabase, directory: Path, space: DiskReserve, *, restoring: bool
) -> Iterator[RegistryWriter]:
    with (
        open_database() as database,
        _removals(database, directory / JOURNAL, restoring=restoring) as removals,
    ):
        opened = RegistryWriter(database, directory, removals, space)
        try:
            yield opened
        finally:
            opened.note_head()


@contextmanager
def _removals(database: WritableDatabase, path: Path, *, restoring: bool) -> Iterator[Journal]:
    """Open the journal of removals, after making it and the database agree."""
    day = datetime.now(UTC).date().isoformat()
    with database.translated_errors():
        with database.writer.begin() as connection:
            records = reconcile(connection, database, path, day, restoring=restoring)
        if records is not None:
            journal.write_packed(path, records)
    with closing(Journal.open(path)) as opened:
        yield opened
