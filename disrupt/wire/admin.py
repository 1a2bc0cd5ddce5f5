"""AdminService: keys without their secrets."""

from __future__ import annotations

from collections.abc import Mapping

from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import ApiKey, Right
from disrupt.wire.fields import invalid


def rights(message: admin_pb2.CreateKeyRequest) -> tuple[Right, ...]:
    """What a new key is to allow."""
    try:
        return tuple(Right(one) for one in message.rights)
    except ValueError:
        raise invalid("rights", "a right of another version of this program") from None


def create_request(
    name: str, granted: tuple[Right, ...], banks: tuple[str, ...]
) -> admin_pb2.CreateKeyRequest:
    """As a message."""
    return admin_pb2.CreateKeyRequest(
        name=name,
        rights=[one.value for one in granted],  # type: ignore[misc]  # same numbers
        banks=banks,
    )


def key(value: ApiKey, bank_names: Mapping[int, str]) -> admin_pb2.Key:
    """As a message."""
    return admin_pb2.Key(
        key_id=value.key_id,
        name=value.name,
        rights=[one.value for one in sorted(value.rights)],  # type: ignore[misc]  # same numbers
        banks=[bank_names[one] for one in sorted(value.banks)],
        created_on=value.created_on,
        revoked_on=value.revoked_on,
    )
