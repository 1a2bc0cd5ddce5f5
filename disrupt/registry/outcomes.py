"""The part of the registry's contract for outcomes of matches."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from disrupt.core.outcomes import MatchOutcome, OutcomeReport, QuarantinePolicy

RELEASED_AT_ONCE = 500
"""Most items that one call releases: some tens of milliseconds, in which nobody else writes."""


class OutcomeReader(Protocol):
    """Reading outcomes, as ``contract.RegistryReader`` reads."""

    def outcomes(self, number: str, *, before: str) -> Mapping[bytes, Mapping[MatchOutcome, str]]:
        """Return what organisations reported of the items of a case, by item id.

        Of each organisation counts the last outcome of the days before ``before``, which is today
        (ISO date, UTC), if it has a key that is valid today. Each outcome comes with the newest day
        on which it was reported. Items of which nothing was, are left out.
        """


class OutcomeWriter(OutcomeReader, Protocol):
    """Writing outcomes, as ``contract.RegistryWriter`` writes."""

    def report(
        self, report: OutcomeReport, policy: QuarantinePolicy, *, day: str, at_s: int
    ) -> None:
        """Note an outcome, in place of what its organisation reported of the item before.

        Idempotent on one day. The id of an item that was replaced names what took its place.
        NotFoundError if there is no such item, or it was withdrawn.

        Quarantines the item, in the same transaction and with an act of the server at ``at_s``
        (seconds since 1970, UTC), if it is LIVE, not treated as a minor's, and the reports of
        enough organisations, each with a key that is valid on ``day``, count against it, one of
        which counted for no quarantine of it yet. All of these count for this one, as does what is
        reported before it ends.
        """

    def release(self, *, since_s: int, at_s: int) -> Sequence[bytes]:
        """End waits for a review that nobody has made, and return the ids of these items.

        Up to ``RELEASED_AT_ONCE`` of those that are QUARANTINED, or WAITING but for their turns,
        since ``since_s`` (seconds since 1970, UTC) or before. Of an item that waits since its
        registration the day has to have passed. What was registered to wait takes its turn from
        then on, so that a flood does not go live at once; others are LIVE, with an act of the
        server each.
        """
