"""Convert the messages of AdminService: keys without their secrets, and states of items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from disrupt.admin.v1 import admin_pb2
from disrupt.core.media import ITEM_ID_BYTES, ItemState, StateRecord
from disrupt.core.organisations import Kind, Organisation
from disrupt.core.policy import ApiKey, Right
from disrupt.wire.fields import invalid

_ITEMS_AT_ONCE = 1000


def rights(message: admin_pb2.CreateKeyRequest | admin_pb2.SetKeyRequest) -> tuple[Right, ...]:
    """Return the rights that a key is to have."""
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
    name: str,
    granted: tuple[Right, ...],
    banks: tuple[str, ...],
    *,
    organisation: str = "",
    expires_on: str = "",
) -> admin_pb2.CreateKeyRequest:
    """Make the request for a new key."""
    with _text("name, bank, organisation or day"):
        return admin_pb2.CreateKeyRequest(
            name=name,
            rights=[right.value for right in granted],  # type: ignore[misc]  # same numbers
            banks=banks,
            organisation=organisation,
            expires_on=expires_on,
        )


def set_request(
    key_id: str,
    granted: tuple[Right, ...],
    banks: tuple[str, ...],
    expires_on: str | None,
    organisation: str = "",
) -> admin_pb2.SetKeyRequest:
    """Make the request to change a key; what is empty, or None, stays."""
    with _text("key_id, bank, organisation or day"):
        return admin_pb2.SetKeyRequest(
            key_id=key_id,
            rights=[right.value for right in granted],  # type: ignore[misc]  # same numbers
            banks=banks,
            expires_on=expires_on,
            organisation=organisation,
        )


def new_last_day(message: admin_pb2.SetKeyRequest | admin_pb2.RotateKeyRequest) -> str | None:
    """Return the last day that a key is to have, empty for no end, None to keep it."""
    return message.expires_on if message.HasField("expires_on") else None


def rotate_request(
    key_id: str, overlap_days: int, expires_on: str | None
) -> admin_pb2.RotateKeyRequest:
    """Make the request for a key in place of another."""
    with _text("key_id or day"):
        return admin_pb2.RotateKeyRequest(
            key_id=key_id, overlap_days=overlap_days, expires_on=expires_on
        )


def organisations_request() -> admin_pb2.ListOrganisationsRequest:
    """Make the request to list organisations."""
    return admin_pb2.ListOrganisationsRequest()


def organisation_request(
    name: str, rates: Mapping[Kind, float | None], certificate: str | None
) -> admin_pb2.SetOrganisationRequest:
    """Make the request to change an organisation; a rate of None is everybody's from now on."""
    with _text("name or certificate"):
        return admin_pb2.SetOrganisationRequest(
            name=name,
            quotas=_quotas({kind: rate for kind, rate in rates.items() if rate is not None}),
            everybodys=[kind.value for kind, rate in rates.items() if rate is None],
            certificate=certificate,
        )


def new_rates(message: admin_pb2.SetOrganisationRequest) -> dict[Kind, float | None]:
    """Return the quotas that a request replaces, None for everybody's."""
    try:
        everybodys = [Kind(name) for name in message.everybodys]
    except ValueError:
        raise invalid("everybodys", "a quota of another version of this program") from None
    return {**own_rates(message.quotas), **dict.fromkeys(everybodys)}


def own_rates(message: admin_pb2.Quotas) -> dict[Kind, float]:
    """Return the quotas that a message has."""
    return {kind: getattr(message, kind.value) for kind in Kind if message.HasField(kind.value)}


def new_certificate(message: admin_pb2.SetOrganisationRequest) -> str | None:
    """Return the name that certificates are to have, empty for none, None to keep it."""
    return message.certificate if message.HasField("certificate") else None


def organisation(value: Organisation) -> admin_pb2.Organisation:
    """Convert an organisation to a message."""
    return admin_pb2.Organisation(
        name=value.name, quotas=_quotas(value.rates), certificate=value.certificate
    )


def organisations_answer(values: Iterable[Organisation]) -> admin_pb2.ListOrganisationsResponse:
    """Make the answer that lists organisations."""
    return admin_pb2.ListOrganisationsResponse(
        organisations=[organisation(value) for value in values]
    )


def organisation_answer(value: Organisation) -> admin_pb2.SetOrganisationResponse:
    """Make the answer to a change of an organisation."""
    return admin_pb2.SetOrganisationResponse(organisation=organisation(value))


def _quotas(rates: Mapping[Kind, float]) -> admin_pb2.Quotas:
    return admin_pb2.Quotas(**{kind.value: rate for kind, rate in rates.items()})


def note_uses_request(days: Mapping[str, str]) -> admin_pb2.NoteKeyUsesRequest:
    """Make the request to note, by key id, days on which keys were used."""
    return admin_pb2.NoteKeyUsesRequest(
        uses=[admin_pb2.KeyUse(key_id=key_id, used_on=day) for key_id, day in days.items()]
    )


def uses(message: admin_pb2.NoteKeyUsesRequest) -> dict[str, str]:
    """Return by key id the days on which keys were used."""
    return {use.key_id: use.used_on for use in message.uses}


