"""Make the registry and its journal of removals agree, whichever of them is behind."""

import time
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy import Connection

from disrupt.core.tallies import Tally
from disrupt.registry import journal
from disrupt.registry.journal import Contents, Epoch
from disrupt.registry.records import Revoked
from disrupt.registry.sql import api_keys, case_erasures, queries, schema, statements, tallies
from disrupt.registry.sql.database import WritableDatabase
from disrupt.registry.versions import ids_of, versions_of

NUMBERS_SKIPPED = 2**32
"""More than any registry gives out between a backup and its restore."""

_AT_ONCE = 1 << 16

_log = structlog.get_logger(__name__)


def reconcile(
    connection: Connection, database: WritableDatabase, path: Path, day: str, *, restoring: bool
) -> NDArray[np.uint64] | None:
    """Make registry and journal agree; return the journal to write, None if it is right.

    Runs in one transaction of the caller, who then writes the journal. ``day`` is when cases left
    empty are closed and keys revoked. An older copy is logged as an error unless ``restoring``.

    1. Read both. A damaged journal loses its epochs: it cannot say any more that it lists all that
       was removed in them, and the registry does not know removals of earlier ones.
    2. Erase and revoke what only the journal lists: the registry's file is an older copy. With an
       item that was withdrawn go all versions of its picture. An item that was only renewed since
       stays: what took its place is not here.
    3. If there was any such, or the journal lists numbers that the registry has not drawn yet,
       begin a new epoch: cursors given out since that copy are invalid. Not for a renewal that the
       journal lists before the present epoch: the restore that began it has undone that. Begin one
       too where another copy of the database has taken the place of the one before.
    4. Count the restore of a copy, by the newest day that this copy has counted.
    5. Collect what only the registry knows: the writer was killed between its commit and the
       journal. Append that to the journal's good records.
    """
    counted_until = tallies.counted_until(connection)
    contents = journal.read(path)
    listed = journal.pack(()) if contents is None else contents.packed
    if contents is not None and contents.damaged_records:
        _log.error("removals_journal_damaged", records=contents.damaged_records)
        listed = listed[listed[:, 0] != journal.EPOCH_WORD]
    in_registry, keys = queries.erased(connection), api_keys.keys(connection)
    versions = versions_of(listed)
    withdrawn = versions.ids[versions.withdrawn]
    is_known, is_listed = _compared(listed, in_registry, withdrawn)
    # Millions of items are compared without an object for each; few are left.
    only_listed = Contents(listed[~is_known])

    again = {item.item_id for item in only_listed.removed if not item.successor}
    if len(withdrawn):
        again.update(np.setdiff1d(withdrawn, ids_of(in_registry[:, 1:3])).tolist())
    erased = statements.erase_again(connection, sorted(again), day)
    valid_ids = {key.key_id for key in keys if not key.revoked_on}
    revoked_ids = valid_ids.intersection(key.key_id for key in only_listed.revoked)
    for key_id in revoked_ids:
        api_keys.revoke_key(connection, key_id, day)

    present = Epoch(queries.position(connection)[0])
    begun = only_listed.records.index(present) if present in only_listed.epochs else -1
    since = Contents(only_listed.packed[begun + 1 :]).removed
    undone = queries.living(connection, [item.item_id for item in since if item.successor])

    newest = max((item.number for item in only_listed.removed), default=0)
    is_unknown = newest > database.last_number(connection, schema.items.name)
    is_older = bool(erased or undone or revoked_ids or is_unknown)
    is_copy = is_older or database.timeline(connection) != queries.timeline(connection)
    if is_copy or restoring:
        tallies.count(connection, day, Tally.RESTORES, counted_until)
    if is_copy:
        begin_epoch(connection, database, newest)
        if is_older and not restoring:
            _log.error("registry_older_than_its_journal")

    revoked = [Revoked(key.key_id) for key in keys if key.revoked_on]
    epoch, _ = queries.position(connection)
    only_registered = np.concatenate(
        [
            journal.with_checks(in_registry[~is_listed]),
            journal.pack(key for key in revoked if key not in only_listed.revoked),
            journal.pack({Epoch(epoch)}.difference(only_listed.epochs)),
        ]
    )
    if contents is None or contents.torn or contents.damaged_records or len(only_registered):
        return np.concatenate([listed, only_registered])
    return None


def _compared(
    listed: NDArray[np.uint64], in_registry: NDArray[np.uint64], withdrawn: NDArray[np.void]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which records of the journal are in the registry, and which items of that are listed.

    An item that the registry has as withdrawn is listed if the journal says so, of the item or of
    another version, ``withdrawn``.
    """
    is_known, is_listed = np.zeros(len(listed), bool), np.zeros(len(in_registry), bool)
    numbers = in_registry[:, 0].copy()  # ascending
    for first in range(0, len(listed) if len(numbers) else 0, _AT_ONCE):
        batch = listed[first : first + _AT_ONCE]
        at = np.searchsorted(numbers, batch[:, 0]).clip(max=len(numbers) - 1)
        same = (in_registry[at, :3] == batch[:, :3]).all(axis=1)
        is_known[first : first + _AT_ONCE] = same
        enough = in_registry[at, 3:5].any(axis=1) | ~batch[:, 3:5].any(axis=1)
        if len(withdrawn):
            enough |= np.isin(ids_of(batch[:, 1:3]), withdrawn)
        is_listed[at[same & enough]] = True
    return is_known, is_listed


def begin_epoch(connection: Connection, database: WritableDatabase, newest: int = 0) -> None:
    """Refuse every earlier cursor from now on, and give out no item number that is known.

    Every erasure of a case whose PIN is lost is stopped: staff have to ask again.
    ``newest`` is the largest number known to have been given out, beside those in the registry. If
    one backup is restored twice, what was registered between is not known: its numbers come again,
    in another epoch.
    """
    statements.begin_epoch(connection, database.timeline(connection))
    case_erasures.stop_all(connection, int(time.time()))
    newest = max(newest, database.last_number(connection, schema.items.name))
    database.skip_numbers(connection, schema.items.name, newest + NUMBERS_SKIPPED)
