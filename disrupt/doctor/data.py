"""Check the data directory: permissions, secrets, registry, index."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from disrupt import ownership
from disrupt.data_directory import HEAD_NOTE, JOURNAL, REGISTRY, REGISTRY_URL, DataDirectory
from disrupt.doctor.findings import Check, Finding, fail, ok, warn
from disrupt.errors import (
    DataDirectoryError,
    OtherHistoryError,
    UnavailableError,
)
from disrupt.index import generations
from disrupt.registry import head_note, journal, opening
from disrupt.registry.registry import RegistryReader
from disrupt.registry.sqlite.integrity import integrity_problems
from disrupt.registry.versions import missing
from disrupt.upkeep import audit, erasure

_RESTORE = "Stop the server and restore from a backup: docs/operations.md."
_ERASE = "Run `disrupt erase`, and find `erasure_failed` in the log."
_AUDIT = (
    "Keep data/audit and a copy of the registry as they are, and ask who has changed it; compare"
    " with a checkpoint kept elsewhere: docs/audit.md."
)
_DOUBTS_SHOWN = 5
_H = 3600.0
_NO_INDEX = "There is none yet; the first start makes it."
_PATIENCE_S, _RETRY_S = 5.0, 0.1
"""A removal is in the journal after its commit, which a slow disk delays."""
_SECRET = re.compile(r"[0-9a-f]{64}")


def checks(data_dir: Path) -> tuple[Check, ...]:
    """Return all checks of this module."""
    return (
        Check("permissions", lambda: permissions(data_dir), "Run this as the server's own user."),
        Check("secrets", lambda: secrets(data_dir), _RESTORE),
        Check("registry", lambda: registry(data_dir), f"Do what this says. Else: {_RESTORE}"),
        Check("removals", lambda: removals(data_dir), _RESTORE),
        Check("index", lambda: index(data_dir), "Run `disrupt-index rebuild`."),
        Check("erasure", lambda: withdrawn(data_dir), _ERASE),
        Check("audit log", lambda: audit_log(data_dir), _AUDIT),
    )


def permissions(data_dir: Path) -> Iterator[Finding]:
    """Check that only the server's user owns what is inside, and may see it."""
    uid = ownership.owner(data_dir)
    uid = os.geteuid() if uid is None else uid
    foreign = ownership.foreign(data_dir, uid)
    # in a directory closed to others, they reach nothing else
    open_to_others = [
        path
        for path in (data_dir, DataDirectory(data_dir).secrets_file)
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    advice = f"chmod -R u+rwX,go= {data_dir}, as the server's own user."
    if foreign:
        path, owner_uid = foreign[0]
        yield warn(
            f"The data directory belongs to {ownership.user(uid)}, and {len(foreign)} files in it"
            f" to others, as {path.relative_to(data_dir)} does to {ownership.user(owner_uid)}: the"
            " server may be unable to read them, and to erase what was withdrawn from them.",
            f"chown -R {uid} {data_dir}; run commands with `{ownership.as_user(uid)} …`.",
        )
    if uid != os.geteuid():
        yield warn(
            f"This runs as {ownership.user(os.geteuid())}, and the data directory belongs to"
            f" {ownership.user(uid)}: the other checks tell what this user may do, not what the"
            " server may.",
            f"{ownership.as_user(uid)} disrupt doctor …",
        )
    if DataDirectory(data_dir).secrets_file in open_to_others:
        yield fail("Other users may read secrets.json.", advice)
    elif open_to_others:
        yield warn("Other users may look into the data directory.", advice)
    elif not foreign and uid == os.geteuid():
        yield ok("Only this user may look into the data directory.")


def secrets(data_dir: Path) -> Iterator[Finding]:
    """Check that the pepper and the key of the match ids are present and well-formed.

    A machine that follows the registry of others has the latter alone.
    """
    directory = DataDirectory(data_dir)
    path = directory.secrets_file
    follows = directory.followed.exists() and not directory.has_pepper
    if not path.exists():
        if _has_cases(data_dir):
            yield fail(
                "secrets.json is missing, and there are registrations: without its pepper no PIN"
                " opens its case, and nobody can see or withdraw it.",
                "Restore secrets.json from a backup; the server does not start without it.",
            )
        else:
            yield ok("There are none yet; the first start makes them.")
        return
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        needed = ("match_tokens",) if follows else ("pepper", "match_tokens")
        whole = all(_SECRET.fullmatch(values[name]) for name in needed)
    except (ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        yield fail("secrets.json is damaged.", "Restore secrets.json from a backup.")
    elif not follows and not _are_of_the_registry(data_dir):
        yield fail(
            "secrets.json belongs to another registry: no PIN opens its case.",
            "Put back the secrets.json of this server; any backup has it.",
        )
    else:
        yield ok("secrets.json is there, and whole.")


def _are_of_the_registry(data_dir: Path) -> bool:
    """Tell whether whole secrets are the registry's; True where there is none that can be read."""
    directory = DataDirectory(data_dir)
    try:
        with opening.reading(directory) as reader:
            return reader.takes_pepper(directory.secrets().pepper_check)
    except DataDirectoryError:
        return True


def registry(data_dir: Path) -> Iterator[Finding]:
    """Check that the registry opens, and that SQLite, where it has it, finds no damage."""
    directory = DataDirectory(data_dir)
    if not directory.has_registry:
        if head_note.read(data_dir / HEAD_NOTE) is None:
            yield ok("There is none yet; the first start makes it.")
        else:
            yield fail(f"{HEAD_NOTE} names a registry.db that is gone.", _RESTORE)
        return
    with opening.reading(directory) as reader:
        sequence = reader.head().sequence
    if directory.registry_url is not None:
        yield from _in_database(directory, directory.registry_url, sequence)
        return
    problems = integrity_problems(directory.registry)
    if problems:
        yield fail(f"SQLite finds damage in registry.db: {problems[0]}", _RESTORE)
    else:
        yield ok(f"registry.db is whole, at change {sequence}.")


def _in_database(directory: DataDirectory, url: str, sequence: int) -> Iterator[Finding]:
    yield ok(f"The database of {REGISTRY_URL} has the registry, at change {sequence}.")
    if directory.has_pepper:  # else the user of another machine writes, and clears
        obstacles = opening.postgresql().obstacles_to_erasure(url)
        if obstacles:
            yield warn(
                f"What is withdrawn stays in files of PostgreSQL. {'; '.join(obstacles)}.",
                "docs/erasure.md#in-postgresql has the settings and rights.",
            )
    elif opening.reads_cases(directory):
        yield warn(
            "This machine has the secrets of role match, and its user of the database may read"
            " cases.",
            f"Name the user disrupt_match in {REGISTRY_URL}.",
        )
    for file in sorted(directory.path.glob(f"{REGISTRY}*")):
        yield warn(
            f"{file.name} has the fingerprints of before the registry was moved to a database, also"
            " of what was withdrawn since: nothing erases them there.",
            f"Delete {file}.",
        )


def removals(data_dir: Path) -> Iterator[Finding]:
    """Check the journal of removals, which a restored older registry needs."""
    removed = _removed(data_dir)
    contents = _journal(DataDirectory(data_dir).journal, removed)
    if contents is None:
        if _has_cases(data_dir):
            yield warn(
                f"{JOURNAL} is missing: a backup restored now would bring back what was withdrawn.",
                "Start the server before anything is restored: it writes the journal from the"
                " registry.",
            )
        else:
            yield ok("There is no journal yet; the first start makes it.")
    elif contents.damaged_records or contents.torn:
        count = contents.damaged_records
        damaged = f"{count} records of" if count else "The end of"
        yield warn(
            f"{damaged} {JOURNAL} cannot be read: a restored backup could bring back what was named"
            " there.",
            "Start the server, which mends the journal from the registry; then check the disk.",
        )
    elif lacks := len(missing(contents, removed)):
        yield warn(
            f"{JOURNAL} does not name {lacks} of the items and keys that the registry has"
            " removed: an older journal is in its place. A backup restored now could bring them"
            " back.",
            "Restart the server, which completes the journal from the registry.",
        )
    else:
        yield ok(
            f"{JOURNAL} names {len(contents.removed)} items and {len(contents.revoked)} keys.",
        )


def _journal(path: Path, removed: set[journal.Record]) -> journal.Contents | None:
    """Read the journal; a running writer gets some time to list what the registry has removed."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while True:
        contents = journal.read(path)
        if contents is None or time.monotonic() >= give_up_s:
            return contents
        if not contents.torn and not missing(contents, removed):
            return contents
        time.sleep(_RETRY_S)


def _removed(data_dir: Path) -> set[journal.Record]:
    """Return what the journal has to name; nothing where the registry cannot tell."""
    directory = DataDirectory(data_dir)
    if not directory.has_registry:
        return set()
    # what is wrong with the registry is another check's
    with suppress(DataDirectoryError, UnavailableError), opening.reading(directory) as reader:
        return set(reader.journaled())
    return set()


def index(data_dir: Path) -> Iterator[Finding]:
    """Check that a generation of the index, best the served one, is whole and of this registry."""
    directory = DataDirectory(data_dir)
    if not directory.has_registry:
        if directory.index.exists():
            meaning = "There is an index, and no registry that it was built from."
            yield fail(meaning, _RESTORE)
        else:
            yield ok(_NO_INDEX)
        return
    try:
        with opening.reading(directory) as reader:
            generations.check_history(directory.index, reader)
            yield _newest_sound(directory.index, reader)
    except OtherHistoryError as error:
        advice = (
            "Put the right registry.db back, or restore from a backup: docs/troubleshooting.md."
        )
        yield fail(error.message, advice)


def withdrawn(data_dir: Path) -> Iterator[Finding]:
    """Check that what was withdrawn was erased from the index in time, also where none serves."""
    directory = DataDirectory(data_dir)
    if not directory.has_registry:
        yield ok("There is no registry, and so nothing to erase.")
        return
    with opening.reading(directory) as reader:
        age_s = erasure.oldest_withdrawn_s(reader, directory.index)
    promised_h = f"{erasure.LONGEST_S / _H:.0f} hours"
    if age_s > erasure.LONGEST_S:
        yield fail(
            f"Files of the index hold what was withdrawn, maybe for {age_s / _H:.0f} hours: people"
            f" affected are promised that it is erased within {promised_h}.",
            _ERASE,
        )
    elif age_s:
        yield ok(
            f"What was withdrawn has been in the index for at most {age_s / _H:.1f} hours more, of"
            f" {promised_h}.",
        )
    else:
        yield ok("No file of the index holds anything withdrawn.")


def audit_log(data_dir: Path) -> Iterator[Finding]:
    """Check that the audit log is as its copy, its checkpoints and the record of acts have it."""
    directory = DataDirectory(data_dir)
    if not (directory.has_registry and directory.has_pepper):
        yield ok("There is no registry that is written here, and so no audit log.")
        return
    with opening.reading(directory) as reader:
        doubts = audit.doubts(reader, directory)
    if doubts:
        more = f", and {len(doubts) - _DOUBTS_SHOWN} more" if len(doubts) > _DOUBTS_SHOWN else ""
        yield fail(f"Something was rewritten: {'; '.join(doubts[:_DOUBTS_SHOWN])}{more}.", _AUDIT)
    else:
        yield ok("The audit log is as its copy, its checkpoints and the record of acts have it.")


def _newest_sound(index_dir: Path, reader: RegistryReader) -> Finding:
    if not index_dir.exists():
        return ok(_NO_INDEX)
    opened = generations.open_current(index_dir, reader)
    served = generations.served(index_dir)
    if opened.generation != served:
        return warn(
            f"Generation {served} is damaged. Generation {opened.generation}, which is whole,"
            " serves in its place.",
            "Run `disrupt-index rebuild` and `disrupt-index verify`, then check the disk.",
        )
    return ok(
        f"Generation {opened.generation} is whole: {opened.manifest.hashes} hashes, at change"
        f" {opened.cursor.sequence} of {reader.head().sequence}.",
    )


def _has_cases(data_dir: Path) -> bool:
    """Tell whether anything was ever registered, also in a registry that is gone."""
    directory = DataDirectory(data_dir)
    if not directory.has_registry:
        head = head_note.read(data_dir / HEAD_NOTE)
        return head is not None and head.sequence > 0
    with opening.reading(directory) as reader:
        return reader.head().sequence > 0
