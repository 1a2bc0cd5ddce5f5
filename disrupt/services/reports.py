"""Report what came of matches."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import structlog

from disrupt import test_bank
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import StateReason
from disrupt.core.outcomes import Outcome, Report
from disrupt.core.waiting import ReportPolicy
from disrupt.registry.contract import RegistryWriter
from disrupt.services.tokens import MatchTokens, not_a_match_id

REPORTS_PER_ITEM = 100
"""Most matches of one item that one organisation has recorded: every lookup gives it a new match
id, and it must not fill the disk. Nobody's policy asks for more than a few."""

_DIGEST_BYTES = 16

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reports:
    """The use case of ReportOutcome. Thread-safe."""

    registry: RegistryWriter
    tokens: MatchTokens
    policy: ReportPolicy = field(default_factory=ReportPolicy)

    def report(
        self, match_id: bytes, outcome: Outcome, *, caller: str, day: str, at_s: int
    ) -> None:
        """Record durably what came of a match that ``caller``, the id of a key, was told of.

        So may any key of its organisation: a key that is rotated leaves its matches to the next.
        ``day`` is today's ISO date (UTC), ``at_s`` the time in seconds since 1970. Idempotent;
        another outcome corrects the one before. The ``policy`` says when the item waits for review.
        A match of the test bank may be reported, and is recorded nowhere.
        Raises InvalidRequestError for what is no match id of the organisation, NotFoundError for a
        match whose item is erased or not there, and LimitExceededError beyond REPORTS_PER_ITEM.
        """
        token = self.tokens.open(match_id)
        keys = self.registry.keys()
        organisations = {key.key_id: key.organisation for key in keys}
        reporter = organisations[caller]
        if organisations.get(token.key_id) != reporter:
            raise not_a_match_id()
        if test_bank.has(token.item_id):
            return
        digest = hashlib.sha256(match_id).digest()[:_DIGEST_BYTES]
        is_far = self.policy.beyond_bits < token.distance_bits <= MAX_DISTANCE_BITS
        waits = self.registry.report(
            Report(token.item_id, reporter, digest, outcome, is_far),
            day=day,
            reports_per_item=REPORTS_PER_ITEM,
            policy=self.policy,
            at_s=at_s,
        )
        if waits:
            reason = StateReason.FALSE_POSITIVES.name.lower()
            _log.warning("item_waits", item_id=token.item_id.hex(), reason=reason)
