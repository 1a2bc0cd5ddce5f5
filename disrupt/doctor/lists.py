"""Check how old partners' lists are, and why they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from disrupt.data_directory import DataDirectory
from disrupt.doctor.findings import Check, Finding, ok, warn
from disrupt.registry import opening

_READ_S = 26 * 3600.0
"""As of the alert DisruptListOld."""
_ADVICE = "Look at `disrupt lists status`, and `systemctl status disrupt-lists`."


def checks(data_dir: Path) -> tuple[Check, ...]:
    """Return the check of this module."""
    return (Check("lists", lambda: read(data_dir), _ADVICE),)


def read(data_dir: Path) -> Iterator[Finding]:
    """Check when each list was read to its end; nothing where there is none."""
    directory = DataDirectory(data_dir)
    if not directory.has_registry or not directory.has_pepper:  # a node reads no lists
        return
    with opening.reading(directory) as reader:
        lists = reader.lists()
    for kept in lists:
        age_s = time.time() - (kept.read_s or kept.added_s)
        if age_s > _READ_S:
            reason = f": {kept.failure}" if kept.failure else ""
            yield warn(f"{kept.name} was not read for {age_s / 3600:.0f} hours{reason}.", _ADVICE)
        else:
            yield ok(
                f"{kept.name} has {kept.entries} entries, and is {age_s / 3600:.1f} hours old."
            )
