"""Add what workers counted to the tallies, and list them to staff."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, timedelta

from disrupt.core.lookups import Extent
from disrupt.core.policy import ApiKey
from disrupt.core.tallies import DISTANCE_BANDS, Count, Tally, UploadBatch
from disrupt.errors import PermissionDeniedError
from disrupt.registry.registry import RegistryReader, RegistryWriter

LATE_DAYS = 30
"""Days after which an upload is not counted any more: no writer is away for so long."""


def count_uploads(registry: RegistryWriter, batch: UploadBatch, *, day: str) -> None:
    """Add a batch once, on the days when it was counted.

    Left out is what no worker of this deployment counts: of an organisation without a key, of no
    bank, or of other days than the last LATE_DAYS and, as clocks differ, the next.
    """
    keys = registry.keys()
    organisations = {key.organisation for key in keys}
    banks = {bank.name for bank in registry.banks()}
    today = date.fromisoformat(day)
    first, last = (today - timedelta(LATE_DAYS)).isoformat(), (today + timedelta(1)).isoformat()

    def is_known(count: Count) -> bool:
        organisation, *matched = count.labels
        if organisation not in organisations or not first <= count.day <= last:
            return False
        return count.tally != Tally.UPLOADS_MATCHED or (
            matched[0] in banks and matched[1] in DISTANCE_BANDS and matched[2] in set(Extent)
        )

    kept = replace(batch, counts=tuple(filter(is_known, batch.counts)))
    registry.count_uploads(kept, day=day)


def tallies(
    registry: RegistryReader,
    key: ApiKey,
    first_day: str,
    last_day: str,
    names: Collection[Tally],
    *,
    limit: int,
    after: Count | None,
) -> Sequence[Count]:
    """Return a page of the tallies. PermissionDeniedError for a key that does not see all banks."""
    banks = [
        bank.name for bank in registry.banks() if not bank.is_fixed and bank.number not in key.banks
    ]
    if banks:
        raise PermissionDeniedError(
            "Tallies are of all banks together: this key does not name all of them, or its"
            " organisation may not see one. Ask the operator for a key that does.",
            bank=banks[0],
        )
    return registry.tallies(first_day, last_day, names, limit=limit, after=after)
