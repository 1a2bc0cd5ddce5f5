"""Proofs of work, by which what waits has its turn before others of its network."""

from __future__ import annotations

from typing import Protocol


class ProofsOfWork(Protocol):
    """Make challenges, and check their solutions. ``origin`` is the token of a caller's network.

    ``at_s`` is the time, in seconds since 1970 (UTC).
    """

    def challenge(self, caller: str, origin: bytes, items: int, *, at_s: float) -> str:
        """Return a challenge for a device of this origin; its work grows with the items."""

    def accept(self, solution: str, caller: str, origin: bytes, *, at_s: float) -> int:
        """Return how many items a solution pays for.

        0 unless it is right, of this origin, in time, and not used before.
        """


class NoProofs:
    """Ask for no proof, and accept none."""

    def challenge(self, caller: str, origin: bytes, items: int, *, at_s: float) -> str:  # noqa: ARG002
        """Return no challenge."""
        return ""

    def accept(self, solution: str, caller: str, origin: bytes, *, at_s: float) -> int:  # noqa: ARG002
        """Accept none."""
        return 0
