"""Outcomes of matches, as platforms report them, and when they quarantine an item."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from disrupt.core.hashes import MAX_DISTANCE_BITS


class MatchOutcome(IntEnum):
    """Decision of a platform on a match; the numbers are those of proto/ and of stored columns."""

    BLOCKED = 1
    """The upload was stopped or taken down."""
    NOT_BLOCKED = 2
    """It was the registered picture, and stays up."""
    PENDING_REVIEW = 3
    """People are looking at it."""
    FALSE_POSITIVE = 4
    """It was another picture."""


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """The outcome of one match, of so many bits, as an organisation reports it."""

    item_id: bytes
    organisation: str
    outcome: MatchOutcome
    distance_bits: int


@dataclass(frozen=True, slots=True)
class QuarantinePolicy:
    """When reports quarantine an item: false positives of so many organisations (docs/outcomes.md).

    Only matches of more than ``beyond_bits`` count: nearer ones are of the same picture. Those
    beyond what banks allow do not either, since only operators ask for them.
    """

    organisations: int = 2
    beyond_bits: int = 12

    def counts(self, outcome: int, distance_bits: int) -> bool:
        """Tell whether an organisation's report counts against the item."""
        is_far = self.beyond_bits < distance_bits <= MAX_DISTANCE_BITS
        return outcome == MatchOutcome.FALSE_POSITIVE and is_far
