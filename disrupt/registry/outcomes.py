"""The part of the registry's contract for outcomes of matches, and for disputes of them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from disrupt.core.outcomes import (
    Dispute,
    MatchOutcome,
    NarrowingPolicy,
    OutcomeReport,
)

RELEASED_AT_ONCE = 500
"""Most items that one call releases: some tens of milliseconds, in which nobody else writes."""

DISPUTED_MATCHES = 64
"""Most matches of one item that an organisation disputes; a further one takes the place of the
farthest."""


class OutcomeReader(Protocol):
    """Reading outcomes, as ``contract.RegistryReader`` reads."""

    def outcomes(self, number: str, *, before: str) -> Mapping[bytes, Mapping[MatchOutcome, str]]:
        """Return what organisations reported of the items of a case, by item id.

        Of each organisation counts the last outcome of the days before ``before``, which is today
        (ISO date, UTC), if it has a key that is valid today. Each outcome comes with the newest day
        on which it was reported. Items of which nothing was, are left out, as are false positives.
        """

    def disputes(self) -> Sequence[Dispute]:
        """Return all disputes, in no order, but those that staff have widened.

        Those of organisations without a valid key too. Whenever they change for an item that is
        matched, the feed shows it again.
        """


class OutcomeWriter(OutcomeReader, Protocol):
    """Writing outcomes, as ``contract.RegistryWriter`` writes.

    What changes disputes, or which of them count, narrows the versions of items anew in the same
    transaction, by the policy noted last (``core.disputes``). In the feed an item that is matched
    goes, and comes with its new narrowing.
    """

    def report(self, report: OutcomeReport, *, day: str) -> None:
        """Note the outcome of a match, in place of what its organisation reported of it before.

        A false positive is a dispute of the versions that matched; of one organisation and item
        ``DISPUTED_MATCHES`` matches are kept. Versions that staff have widened for the organisation
        at that distance, or nearer, are so at once, whatever it reported between. Of other outcomes
        the latest of an item counts.
        Idempotent on one day. The id of an item that was replaced names what took its place.
        NotFoundError if there is no such item, or it was withdrawn.
        """

    def refresh_narrowings(self, policy: NarrowingPolicy, *, day: str) -> None:
        """Note the policy, and narrow all items by it and by the keys that are valid on a day.

        In several transactions; call it again where it failed. Call it once a day, since keys
        expire.
        """

    def release(self, *, since_s: int, at_s: int) -> Sequence[bytes]:
        """End waits for a review that nobody has made, and return the ids of these items.

        Up to ``RELEASED_AT_ONCE`` of those that are WAITING, but for their turns, since ``since_s``
        (seconds since 1970, UTC) or before. Of an item that waits since its registration the day
        has to have passed. What was registered to wait takes its turn from then on, so that a flood
        does not go live at once; others are LIVE, with an act of the server each.
        """
