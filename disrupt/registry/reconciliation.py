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
    """Erase and revoke what the journal lists; return the journal to write, None if it is right.

    Runs in one transaction of the caller, who then writes the journal. Where the journal lacks what
    the registry erased or revoked, the writer was killed between the two. Where the registry still
    holds what the journal lists, or has not numbered it yet, the registry's file is an older one:
    cursors given out since are invalid, and a new epoch begins. ``day`` is when cases left empty
    are closed and keys revoked.
    """
    contents = journal.read(path)
    if contents is not None and contents.damaged_records:
        _log.error("removals_journal_damaged", records=contents.damaged_records)
    in_journal = contents or Contents(())
    in_registry = dict.fromkeys(queries.journaled(connection))
    unknown = [item for item in in_journal.removed if item not in in_registry]
    newest = max((item.number for item in unknown), default=0)
    erased = statements.erase_again(connection, [item.item_id for item in unknown], day)
    valid = {key.key_id for key in queries.keys(connection) if not key.revoked_on}
    again = valid.intersection(key.key_id for key in in_journal.revoked)
    for key_id in again:
        statements.revoke_key(connection, key_id, day)
    if erased or again or newest > last_number(connection, schema.items.name):
        begin_epoch(connection, newest)
        _log.error("registry_older_than_its_journal")
    missing = in_registry.keys() - set(in_journal.records)
    if contents is not None and not (contents.torn or contents.damaged_records or missing):
        return None if contents.version == journal.VERSION else list(contents.records)
    return list(dict.fromkeys(in_journal.records) | in_registry)


def begin_epoch(connection: Connection, newest: int = 0) -> None:
    """Refuse every earlier cursor from now on, and give out no item number again.

    ``newest`` is the largest number known to have been given out, beside those in the registry.
    """
    statements.begin_epoch(connection)
    newest = max(newest, last_number(connection, schema.items.name))
    skip_numbers(connection, schema.items.name, newest + NUMBERS_SKIPPED)
