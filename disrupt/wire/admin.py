"""Convert the messages of AdminService; keys come without their secrets."""

from __future__ import annotations

from collections.abc import Mapping

from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import ApiKey, Right
from disrupt.wire.fields import invalid


def rights(message: admin_pb2.CreateKeyRequest) -> tuple[Right, ...]:
    """Return the rights that a new key is to have."""
    try:
        return tuple(Right(number) for number in message.rights)
    except ValueError:
        raise invalid("rights", "a right of another version of this program") from None


def create_request(
    name: str, granted: tuple[Right, ...], banks: tuple[str, ...]
) -> admin_pb2.CreateKeyRequest:
    """Make the request for a new key."""
    return admin_pb2.CreateKeyRequest(
        name=name,
        rights=[right.value for right in granted],  # type: ignore[misc]  # same numbers
        banks=banks,
    )


def key(value: ApiKey, bank_names: Mapping[int, str]) -> admin_pb2.Key:
    """Convert a key to a message."""
    return admin_pb2.Key(
        key_id=value.key_id,
        name=value.name,
        rights=[right.value for right in sorted(value.rights)],  # type: ignore[misc]  # same numbers
        banks=[bank_names[bank] for bank in sorted(value.banks)],
        created_on=value.created_on,
        revoked_on=value.revoked_on,
    )
