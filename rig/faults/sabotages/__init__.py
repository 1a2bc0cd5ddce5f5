"""Ways to break a server on purpose, to see that a proof or a benchmark notices.

Each is a directory with a ``fault``, which the ``sitecustomize`` beside this imports in the server,
or with a ``sitecustomize`` of its own for decoders and commands too: Python runs the first one in
PYTHONPATH at the start of every process. The server itself has no switch for any of them, and
installations do not contain these files.
"""

from __future__ import annotations

from pathlib import Path


def broken_by(sabotage: str | None) -> tuple[str, ...]:
    """Return a command that gives the processes of a program the fault; empty for None."""
    if sabotage is None:
        return ()
    every = Path(__file__).parent
    place = every / sabotage.replace("-", "_")
    if not place.is_dir():
        raise ValueError(f"there is no sabotage {sabotage!r}")
    return ("env", f"PYTHONPATH={place}:{every}")
