"""Writing a registry on SQL. Its promises are those of ``contract``."""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from sqlalchemy import Connection, Engine

from disrupt.core.acts import Act
from disrupt.core.case_erasures import CaseErasure
from disrupt.core.changes import Cursor
from disrupt.core.media import ItemState, StateReason
from disrupt.core.organisations import Organisation, said
from disrupt.core.outcomes import Report
from disrupt.core.policy import ApiKey, Bank, BankPolicy, Right
from disrupt.core.registrations import Outcome
from disrupt.core.waiting import ReportPolicy
from disrupt.errors import DisruptError, StorageFullError, UnavailableError
from disrupt.registry import (
    acts,
    banks,
    case_erasures,
    keys,
    noted,
    policies,
    queries,
    sqlite_file,
    statements,
    states,
)
from disrupt.registry.contract import Negatives, Registered, Registration, Successor
from disrupt.registry.engine import Numbering, rewrite_header, translated_errors, truncate_wal
from disrupt.registry.journal import Epoch, Journal, Record, Removed, Revoked
from disrupt.registry.reconciliation import begin_epoch
from disrupt.registry.reserve import Reserve
from disrupt.registry.sql_reader import SqlReader

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_log = structlog.get_logger(__name__)


class SqlRegistryWriter(SqlReader):
    """A RegistryWriter. Threads take turns at writing, and read beside it."""

    def __init__(
        self,
        reader: Engine,
        writer: Engine,
        numbering: Numbering,
        note: Path,
        removals: Journal,
        reserve: Reserve,
    ) -> None:
        super().__init__(reader, note)
        self._writer = writer
        self._numbering = numbering
        self._removals = removals
        self._reserve = reserve
        self._writing = threading.Lock()
        self._reserve.fill()

    def note_pepper(self, check: bytes) -> None:
        """Note a pepper's check value, unless one is noted; see RegistryWriter."""
        with sqlite_file.transaction(self._writer) as connection:
            statements.note_pepper(connection, check)

    def register(
        self, registration: Registration, *, day: str, items_per_case: int | None = None
    ) -> Registered:
        """Add items; see RegistryWriter."""
        # Not during a withdrawal: only that may use the reserve that it frees.
        with self._writing:
            with sqlite_file.transaction(self._writer) as connection:
                registered, replaced = statements.register(
                    connection, registration, day, items_per_case
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
        if all(place.outcome == Outcome.ADDED for place in registered.items):
            return
        try:
            self._removals.add(replaced)
        except StorageFullError as error:  # which would say that nothing was stored
            raise UnavailableError(error.message) from error

    def withdraw(self, number: str, item_ids: Sequence[bytes] | None, *, day: str) -> Cursor:
        """Remove items of a case; see RegistryWriter."""

        def withdraw(connection: Connection) -> tuple[Sequence[Record], Cursor]:
            erased = statements.withdraw(connection, number, item_ids, day)
            return erased, queries.head(connection)

        return self._remove(withdraw)

    def report(
        self,
        report: Report,
        *,
        day: str,
        reports_per_item: int | None = None,
        policy: ReportPolicy | None = None,
        at_s: int = 0,
    ) -> bool:
        """Store what came of a match; see RegistryWriter."""
        # Not during a withdrawal, see register.
        with self._writing:
            with sqlite_file.transaction(self._writer) as connection:
                statements.report(connection, report, day, reports_per_item)
                hidden = policy is not None and policies.judge(
                    connection, report.item_id, policy, day, at_s
                )
            self._reserve.fill()
        return hidden

    def hide(self, item_id: bytes, reason: StateReason, *, day: str, at_s: int) -> bool:
        """Let an item wait for review; see RegistryWriter."""
        return self._write(policies.hide, item_id, reason, day, at_s)

    def release(self, until_s: int, *, day: str, at_s: int, limit: int) -> tuple[bytes, ...]:
        """Make items LIVE that wait for long; see RegistryWriter."""
        return self._write(policies.release, until_s, day, at_s, limit)

    def add_negatives(self, negatives: Negatives, *, day: str, act: Act) -> int:
        """Add hashes of harmless pictures; see RegistryWriter."""
        return self._write(policies.add_negatives, negatives, day, act)

    def remove_negatives(self, label: str, *, act: Act) -> int:
        """Remove the hashes of a label; see RegistryWriter."""
        return self._write(policies.remove_negatives, label, act)

    def set_states(
        self,
        item_ids: Collection[bytes],
        state: ItemState,
        *,
        day: str,
        act: Act,
        reason: StateReason | None = None,
    ) -> Cursor:
        """Change the state of items; see RegistryWriter."""

        def change(connection: Connection) -> tuple[Sequence[Record], Cursor]:
            states.set_states(connection, item_ids, state, reason, day, act)
            return [], queries.head(connection)

        if state == ItemState.LIVE:
            return self._write(change)[1]
        return self._remove(change)

    def move_items(self, item_ids: Collection[bytes], bank: int, *, act: Act) -> Cursor:
        """Move items to another bank; see RegistryWriter."""
        with self._writing, sqlite_file.transaction(self._writer) as connection:
            states.move_items(connection, item_ids, bank, act)
            return queries.head(connection)

    def confirm_items(self, item_ids: Collection[bytes], *, act: Act) -> Cursor:
        """Let the assurance of items be REVIEWED; see RegistryWriter."""
        with self._writing, sqlite_file.transaction(self._writer) as connection:
            states.confirm_items(connection, item_ids, act)
            return queries.head(connection)

    def request_erasure(self, number: str, *, act: Act) -> CaseErasure:
        """Note that a case is to be erased without its PIN; see RegistryWriter."""
        return _unless_refused(self._write(case_erasures.request, number, act))

    def confirm_erasure(self, number: str, *, day: str, act: Act) -> CaseErasure:
        """Disable the items of a case, to be erased in 7 days; see RegistryWriter."""

        def confirm(connection: Connection) -> tuple[Sequence[Record], CaseErasure | DisruptError]:
            return [], case_erasures.confirm(connection, number, day, act)

        return _unless_refused(self._remove(confirm))

    def stop_erasure(self, number: str, *, day: str, act: Act) -> Cursor:
        """Forget the erasure of a case; see RegistryWriter."""

        def stop(connection: Connection) -> tuple[Sequence[Record], Cursor | DisruptError]:
            error = case_erasures.stop(connection, number, day, act)
            return [], error or queries.head(connection)

        return _unless_refused(self._remove(stop))

    def due_erasures(self, at_s: int) -> tuple[str, ...]:
        """Return the cases to erase; see RegistryWriter."""
        return self._write(case_erasures.due, at_s)

    def complete_erasure(self, number: str, *, day: str, act: Act) -> Cursor:
        """Erase a case if that is due; see RegistryWriter."""

        def complete(connection: Connection) -> tuple[Sequence[Record], Cursor]:
            erased = case_erasures.complete(connection, number, day, act)
            return erased, queries.head(connection)

        return self._remove(complete)

    def revoke_key(self, key_id: str, *, day: str, act: Act) -> ApiKey:
        """Revoke a key; see RegistryWriter."""

        def revoke(connection: Connection) -> tuple[Sequence[Record], ApiKey]:
            key, was_valid = keys.revoke_key(connection, key_id, day)
            if was_valid:
                acts.append(connection, act.on(key=key_id))
            return [Revoked(key_id)] if was_valid else [], key

        return self._remove(revoke)

    def _write(
        self,
        statement: Callable[Concatenate[Connection, _Arguments], _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        with self._writing, sqlite_file.transaction(self._writer) as connection:
            return statement(connection, *args, **kwargs)

    def _remove(self, change: Callable[[Connection], tuple[Sequence[Record], _Result]]) -> _Result:
        """Withdraw or revoke, then list it in the journal; on a full disk, in the reserve.

        So is what switches items off, and what stops an erasure, which a full disk does not stop:
        of these the journal lists nothing.
        """
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
        self, change: Callable[[Connection], tuple[Sequence[Record], _Result]]
    ) -> tuple[bool, _Result]:
        with sqlite_file.transaction(self._writer) as connection:
            removed, result = change(connection)
        self._removals.add(removed)
        return bool(removed), result

    def _checkpoint_if_possible(self) -> None:
        try:
            done = self.checkpoint()
        except DisruptError as error:  # the withdrawal itself is durable
            _log.warning("registry_checkpoint_failed", reason=error.reason)
        else:
            if not done:
                _log.warning("registry_checkpoint_held_up")

    def checkpoint(self) -> bool:
        """Clear the database's log; see RegistryWriter."""
        with translated_errors():
            return truncate_wal(self._writer)

    def check_storage(self) -> None:
        """Write durably and change nothing; see RegistryWriter."""
        with self._writing:
            with sqlite_file.transaction(self._writer) as connection:
                rewrite_header(connection)
            self._numbering.follow(self._writer)
        self.note_head()

    def note_head(self) -> None:
        """Note the head outside the registry, unless what is noted is newer; does not raise.

        A note that this registry does not know stays, of whatever epoch: it says that this is an
        older copy.
        """
        with self._writing, suppress(DisruptError, OSError):
            head, before = self.head(), noted.read(self._note)
            if before is None or (before.sequence < head.sequence and self.knows(before)):
                noted.write(self._note, head)

    def begin_epoch(self) -> None:
        """Expire every earlier cursor, after the registry was restored from a backup."""
        with sqlite_file.transaction(self._writer) as connection:
            begin_epoch(connection)
        self._removals.add([Epoch(self.head().epoch)])
        self.accept_head()

    def add_key(self, key: ApiKey, *, act: Act) -> None:
        """Add a key; see RegistryWriter."""
        with self._writing, sqlite_file.transaction(self._writer) as connection:
            keys.add_key(connection, key)
            acts.append(connection, keys.on_key(connection, act, key))

    def change_key(
        self,
        key_id: str,
        *,
        rights: Collection[Right] | None = None,
        banks: Collection[int] | None = None,
        expires_on: str | None = None,
        organisation: str | None = None,
        act: Act,
    ) -> ApiKey:
        """Replace rights, banks, last day or organisation of a key; see RegistryWriter."""
        with self._writing, sqlite_file.transaction(self._writer) as connection:
            before, key = keys.change_key(
                connection, key_id, rights, banks, expires_on, organisation
            )
            if key.organisation != before.organisation:
                act = act.on(organisation=key.organisation)
            if key != before:
                acts.append(connection, keys.on_key(connection, act, key))
            return key

    def set_organisation(self, organisation: Organisation, *, act: Act) -> None:
        """Replace what is an organisation's own; see RegistryWriter."""
        with self._writing, sqlite_file.transaction(self._writer) as connection:
            if keys.set_organisation(connection, organisation):
                acts.append(connection, act.on(**said(organisation)))

    def rotate_key(
        self, key_id: str, successor: Successor, *, overlap_until: str, act: Act
    ) -> tuple[ApiKey, ApiKey]:
        """Add a key like another, which ends; see RegistryWriter."""
        with self._writing, sqlite_file.transaction(self._writer) as connection:
            old, new = keys.rotate_key(connection, key_id, successor, overlap_until)
            rotated = keys.on_key(connection, act, old).on(successor=new.key_id)
            acts.append(connection, rotated)
            return old, new

    def add_bank(self, name: str, policy: BankPolicy, *, act: Act) -> Bank:
        """Add a bank; see RegistryWriter."""
        return self._write(banks.add, name, policy, act)

    def change_bank(self, name: str, policy: BankPolicy, *, act: Act) -> Bank:
        """Change the policy of a bank; see RegistryWriter."""
        return self._write(banks.change, name, policy, act)

    def note_uses(self, days: Mapping[str, str]) -> None:
        """Note the days on which keys were last used; see RegistryWriter."""
        self._write(keys.note_uses, days)


def _unless_refused(answer: _Result | DisruptError) -> _Result:
    """Return an answer; raise it if it is an error, now that the act of it is stored."""
    if isinstance(answer, DisruptError):
        raise answer
    return answer
