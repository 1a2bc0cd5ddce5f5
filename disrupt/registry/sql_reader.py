"""Reading a registry on SQL. Its promises are those of ``contract``."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine

from disrupt.core.acts import ActRecord
from disrupt.core.changes import Change, Cursor
from disrupt.core.media import ItemState, StateRecord, StoredItems
from disrupt.core.organisations import Organisation
from disrupt.core.outcomes import Outcome as MatchOutcome
from disrupt.core.policy import ApiKey, Bank
from disrupt.core.review import CaseFilter, ItemFilter, ReviewedCase, ReviewedItem
from disrupt.errors import UnavailableError
from disrupt.registry import acts, banks, noted, policies, queries, review, sqlite_file
from disrupt.registry.contract import CaseRecord, Negatives, Registered
from disrupt.registry.journal import Record

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class SqlReader:
    """A RegistryReader. Each call is one short transaction; threads may call at once."""

    def __init__(self, engine: Engine, note: Path) -> None:
        self._reader = engine
        self._note = note

    def _read(
        self,
        query: Callable[Concatenate[Connection, _Arguments], _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        with sqlite_file.transaction(self._reader) as connection:
            return query(connection, *args, **kwargs)

    def head(self) -> Cursor:
        """Return the cursor of the newest change; see RegistryReader."""
        return self._read(queries.head)

    def knows(self, cursor: Cursor) -> bool:
        """Tell whether the cursor is a point of this history; see RegistryReader."""
        return self._read(queries.knows, cursor)

    def takes_pepper(self, check: bytes) -> bool:
        """Tell whether PINs are hashed with this pepper; see RegistryReader."""
        return self._read(queries.pepper_check) in {None, check}

    def lacks(self) -> Cursor | None:
        """See RegistryReader."""
        head = noted.read(self._note)
        return head if head is not None and not self.knows(head) else None

    def accept_head(self) -> None:
        """See RegistryReader."""
        try:
            noted.write(self._note, self.head())
        except OSError as error:
            raise UnavailableError(f"{self._note.name} cannot be written: {error}") from error

    def changes(
        self, after: Cursor, limit: int, banks: Collection[int] | None = None
    ) -> tuple[Sequence[Change], Cursor]:
        """Return a page of changes and the next cursor; see RegistryReader."""
        return self._read(queries.changes, after, limit, banks)

    def additions(self, after: Cursor, until: Cursor, limit: int) -> tuple[StoredItems, Cursor]:
        """Return a page of living items and the next cursor; see RegistryReader."""
        return self._read(queries.additions, after, until, limit)

    def removed_since(self, cursor: Cursor) -> int:
        """Count the items removed since a cursor; see RegistryReader."""
        return self._read(queries.removed_since, cursor)

    def hashes_since(self, cursor: Cursor) -> int:
        """Count the hashes added since a cursor; see RegistryReader."""
        return self._read(queries.hashes_since, cursor)

    def journaled(self) -> list[Record]:
        """List what the journal has to hold; see RegistryReader."""
        return self._read(queries.journaled)

    def banks(self) -> tuple[Bank, ...]:
        """Return all banks; see RegistryReader."""
        return self._read(banks.banks)

    def organisations(self) -> tuple[Organisation, ...]:
        """Return what organisations have of their own; see RegistryReader."""
        return self._read(queries.organisations)

    def keys(self) -> tuple[ApiKey, ...]:
        """Return all keys; see RegistryReader."""
        return self._read(queries.keys)

    def states(self, item_ids: Collection[bytes]) -> tuple[StateRecord, ...]:
        """Return the states of items; see RegistryReader."""
        return tuple(self._read(queries.states, item_ids).values())

    def count_states(self) -> Mapping[ItemState, int]:
        """Return how many items are in each state but LIVE; see RegistryReader."""
        return self._read(queries.count_states)

    def reviewed_items(
        self, wanted: ItemFilter, before: int | None, limit: int
    ) -> tuple[Sequence[ReviewedItem], int]:
        """Return a page of items for staff; see RegistryReader."""
        return self._read(review.items, wanted, before, limit)

    def reviewed(self, item_ids: Collection[bytes]) -> Sequence[ReviewedItem]:
        """Return items for staff; see RegistryReader."""
        return self._read(review.reviewed, item_ids)

    def reviewed_cases(
        self, wanted: CaseFilter, before: int | None, limit: int
    ) -> tuple[Sequence[ReviewedCase], int]:
        """Return a page of cases for staff; see RegistryReader."""
        return self._read(review.cases, wanted, before, limit)

    def acts(self, after: int, limit: int) -> Sequence[ActRecord]:
        """Return a page of acts; see RegistryReader."""
        return self._read(acts.page, after, limit)

    def case(self, number: str) -> CaseRecord | None:
        """Return the case, or None; see RegistryReader."""
        return self._read(queries.case, number)

    def case_id(self, number: str) -> int | None:
        """Return the registry's own number of a case, or None; see RegistryReader."""
        return self._read(queries.case_id, number)

    def pin_hash(self, number: str) -> str | None:
        """Return the PIN hash of a case, or None; see RegistryReader."""
        return self._read(queries.pin_hash, number)

    def outcomes(self, number: str, *, before: str) -> Mapping[bytes, frozenset[MatchOutcome]]:
        """Return the outcomes of a case's items before a day; see RegistryReader."""
        return self._read(queries.outcomes, number, before)

    def negatives(self) -> Negatives:
        """Return all hashes of harmless pictures; see RegistryReader."""
        return self._read(policies.negatives)

    def registered(self, request_id: bytes) -> tuple[bytes, Registered] | None:
        """Return digest and result of an earlier registration; see RegistryReader."""
        return self._read(queries.registered, request_id)
