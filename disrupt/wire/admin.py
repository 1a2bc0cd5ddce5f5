"""Convert the messages of AdminService; keys come without their secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from disrupt.admin.v1 import admin_pb2
from disrupt.core.policy import ApiKey, Right
from disrupt.wire.fields import invalid


def rights(message: admin_pb2.CreateKeyRequest) -> tuple[Right, ...]:
    """Return the rights that a new key is to have."""
    try:
        return tuple(Right(number) for number in message.rights)
    except ValueError:
        raise invalid("rights", "a right of another version of this program") from None


@contextmanager
def _text(field: str) -> Iterator[None]:
    """Raise InvalidRequestError where a word of a command line is no text, which messages take."""
    try:
        yield
    except UnicodeEncodeError:
        raise invalid(field, "not UTF-8") from None


def create_request(
    name: str, granted: tuple[Right, ...], banks: tuple[str, ...]
) -> admin_pb2.CreateKeyRequest:
    """Make the request for a new key."""
    with _text("name or bank"):
        return admin_pb2.CreateKeyRequest(
            name=name,
            rights=[right.value for right in granted],  # type: ignore[misc]  # same numbers
            banks=banks,
        )


def revoke_request(key_id: str) -> admin_pb2.RevokeKeyRequest:
    """Make the request to revoke a key."""
    with _text("key_id"):
        return admin_pb2.RevokeKeyRequest(key_id=key_id)


def list_request() -> admin_pb2.ListKeysRequest:
    """Make the request to list keys."""
    return admin_pb2.ListKeysRequest()


def checkpoint_request() -> admin_pb2.CheckpointRequest:
    """Make the request to clear the registry's log."""
    return admin_pb2.CheckpointRequest()


def created_answer(
    value: ApiKey, secret: str, bank_names: Mapping[int, str]
) -> admin_pb2.CreateKeyResponse:
    """Make the answer with a new key; only this message carries its secret."""
    return admin_pb2.CreateKeyResponse(key=key(value, bank_names), secret=secret)


def list_answer(
    values: Iterable[ApiKey], bank_names: Mapping[int, str]
) -> admin_pb2.ListKeysResponse:
    """Make the answer that lists keys."""
    return admin_pb2.ListKeysResponse(keys=[key(value, bank_names) for value in values])


def revoked_answer(value: ApiKey, bank_names: Mapping[int, str]) -> admin_pb2.RevokeKeyResponse:
    """Make the answer to a revocation."""
    return admin_pb2.RevokeKeyResponse(key=key(value, bank_names))


def checkpoint_answer(*, done: bool) -> admin_pb2.CheckpointResponse:
    """Make the answer to a checkpoint."""
    return admin_pb2.CheckpointResponse(done=done)


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
