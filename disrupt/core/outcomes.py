"""Outcomes of matches as platforms report them; a false positive is a dispute of what matched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


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


class MatchedVersion(NamedTuple):
    """A version of an item (``core.transforms``) that matched, and how far from the upload."""

    plan: int
    ordinal: int
    distance_bits: int


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """The outcome of one match, as an organisation reports it.

    ``match`` is the nonce of the match id, which tells matches of an item apart; ``versions`` are
    those that the id names, nearest first, each (plan, ordinal) once. ``matched_on`` is the day of
    the match (ISO, UTC), empty where that is not known.
    """

    item_id: bytes
    organisation: str
    outcome: MatchOutcome
    match: bytes
    versions: tuple[MatchedVersion, ...]
    matched_on: str = ""


class Settlement(IntEnum):
    """Decision of staff on disputes; the numbers are those of proto/ and of stored columns."""

    WIDENED = 1
    """They count no more, nor does what the organisation reports of the same version as far off."""
    UPHELD = 2
    """They count, and are not bound by the share of versions that may fall silent."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """One version of a match that an organisation reported as a false positive.

    ``day`` is that of the report (ISO, UTC); ``settlement`` is None until staff have decided.
    """

    item_id: bytes
    organisation: str
    match: bytes
    version: MatchedVersion
    day: str
    settlement: Settlement | None = None


@dataclass(frozen=True, slots=True)
class NarrowingPolicy:
    """When disputes narrow a version of an item, and how far (docs/outcomes.md).

    A version that ``organisations`` dispute is answered only nearer than all of them dispute it.
    Up to ``floor_bits`` it is the same picture: versions that show the whole go on matching there,
    of the others all but ``silent_permille`` of an item's, in thousandths, until staff decide.
    """

    organisations: int = 2
    floor_bits: int = 16
    silent_permille: int = 100


@dataclass(frozen=True, slots=True)
class DisputeSummary:
    """Summary of an item's disputes, of organisations with a valid key.

    ``organisations`` counts those with a dispute that staff have not widened, ``narrowed`` the
    versions that are answered at some distances only, ``silent`` those of them that are not
    answered at the floor. ``needs_staff`` says why staff have to decide: within_floor, minor,
    near_tenth; empty where they need not.
    """

    organisations: int
    narrowed: int
    silent: int
    needs_staff: frozenset[str]
