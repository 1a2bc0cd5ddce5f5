"""Makes the registry and its journal of removals agree, whichever of them is behind."""

from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Connection

from disrupt.registry import journal, keys, queries, schema, statements
from disrupt.registry.engine import last_number, skip_numbers
from disrupt.registry.journal import Contents, Epoch, Revoked

NUMBERS_SKIPPED = 2**32
"""More than any registry gives out between a backup and its restore."""

_AT_ONCE = 1 << 16

_log = structlog.get_logger(__name__)


def reconcile(connection: Connection, path: Path, day: str) -> NDArray[np.uint64] | None:
    """Erase and revoke what the journal lists; return the journal to write, None if it is right.

    Runs in one transaction of the caller, who then writes the journal. Where the journal lacks what
    the registry erased or revoked, the writer was killed between the two. Where the registry still
    holds what the journal lists, or has not numbered it yet, the registry's file is an older one:
    cursors given out since are invalid, and a new epoch begins. ``day`` is when cases left empty
    are closed and keys revoked.
    """
    scan = journal.scan(path)
    if scan is not None and scan.damaged_records:
        _log.error("removals_journal_damaged", records=scan.damaged_records)
    listed = journal.pack(()) if scan is None else scan.records
    if scan is not None and scan.damaged_records:  # of earlier epochs, too, and not in the registry
        listed = listed[listed[:, 0] != journal.EPOCH_WORD]
    in_registry, stored = queries.erased(connection), queries.keys(connection)
    is_known, is_listed = _compared(listed, in_registry)
    unknown = Contents(journal.unpack(listed[~is_known]))  # of the items; all of the rest
    newest = max((item.number for item in unknown.removed), default=0)
    erased = statements.erase_again(connection, [item.item_id for item in unknown.removed], day)
    again = {key.key_id for key in stored if not key.revoked_on}.intersection(
        key.key_id for key in unknown.revoked
    )
    for key_id in again:
        keys.revoke_key(connection, key_id, day)
    if erased or again or newest > last_number(connection, schema.items.name):
        begin_epoch(connection, newest)
        _log.error("registry_older_than_its_journal")
    revoked = [Revoked(key.key_id) for key in stored if key.revoked_on]
    epoch, _ = queries.position(connection)
    missing = np.concatenate(
        [
            journal.packed(in_registry[~is_listed]),
            journal.pack(key for key in revoked if key not in unknown.revoked),
            journal.pack({Epoch(epoch)}.difference(unknown.epochs)),
        ]
    )
    if scan is not None and not (scan.torn or scan.damaged_records or len(missing)):
        return None if scan.version == journal.VERSION else listed
    return np.concatenate([listed, missing])


def _compared(
    listed: NDArray[np.uint64], in_registry: NDArray[np.uint64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which records of the journal are in the registry, and which items of that are listed."""
    is_known, is_listed = np.zeros(len(listed), bool), np.zeros(len(in_registry), bool)
    numbers = in_registry[:, 0].copy()  # ascending
    for first in range(0, len(listed) if len(numbers) else 0, _AT_ONCE):
        batch = listed[first : first + _AT_ONCE, :3]
        at = np.searchsorted(numbers, batch[:, 0]).clip(max=len(numbers) - 1)
        same = (in_registry[at] == batch).all(axis=1)
        is_known[first : first + _AT_ONCE] = same
        is_listed[at[same]] = True
    return is_known, is_listed


def begin_epoch(connection: Connection, newest: int = 0) -> None:
    """Refuse every earlier cursor from now on, and give out no item number that is known.

    ``newest`` is the largest number known to have been given out, beside those in the registry. If
    one backup is restored twice, what was registered between is not known: its numbers come again,
    in another epoch.
    """
    statements.begin_epoch(connection)
    newest = max(newest, last_number(connection, schema.items.name))
    skip_numbers(connection, schema.items.name, newest + NUMBERS_SKIPPED)
