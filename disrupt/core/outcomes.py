"""Outcomes of matches, as platforms report them and as the person affected sees them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum


class Outcome(IntEnum):
    """Action of a platform on a match. The numbers are those of proto/ and of stored columns."""

    BLOCKED = 1
    NOT_BLOCKED = 2
    PENDING_REVIEW = 3
    FALSE_POSITIVE = 4


SHOWN = (Outcome.BLOCKED, Outcome.NOT_BLOCKED)
"""Outcomes that the person affected sees, in this order.

A false positive is about a stranger's upload, and a pending review about a platform's staff:
whoever registers pictures to find out about others must learn of neither (docs/outcomes.md).
"""


@dataclass(frozen=True, slots=True)
class Report:
    """Outcome of one match, as one organisation reports it.

    ``reporter`` is the organisation; ``match_digest`` is a digest of the match id.
    ``is_far`` says that the match was too far to be certain (``waiting.ReportPolicy``), and not so
    far that only operators are told of it: only then a false positive counts against the item.
    """

    item_id: bytes
    reporter: str
    match_digest: bytes
    outcome: Outcome
    is_far: bool = False


def shown(outcomes: Collection[Outcome]) -> tuple[Outcome, ...]:
    """Return what the person affected sees of an item's outcomes: each once, in a fixed order."""
    return tuple(outcome for outcome in SHOWN if outcome in outcomes)
