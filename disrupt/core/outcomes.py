"""Outcomes of matches, as platforms report them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class MatchOutcome(IntEnum):
    """What a platform did with a match; the numbers are those of proto/ and of stored columns."""

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
