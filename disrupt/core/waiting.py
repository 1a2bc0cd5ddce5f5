"""When an item waits for review although nobody on the hotline's staff has looked at it."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.core.cases import AgeBand
from disrupt.core.media import MediaKind, StateReason
from disrupt.core.policy import age_of

AT_THE_DOOR = (StateReason.HARMLESS, StateReason.FLOOD)
"""Reasons to wait from the registration on that end by themselves; a bank's own rule does not."""

BY_CALLERS = (StateReason.FALSE_POSITIVES, StateReason.MANY_LOOKUPS)
"""Reasons to wait that follow from what callers report and look up."""


@dataclass(frozen=True, slots=True)
class ReportPolicy:
    """When reports of false positives make an item wait (docs/policy.md).

    Only matches of more than ``beyond_bits`` count, to what a bank allows at most, and
    ``organisations`` have to report some.
    """

    organisations: int = 2
    beyond_bits: int = 12


@dataclass(frozen=True, slots=True)
class LookupPolicy:
    """When lookups make an item wait: how many of each of how many organisations (docs/policy.md).

    The lookups of an organisation are of one day, and farther from each other than 62 bits.
    """

    per_picture: int = 320
    per_video: int = 2048
    organisations: int = 3

    def limit(self, kind: int) -> int:
        """Return how many lookups of an organisation are counted for an item of a kind."""
        return self.per_video if kind == MediaKind.VIDEO else self.per_picture


def may_be_hidden(bank: int) -> bool:
    """Tell whether what callers look up and report may make items of a bank wait.

    Never those of the minors' bank: a picture of a child that is not found does more harm than one
    that is found wrongly, and only staff weigh the two.
    """
    return age_of(bank) == AgeBand.ADULT