def revoke_request(key_id: str) -> admin_pb2.RevokeKeyRequest:
    """Make the request to revoke a key."""
    with _text("key_id"):
        return admin_pb2.RevokeKeyRequest(key_id=key_id)


def list_request() -> admin_pb2.ListKeysRequest:
    """Make the request to list keys."""
    return admin_pb2.ListKeysRequest()


def states_request(item_ids: Iterable[bytes], state: ItemState) -> admin_pb2.SetItemStatesRequest:
    """Make the request to change the state of items."""
    return admin_pb2.SetItemStatesRequest(
        item_ids=item_ids,
        state=state.value,  # type: ignore[arg-type]  # same numbers
    )


def items_request(item_ids: Iterable[bytes]) -> admin_pb2.GetItemStatesRequest:
    """Make the request for the state of items."""
    return admin_pb2.GetItemStatesRequest(item_ids=item_ids)


def item_state(message: admin_pb2.SetItemStatesRequest) -> ItemState:
    """Return the state that items are to have."""
    try:
        return ItemState(message.state)
    except ValueError:
        raise invalid("state", "not said, or of another version of this program") from None


def item_ids(
    message: admin_pb2.SetItemStatesRequest | admin_pb2.GetItemStatesRequest,
) -> tuple[bytes, ...]:
    """Return the items that a request names."""
    if not 1 <= len(message.item_ids) <= _ITEMS_AT_ONCE:
        raise invalid("item_ids", f"{len(message.item_ids)} is outside 1-{_ITEMS_AT_ONCE}")
    if any(len(item_id) != ITEM_ID_BYTES for item_id in message.item_ids):
        raise invalid("item_ids", f"an id has {ITEM_ID_BYTES} bytes")
    return tuple(message.item_ids)


def checkpoint_request() -> admin_pb2.CheckpointRequest:
    """Make the request to clear the registry's log."""
    return admin_pb2.CheckpointRequest()


def created_answer(
    value: ApiKey, secret: str, bank_names: Mapping[int, str]
) -> admin_pb2.CreateKeyResponse:
    """Make the answer with a new key, which carries its secret."""
    return admin_pb2.CreateKeyResponse(key=key(value, bank_names), secret=secret)


def list_answer(
    values: Iterable[ApiKey], bank_names: Mapping[int, str]
) -> admin_pb2.ListKeysResponse:
    """Make the answer that lists keys."""
    return admin_pb2.ListKeysResponse(keys=[key(value, bank_names) for value in values])


def revoked_answer(value: ApiKey, bank_names: Mapping[int, str]) -> admin_pb2.RevokeKeyResponse:
    """Make the answer to a revocation."""
    return admin_pb2.RevokeKeyResponse(key=key(value, bank_names))


def changed_answer(value: ApiKey, bank_names: Mapping[int, str]) -> admin_pb2.SetKeyResponse:
    """Make the answer to a change of a key."""
    return admin_pb2.SetKeyResponse(key=key(value, bank_names))


def rotated_answer(
    old: ApiKey, new: ApiKey, secret: str, bank_names: Mapping[int, str]
) -> admin_pb2.RotateKeyResponse:
    """Make the answer with a key in place of another; as for a new key, it carries the secret."""
    return admin_pb2.RotateKeyResponse(
        key=key(new, bank_names), secret=secret, replaced=key(old, bank_names)
    )


def noted_answer() -> admin_pb2.NoteKeyUsesResponse:
    """Make the answer that days of use are noted."""
    return admin_pb2.NoteKeyUsesResponse()


def checkpoint_answer(*, done: bool) -> admin_pb2.CheckpointResponse:
    """Make the answer to a checkpoint."""
    return admin_pb2.CheckpointResponse(done=done)


def key(value: ApiKey, bank_names: Mapping[int, str]) -> admin_pb2.Key:
    """Convert a key to a message, without banks that do not exist any more."""
    return admin_pb2.Key(
        key_id=value.key_id,
        name=value.name,
        rights=[right.value for right in sorted(value.rights)],  # type: ignore[misc]  # same numbers
        banks=[bank_names[bank] for bank in sorted(value.banks & bank_names.keys())],
        created_on=value.created_on,
        revoked_on=value.revoked_on,
        organisation=value.organisation,
        expires_on=value.expires_on,
        used_on=value.used_on,
    )


def states_answer(
    values: Iterable[StateRecord], bank_names: Mapping[int, str]
) -> admin_pb2.SetItemStatesResponse:
    """Make the answer to a change of states."""
    return admin_pb2.SetItemStatesResponse(items=[item(value, bank_names) for value in values])


def items_answer(
    values: Iterable[StateRecord], bank_names: Mapping[int, str]
) -> admin_pb2.GetItemStatesResponse:
    """Make the answer that shows the state of items."""
    return admin_pb2.GetItemStatesResponse(items=[item(value, bank_names) for value in values])


def item(value: StateRecord, bank_names: Mapping[int, str]) -> admin_pb2.Item:
    """Convert the state of an item to a message."""
    return admin_pb2.Item(
        item_id=value.item_id,
        bank=bank_names[value.bank],
        state=value.state.value,  # type: ignore[arg-type]  # same numbers
        changed_on=value.changed_on,
    )
