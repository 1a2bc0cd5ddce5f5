"""The part of the registry's contract for outcomes of matches."""

from collections.abc import Mapping
from typing import Protocol

from disrupt.core.outcomes import MatchOutcome, OutcomeReport


class OutcomeReader(Protocol):
    """Reading outcomes, as ``contract.RegistryReader`` reads."""

    def outcomes(self, number: str, *, before: str) -> Mapping[bytes, Mapping[MatchOutcome, str]]:
        """Return what organisations reported of the items of a case, by item id.

        Of each organisation counts the last outcome of the days before ``before``, which is today
        (ISO date, UTC). Each outcome comes with the newest day on which it was reported. Items of
        which nothing was, are left out.
        """


class OutcomeWriter(OutcomeReader, Protocol):
    """Writing outcomes, as ``contract.RegistryWriter`` writes."""

    def report(self, report: OutcomeReport, *, day: str) -> None:
        """Note an outcome, in place of what its organisation reported of the item before.

        Idempotent on one day. The id of an item that was replaced names what took its place.
        NotFoundError if there is no such item, or it was withdrawn.
        """
