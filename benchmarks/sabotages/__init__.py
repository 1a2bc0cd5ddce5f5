"""Ways to break a server on purpose, to see that a benchmark notices.

Each is a directory with a ``sitecustomize``, which Python runs at the start of every process that
has the directory in PYTHONPATH. The server itself has no switch for any of them, and installations
do not contain these files.
"""

from __future__ import annotations

from pathlib import Path


def broken_by(sabotage: str | None) -> tuple[str, ...]:
    """Return a command that gives the processes of a program the fault; empty for None."""
    if sabotage is None:
        return ()
    place = Path(__file__).parent / sabotage.replace("-", "_")
    if not (place / "sitecustomize.py").is_file():
        raise ValueError(f"there is no sabotage {sabotage!r}")
    return ("env", f"PYTHONPATH={place}")
