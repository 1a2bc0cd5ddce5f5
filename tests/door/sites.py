"""What the tests of the door share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rig.servers.door import Door


@dataclass(frozen=True)
class Site:
    """A platform's door, a picture of the bank ``adults``, and one of the bank ``minors``."""

    door: Door
    address: str
    key: str
    registered: Path
    item_id: str
    of_a_minor: Path
    other: Path
