"""Who owns a data directory: its server can neither read nor erase what others write there."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from disrupt.errors import DataDirectoryError

_ROOT = 0


def user(uid: int) -> str:
    """Return name and number of a user; the number alone where this machine has no name for it."""
    name = _name(uid)
    return f"{name} (uid {uid})" if name else f"uid {uid}"


def owner(data_dir: Path) -> int | None:
    """Return the user that a data directory belongs to; None where it is missing or undecided.

    A directory of root's may be a volume that others may write to, by their group: it belongs to
    whoever made the lock file.
    """
    try:
        uid = data_dir.stat().st_uid
    except OSError:  # It is missing, or its user reports the error.
        return None
    if uid != _ROOT:
        return uid
    try:
        return (data_dir / "lock").stat().st_uid
    except FileNotFoundError:
        return None


def check(data_dir: Path) -> None:
    """Raise DataDirectoryError, before anything is written, where this user is not the owner."""
    uid = owner(data_dir)
    if uid is None or uid == os.geteuid():
        return
    raise DataDirectoryError(
        f"The data directory {data_dir} belongs to {user(uid)}, and this runs as"
        f" {user(os.geteuid())}: what it wrote there, the server could neither read nor erase."
        f" Nothing was written. Run it as the owner, with `{as_user(uid)} …`."
    )


def as_user(uid: int) -> str:
    """Return how a shell runs a command as a user."""
    return "sudo -u " + (_name(uid) or f"'#{uid}'")


def denied(error: PermissionError) -> str:
    """Return a sentence that says who owns the file that this user may not use."""
    path = Path(error.filename)
    try:
        whose = user(path.lstat().st_uid)
    except OSError:
        whose = "another user"
    return f"{user(os.geteuid())} may not use {path}, which belongs to {whose}."


def foreign(data_dir: Path, uid: int) -> list[tuple[Path, int]]:
    """List, by path, the entries of a data directory that users other than ``uid`` own."""
    entries = []
    for path in sorted(data_dir.rglob("*")):
        try:
            status = path.lstat()
        except OSError:  # the server removed it meanwhile
            continue
        if status.st_uid != uid and path.name != "lost+found":
            entries.append((path, status.st_uid))
    return entries


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
