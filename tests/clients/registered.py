"""A server with a picture, for clients in other languages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Registered:
    """A picture that a server's bank ``adults`` has, and a platform's key."""

    server: str
    key: str
    file: Path
