"""Interface that each database of a registry implements."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection, Engine


class Database(Protocol):
    """A database open for reading."""

    @property
    def reader(self) -> Engine:
        """Return the engine whose transactions only read, and each see one state."""

    def translated_errors(self) -> AbstractContextManager[None]:
        """Translate what the database raises into errors of this project."""

    def last_number(self, connection: Connection, table: str) -> int:
        """Return the largest number that a table has drawn or skipped, or 0."""


class WritableDatabase(Database, Protocol):
    """A database open for writing, by the only process that does."""

    @property
    def writer(self) -> Engine:
        """Return the engine of the one writing connection; threads take turns."""

    @property
    def clears_at_once(self) -> bool:
        """Tell whether ``clear_log`` is quick enough to be a part of each withdrawal."""

    def clear_log(self) -> bool:
        """Leave no file with bytes erased before; False where a reader held that up."""

    def uncleared_s(self, connection: Connection) -> float:
        """Return a bound on the age of what ``clear_log`` has to clear, in seconds; 0: nothing."""

    def check_leadership(self) -> None:
        """Raise LeadershipLostError where this process can write no more. Waits for nothing."""

    def prove_writable(self) -> None:
        """Write durably and change nothing. The caller serialises the calls with other writes."""

    def make_room(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Prepare the table of fingerprints for items of these numbers."""

    def timeline(self, connection: Connection) -> int:
        """Return the number that a database raises when another copy takes its place; else 0."""

    def skip_numbers(self, connection: Connection, table: str, last: int) -> None:
        """Make the next number that a table draws at least ``last`` + 1."""
