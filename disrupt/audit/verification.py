"""Compare an audit log with checkpoints that somebody kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from disrupt.audit.entries import RESTORED, Leaf
from disrupt.audit.notes import Checkpoint
from disrupt.audit.tree import Frontier


class Fault(StrEnum):
    """What is wrong with a log."""

    EDITED = "edited"
    """An entry is not that of its leaf."""
    MISSING = "missing"
    """A leaf of a number is not there."""
    REORDERED = "reordered"
    """A leaf comes after one of a larger number, or twice."""
    TRUNCATED = "truncated"
    """The log is shorter than it was at a checkpoint."""
    REWRITTEN = "rewritten"
    """Leaves are not those of a checkpoint."""
    FORKED = "forked"
    """The same, and the log says that a restore began it anew there."""
    CONTRADICTORY = "contradictory"
    """Two checkpoints of one size differ: the log was shown in two forms."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault; of leaves from ``first`` on, before ``last``."""

    fault: Fault
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that was read: its size, its root, and what is wrong with it.

    ``erased`` counts leaves whose entry was erased: they prove nothing but that they were there.
    """

    size: int
    root: bytes
    erased: int
    findings: tuple[Finding, ...]


def verify(leaves: Iterable[Leaf], checkpoints: Sequence[Checkpoint]) -> Verified:
    """Compare a log with checkpoints of it, in whatever order they are."""
    reading = _Reading(checkpoints)
    for leaf in leaves:
        reading.take(leaf)
    return reading.end()


class _Reading:
    """A log that is read leaf by leaf."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self._roots = dict[int, set[bytes]]()
        for checkpoint in checkpoints:
            self._roots.setdefault(checkpoint.size, set()).add(checkpoint.root)
        self._findings = [
            Finding(Fault.CONTRADICTORY, 0, size)
            for size, roots in sorted(self._roots.items())
            if len(roots) > 1
        ]
        self._frontier = Frontier()
        self._next = 0
        self._erased = 0
        self._fitting = 0
        """Size of the largest checkpoint that the log has fitted."""
        self._restored = -1
        """Number of the newest leaf that tells of a restore."""
        self._compare()

    def take(self, leaf: Leaf) -> None:
        """Add the leaf that comes next."""
        if leaf.number < self._next:
            self._findings.append(Finding(Fault.REORDERED, leaf.number, leaf.number + 1))
            return
        if leaf.number > self._next:
            self._findings.append(Finding(Fault.MISSING, self._next, leaf.number))
        self._next = leaf.number + 1
        self._erased += leaf.entry is None
        if not leaf.fits:
            self._findings.append(Finding(Fault.EDITED, leaf.number, leaf.number + 1))
        elif leaf.content.get("kind") == RESTORED:
            self._restored = leaf.number
        self._frontier.add(leaf.leaf)
        self._compare()

    def end(self) -> Verified:
        """Return what came of it."""
        size = self._frontier.size
        longest = max(self._roots, default=0)
        if longest > size:
            self._findings.append(Finding(self._or_forked(Fault.TRUNCATED), size, longest))
        return Verified(size, self._frontier.root(), self._erased, tuple(self._findings))

    def _compare(self) -> None:
        size = self._frontier.size
        roots = self._roots.get(size, ())
        if self._frontier.root() in roots:
            self._fitting = size
        elif roots:
            self._findings.append(Finding(self._or_forked(Fault.REWRITTEN), self._fitting, size))

    def _or_forked(self, fault: Fault) -> Fault:
        return Fault.FORKED if self._restored >= self._fitting else fault
