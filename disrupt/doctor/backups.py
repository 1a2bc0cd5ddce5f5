"""Check the newest backup, and the copy of the journal of removals that a restore needs with it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from disrupt.doctor.findings import Check, Finding, fail, ok, warn
from disrupt.registry import backup, journal
from disrupt.registry.journal import Epoch
from disrupt.registry.versions import missing

_BACKUP_S = 26 * 3600.0
"""A day, and time for the copy."""
_JOURNAL_S = 3 * 3600.0
"""The timer of deploy/ copies it every hour."""
_H = 3600.0
_ADVICE = (
    "Look at `systemctl status disrupt-backup`. Move a damaged copy out of its directory, then"
    " `systemctl start disrupt-backup`, or `disrupt backup --data-dir DIR --config FILE"
    " --to BACKUPS/$(date -u +%FT%H%M) --journal-to COPY`."
)


def checks(backups: Path | None, journal_copy: Path | None) -> tuple[Check, ...]:
    """Return the checks of what is given: a directory of backups, a copy of the journal."""
    listed = []
    if backups is not None:
        listed.append(Check("backup", lambda: newest(backups), _ADVICE))
    if journal_copy is not None:
        listed.append(Check("journal copy", lambda: copied(journal_copy, backups), _ADVICE))
    return tuple(listed)


def newest(backups: Path) -> Iterator[Finding]:
    """Check age and every byte of the newest backup."""
    path = backup.newest(backups)
    if path is None:
        yield fail(f"There is no backup in {backups}.", _ADVICE)
        return
    manifest = backup.check(path)
    age_s = time.time() - manifest.made_s
    meaning = f"The newest, {path.name}, is whole and {age_s / _H:.1f} hours old"
    if not 0 <= age_s <= _BACKUP_S:
        yield fail(f"{meaning}, and not of the last 26.", _ADVICE)
    elif backup.CONFIG not in manifest.files:
        yield warn(f"{meaning}; it has no configuration.", "Give backups --config.")
    else:
        yield ok(f"{meaning}.")


def copied(copy: Path, backups: Path | None) -> Iterator[Finding]:
    """Check age and every record of a copy of the journal, and that it is of the newest backup."""
    contents = journal.read(copy)
    if contents is None:
        yield fail(f"There is no {copy}.", _ADVICE)
        return
    age_s = time.time() - copy.stat().st_mtime
    path = backups and backup.newest(backups)
    epoch = path and Epoch(bytes.fromhex(backup.read_manifest(path).epoch))
    if contents.torn or contents.damaged_records:
        yield fail(f"{copy} is damaged.", _ADVICE)
    elif epoch and missing(contents, [epoch]):
        meaning = f"{copy} is older than the newest backup, or of another server."
        yield fail(meaning, _ADVICE)
    elif not 0 <= age_s <= _JOURNAL_S:
        meaning = (
            f"{copy} is {age_s / _H:.1f} hours old: what was withdrawn since would match again."
        )
        yield fail(meaning, _ADVICE)
    else:
        yield ok(f"The copy is whole and {age_s / _H:.1f} hours old.")
