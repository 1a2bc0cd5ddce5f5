"""Makes the registry and its journal of removals agree, whichever of them is behind."""

from pathlib import Path

import structlog
from sqlalchemy import Connection

from disrupt.registry import journal, queries, schema, statements
from disrupt.registry.engine import last_number, skip_numbers
from disrupt.registry.journal import Contents, Record

NUMBERS_SKIPPED = 2**32
"""More than any registry gave out between a backup and its restore: numbers are never reused."""

_log = structlog.get_logger(__name__)


def reconcile(connection: Connection, path: Path, day: str) -> list[Record] | None:
    """Erases and revokes what the journal lists; the journal to write, None if it is right.

    Within one transaction of the caller, who then writes the journal. What the registry erased or
    revoked and the journal lacks: the writer was killed between the two. What the journal has and
    the registry holds, or has not numbered yet: the registry's file is an older one, so that
    cursors given out since mean nothing; a new epoch begins. ``day`` is the one on which cases left
    empty are closed, and keys revoked.
    """
    found = journal.read(path)
    if found is not None and found.damaged_records:
        _log.error("removals_journal_damaged", records=found.damaged_records)
    in_journal = found or Contents(())
    in_registry = dict.fromkeys(queries.journaled(connection))
    unknown = [one for one in in_journal.removed if one not in in_registry]
    newest = max((one.number for one in unknown), default=0)
    erased = statements.erase_again(connection, [one.item_id for one in unknown], day)
    valid = {key.key_id for key in queries.keys(connection) if not key.revoked_on}
    again = valid.intersection(one.key_id for one in in_journal.revoked)
    for key_id in again:
        statements.revoke_key(connection, key_id, day)
    if erased or again or newest > last_number(connection, schema.items.name):
        begin_epoch(connection, newest)
        _log.error("registry_older_than_its_journal")
    missing = in_registry.keys() - set(in_journal.records)
    if found is not None and not (found.torn or found.damaged_records or missing):
        return None if found.version == journal.VERSION else list(found.records)
    return list(dict.fromkeys(in_journal.records) | in_registry)


def begin_epoch(connection: Connection, newest: int = 0) -> None:
    """Every earlier cursor is refused from now on, and no item number is given out again.

    ``newest`` is the largest number known to have been given out, beside those in the registry.
    """
    statements.begin_epoch(connection)
    newest = max(newest, last_number(connection, schema.items.name))
    skip_numbers(connection, schema.items.name, newest + NUMBERS_SKIPPED)
