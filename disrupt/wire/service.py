"""Make the answer of ShowService: what operators have set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from disrupt.core.policy import ApiKey, Bank, LookupQuota
from disrupt.v1 import review_pb2


def answer(
    own: review_pb2.ServiceKey,
    banks: Iterable[Bank],
    keys: Iterable[ApiKey],
    quotas: Iterable[LookupQuota],
    *,
    oldest_withdrawn_s: float,
    erase_within_s: float,
) -> review_pb2.ShowServiceResponse:
    """Make the answer for a key that sees all banks."""
    banks = list(banks)
    names = {bank.number: bank.name for bank in banks}
    return review_pb2.ShowServiceResponse(
        own_key=own,
        banks=[
            review_pb2.ServiceBank(
                name=bank.name,
                max_distance_bits=bank.max_distance_bits,
                goes_live=bank.goes_live,
                organisations=sorted(bank.organisations),
            )
            for bank in banks
        ],
        keys=[service_key(key, names) for key in keys],
        quotas=[review_pb2.ServiceQuota(**asdict(quota)) for quota in quotas],
        oldest_withdrawn_s=int(oldest_withdrawn_s),
        erase_within_s=int(erase_within_s),
    )


def answer_of_own_key(own: review_pb2.ServiceKey) -> review_pb2.ShowServiceResponse:
    """Make the answer for a key that does not see all banks."""
    return review_pb2.ShowServiceResponse(own_key=own)


def service_key(key: ApiKey, bank_names: Mapping[int, str]) -> review_pb2.ServiceKey:
    """Convert a key to a message, without its secret."""
    return review_pb2.ServiceKey(
        key_id=key.key_id,
        name=key.name,
        organisation=key.organisation,
        rights=[right.name.lower() for right in sorted(key.rights)],
        banks=[bank_names[bank] for bank in sorted(key.banks) if bank in bank_names],
        last_used_on=key.last_used_on,
        expires_on=key.expires_on,
        revoked_on=key.revoked_on,
    )
