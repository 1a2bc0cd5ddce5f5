"""Makes the registry and its journal of removals agree, whichever of them is behind."""

from pathlib import Path

import structlog
from sqlalchemy import Connection

from disrupt.registry import journal, queries, schema, statements
from disrupt.registry.engine import last_number, skip_numbers
from disrupt.registry.journal import Contents, Removed

NUMBERS_SKIPPED = 2**32
"""More than any registry gave out between a backup and its restore: numbers are never reused."""

_log = structlog.get_logger(__name__)


def reconcile(connection: Connection, path: Path, day: str) -> list[Removed] | None:
    """Erases what the journal says was withdrawn; the journal to write, None if it is right.

    Within one transaction of the caller, who then writes the journal. What the registry erased and
    the journal lacks: the writer was killed between the two. What the journal has and the registry
    holds, or has not numbered yet: the registry's file is an older one, so that cursors given out
    since mean nothing; a new epoch begins. ``day`` is the one on which cases left empty are closed.
    """
    found = journal.read(path)
    if found is not None and found.damaged_records:
        _log.error("removals_journal_damaged", records=found.damaged_records)
    in_journal = found or Contents(())
    in_registry = queries.removed(connection)
    known = {one.item_id for one in in_registry}
    unknown = [one for one in in_journal.removed if one.item_id not in known]
    newest = max((one.number for one in unknown), default=0)
    erased = statements.erase_again(connection, [one.item_id for one in unknown], day)
    if erased or newest > last_number(connection, schema.items.name):
        begin_epoch(connection, newest)
        _log.error("registry_older_than_its_journal")
    known = {one.item_id for one in in_journal.removed}
    missing = [one for one in in_registry if one.item_id not in known]
    if found is not None and not (found.torn or found.damaged_records or missing):
        return None
    return [*in_journal.removed, *missing]


def begin_epoch(connection: Connection, newest: int) -> None:
    """Every earlier cursor is refused from now on, and no item number is given out again.

    ``newest`` is the largest number known to have been given out, beside those in the registry.
    """
    statements.begin_epoch(connection)
    newest = max(newest, last_number(connection, schema.items.name))
    skip_numbers(connection, schema.items.name, newest + NUMBERS_SKIPPED)
