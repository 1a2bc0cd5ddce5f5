"""The data directory: permissions, secrets, registry, index."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from disrupt import ownership
from disrupt.doctor.findings import Check, Finding, fail, ok, warn
from disrupt.errors import SnapshotRefusedError
from disrupt.index import generations
from disrupt.registry import journal
from disrupt.registry.integrity import SQLITE_VERSION, has_wal_reset_bug, integrity_problems
from disrupt.registry.sql import SqlRegistry

_RESTORE = "Stop the server and restore from a backup: docs/operations.md."
_SECRET = re.compile(r"[0-9a-f]{64}")


def checks(data_dir: Path) -> tuple[Check, ...]:
    """All of them."""
    return (
        Check("permissions", lambda: permissions(data_dir), "Run this as the server's own user."),
        Check("secrets", lambda: secrets(data_dir), _RESTORE),
        Check("registry", lambda: registry(data_dir), _RESTORE),
        Check("removals", lambda: removals(data_dir), _RESTORE),
        Check("index", lambda: index(data_dir), "Run `disrupt-index rebuild`."),
    )


def sqlite() -> Iterator[Finding]:
    """The version of SQLite, against its WAL-reset bug."""
    if has_wal_reset_bug():
        yield warn(
            "sqlite",
            f"SQLite {SQLITE_VERSION} may corrupt a database that several connections write to"
            " (3.7.0 to 3.51.2 do). Disrupt has one writing connection, so it is not concerned.",
            "Never write to registry.db by other means while a server runs; update SQLite with"
            " the system.",
        )
    else:
        yield ok("sqlite", f"SQLite {SQLITE_VERSION}.")


def permissions(data_dir: Path) -> Iterator[Finding]:
    """Only the server's user owns what is inside, and may see it."""
    uid = ownership.owner(data_dir)
    uid = os.geteuid() if uid is None else uid
    foreign = ownership.foreign(data_dir, uid)
    # within a closed directory nobody gets at the rest
    open_to_others = [
        path
        for path in (data_dir, data_dir / "secrets.json")
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    advice = f"chmod -R u+rwX,go= {data_dir}, as the server's own user."
    if foreign:
        path, other = foreign[0]
        yield warn(
            "permissions",
            f"The data directory belongs to {ownership.user(uid)}, and {len(foreign)} files in it"
            f" to others, as {path.relative_to(data_dir)} does to {ownership.user(other)}: the"
            " server may be unable to read them, and to erase what was withdrawn from them.",
            f"chown -R {uid} {data_dir}; run commands with `{ownership.as_user(uid)} …`.",
        )
    if uid != os.geteuid():
        yield warn(
            "permissions",
            f"This runs as {ownership.user(os.geteuid())}, and the data directory belongs to"
            f" {ownership.user(uid)}: the other checks tell what this user may do, not what the"
            " server may.",
            f"{ownership.as_user(uid)} disrupt doctor …",
        )
    if data_dir / "secrets.json" in open_to_others:
        yield fail("permissions", "Other users may read secrets.json.", advice)
    elif open_to_others:
        yield warn("permissions", "Other users may look into the data directory.", advice)
    elif not foreign and uid == os.geteuid():
        yield ok("permissions", "Only this user may look into the data directory.")


def secrets(data_dir: Path) -> Iterator[Finding]:
    """The pepper and the key of the match ids are there, and whole."""
    path = data_dir / "secrets.json"
    if not path.exists():
        if _has_cases(data_dir):
            yield fail(
                "secrets",
                "secrets.json is missing, and there are registrations: without its pepper no PIN"
                " opens its case, and nobody can see or withdraw it.",
                "Restore secrets.json from a backup; the server does not start without it.",
            )
        else:
            yield ok("secrets", "There are none yet; the first start makes them.")
        return
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        whole = all(_SECRET.fullmatch(values[name]) for name in ("pepper", "match_tokens"))
    except (ValueError, KeyError, TypeError):
        whole = False
    if whole:
        yield ok("secrets", "secrets.json is there, and whole.")
    else:
        yield fail("secrets", "secrets.json is damaged.", "Restore secrets.json from a backup.")


def registry(data_dir: Path) -> Iterator[Finding]:
    """The registry opens, and SQLite finds nothing wrong with it."""
    path = data_dir / "registry.db"
    if not path.exists():
        yield ok("registry", "There is none yet; the first start makes it.")
        return
    with SqlRegistry.open_reader(path) as reader:
        head = reader.head()
    problems = integrity_problems(path)
    if problems:
        yield fail("registry", f"SQLite finds damage in registry.db: {problems[0]}", _RESTORE)
    else:
        yield ok("registry", f"registry.db is whole, at change {head.sequence}.")


def removals(data_dir: Path) -> Iterator[Finding]:
    """The journal says of every item withdrawn that it was, should an older registry come back."""
    contents = journal.read(data_dir / journal.NAME)
    if contents is None:
        if _has_cases(data_dir):
            yield warn(
                "removals",
                f"{journal.NAME} is missing: a backup restored now would bring back what was"
                " withdrawn.",
                "Start the server before anything is restored: it writes the journal from the"
                " registry.",
            )
        else:
            yield ok("removals", "There is no journal yet; the first start makes it.")
    elif contents.damaged_records:
        yield warn(
            "removals",
            f"{contents.damaged_records} records of {journal.NAME} are damaged: a restored backup"
            " could bring back what they named.",
            "Start the server, which mends the journal from the registry; then check the disk.",
        )
    else:
        yield ok(
            "removals",
            f"{journal.NAME} names {len(contents.removed)} items and {len(contents.revoked)} keys.",
        )


def index(data_dir: Path) -> Iterator[Finding]:
    """A generation of the index is whole and belongs to this registry; best the served one."""
    index_dir, path = data_dir / "index", data_dir / "registry.db"
    if not path.exists() or not index_dir.exists():
        yield ok("index", "There is none yet; the first start makes it.")
        return
    with SqlRegistry.open_reader(path) as reader:
        generations.check_history(index_dir, reader)
        try:
            opened = generations.open_generation(index_dir, generations.current(index_dir), reader)
        except SnapshotRefusedError as error:
            sound = _sound(index_dir, reader)
            if sound is None:
                raise
            yield warn(
                "index",
                f"{error.message} Generation {sound}, which is whole, serves in its place.",
                "Run `disrupt-index rebuild` and `disrupt-index verify`, then check the disk.",
            )
            return
        head = reader.head()
    yield ok(
        "index",
        f"Generation {opened.generation} is whole: {opened.manifest.hashes} hashes, at change"
        f" {opened.cursor.sequence} of {head.sequence}.",
    )


def _sound(index_dir: Path, reader: SqlRegistry) -> int | None:
    """The newest generation that can be opened."""
    for number in generations.generations(index_dir):
        with suppress(SnapshotRefusedError):
            return generations.open_generation(index_dir, number, reader).generation
    return None


def _has_cases(data_dir: Path) -> bool:
    path = data_dir / "registry.db"
    if not path.exists():
        return False
    with SqlRegistry.open_reader(path) as reader:
        return reader.head().sequence > 0
