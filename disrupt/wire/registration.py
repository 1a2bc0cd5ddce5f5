"""Convert the messages of RegistrationService."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from disrupt.audit.entries import LeafId
from disrupt.audit.receipts import WithdrawalReceipt
from disrupt.core.cases import AgeBand, new_case_number, parse_case_number, parse_pin
from disrupt.core.media import ITEM_ID_BYTES, MediaKind
from disrupt.core.partners import Partner
from disrupt.core.registrations import (
    ORIGIN_TOKEN_BYTES_MAX,
    PROOF_BYTES_MAX,
    REQUEST_ID_BYTES,
    WIDER_ORIGINS_MAX,
    CaseAccess,
    MediaItem,
    Receipt,
    RegistrationRequest,
    ShownCase,
    WithdrawnItem,
)
from disrupt.core.tallies import OTHER, Door
from disrupt.core.transforms import PLANS
from disrupt.errors import InvalidRequestError, Violation
from disrupt.texts import LANGUAGES
from disrupt.v1 import registration_pb2, types_pb2
from disrupt.wire.fields import fingerprints, fingerprints_message, invalid, low_quality_message


def access(
    message: registration_pb2.CaseAccess, *, path: str = "access", new_case: bool = False
) -> CaseAccess:
    """Return case number (may be empty where ``new_case``), PIN and origin token."""
    number = ""
    if message.case_number or not new_case:
        number = _under(path, parse_case_number, message.case_number)
    pin = _under(path, parse_pin, message.pin)
    return CaseAccess(number, pin, *origins(message, path=f"{path}."))


def origins(
    message: registration_pb2.CaseAccess | registration_pb2.GetChallengeRequest, *, path: str = ""
) -> tuple[bytes, tuple[bytes, ...]]:
    """Return the token of an origin, and those of the wider networks; all empty for none."""
    origin, wider = message.origin_token, tuple(message.wider_origin_tokens)
    if len(origin) > ORIGIN_TOKEN_BYTES_MAX:
        raise invalid(f"{path}origin_token", f"at most {ORIGIN_TOKEN_BYTES_MAX} bytes")
    field = f"{path}wider_origin_tokens"
    if len(wider) > WIDER_ORIGINS_MAX or (wider and not origin):
        raise invalid(field, f"at most {WIDER_ORIGINS_MAX}, and only with origin_token")
    for at, token in enumerate(wider):
        if not 0 < len(token) <= ORIGIN_TOKEN_BYTES_MAX:
            raise invalid(f"{field}[{at}]", f"1 to {ORIGIN_TOKEN_BYTES_MAX} bytes")
    return origin, wider


def context(message: registration_pb2.RegistrationContext) -> RegistrationRequest:
    """Return a registration without its items."""
    if len(message.request_id) != REQUEST_ID_BYTES:
        raise invalid(
            "context.request_id",
            f"{len(message.request_id)} bytes; draw {REQUEST_ID_BYTES} random ones",
        )
    try:
        age_band = AgeBand(message.age_band)
    except ValueError:
        age_band = AgeBand.MINOR  # enumerations grow; what is not known is treated as a minor
    opened = access(message.access, path="context.access", new_case=True)
    _check_new_case_number(message)
    proof = message.proof_of_work
    if len(proof) > PROOF_BYTES_MAX:
        raise invalid("context.proof_of_work", f"at most {PROOF_BYTES_MAX} bytes")
    try:
        door = Door(message.door)
    except ValueError:
        door = Door.OTHER
    language = message.language if message.language in LANGUAGES else OTHER
    return RegistrationRequest(message.request_id, opened, age_band, (), proof, door, language)


def _check_new_case_number(message: registration_pb2.RegistrationContext) -> None:
    number, path = message.new_case_number, "context.new_case_number"
    if number and message.access.case_number:
        raise invalid(path, "leave it empty to add to an existing case")
    if number and number != new_case_number(message.request_id):
        raise invalid(path, "not the number that follows from request_id; derive it again")


def registration(message: registration_pb2.RegisterHashesRequest) -> RegistrationRequest:
    """Return a registration of 1 or more items of 1 or more hashes; the use case bounds them."""
    asked = context(message.context)
    if not message.items:
        raise invalid("items", "no items; send at least one")
    items = []
    for at, item in enumerate(message.items):
        try:
            kind = MediaKind(item.kind)
        except ValueError:
            raise invalid(f"items[{at}].kind", "say IMAGE or VIDEO") from None
        path = f"items[{at}].fingerprints"
        items.append(MediaItem(kind, media_fingerprints(item.fingerprints, kind, path=path)))
    return replace(asked, items=tuple(items))


def media_fingerprints(
    message: types_pb2.Fingerprints, kind: MediaKind, *, path: str
) -> NDArray[np.void]:
    """Return the fingerprints of one item to store, dtype FINGERPRINT, shape (n,), n ≥ 1.

    ``path`` is the field of the request that holds the message, for violations.
    """
    if message.below_bits:
        raise invalid(f"{path}.below_bits", "leave it empty: what is registered is not disputed")
    columns = fingerprints(message, kind, path=path)
    _check_plans(columns["plan"], f"{path}.plans")
    return columns


def _check_plans(plans: NDArray[np.uint16], path: str) -> None:
    """Raise InvalidRequestError for the first plan that this version does not know.

    A stored item outranks what is brought of lower plans, so that a plan that does not exist would
    keep the right hashes out of its case for good.
    """
    unknown = ~np.isin(plans, list(PLANS))
    if unknown.any():
        at = int(unknown.argmax())
        raise invalid(
            f"{path}[{at}]",
            f"this server knows no variant plan {plans[at]}, only 0-{max(PLANS)};"
            " nothing was registered",
        )


def registration_message(
    context: registration_pb2.RegistrationContext, item: MediaItem
) -> registration_pb2.RegisterHashesRequest:
    """Make the request that registers one item hashed in this server, for staff."""
    request = registration_pb2.RegisterHashesRequest(context=context)
    request.context.door = registration_pb2.DOOR_STAFF
    request.items.add(
        kind=item.kind.value,
        fingerprints=fingerprints_message(item.fingerprints, item.kind),
    )
    return request


def named_items(
    message: registration_pb2.WithdrawItemsRequest,
) -> tuple[tuple[bytes, ...], tuple[int, ...]]:
    """Return ids, and numbers in the case, of the items to withdraw: at least one."""
    if not (message.item_ids or message.item_numbers):
        raise invalid("item_ids", "no items; name at least one, or withdraw the case")
    if 0 in message.item_numbers:
        raise invalid("item_numbers", "items of a case are numbered from 1")
    for at, item_id in enumerate(message.item_ids):
        if len(item_id) != ITEM_ID_BYTES:
            raise invalid(
                f"item_ids[{at}]", f"{len(item_id)} bytes; an item id has {ITEM_ID_BYTES}"
            )
    return tuple(message.item_ids), tuple(message.item_numbers)


def receipt(value: Receipt, cursor: str) -> registration_pb2.Receipt:
    """Convert a receipt to a message; ``cursor`` is sealed, or empty where nothing was stored."""
    message = registration_pb2.Receipt(
        case_number=value.case_number,
        status=value.status.value if value.status else 0,  # type: ignore[arg-type]  # same numbers
        cursor=cursor,
    )
    for item in value.items:
        message.items.add(
            index=item.index,
            item_id=item.item_id,
            hashes=item.hashes,
            outcome=item.outcome.value,
            number=item.number,
            state=item.state.value,
            wait_reason=item.wait_reason or 0,
        )
    for rejection in value.rejected:
        message.rejected.add(
            index=rejection.index, low_quality=low_quality_message(rejection.low_quality)
        )
    return message


def registered_answer(value: Receipt, cursor: str) -> registration_pb2.RegisterHashesResponse:
    """Make the answer to a registration; see ``receipt``."""
    return registration_pb2.RegisterHashesResponse(receipt=receipt(value, cursor))


def image_answer(receipt: registration_pb2.Receipt) -> registration_pb2.RegisterImageResponse:
    """Make the answer to the registration of one picture."""
    return registration_pb2.RegisterImageResponse(receipt=receipt)


def video_answer(
    receipt: registration_pb2.Receipt,
    *,
    frames_hashed: int = 0,
    frames_low_quality: int = 0,
    incomplete: bool = False,
) -> registration_pb2.RegisterVideoResponse:
    """Make the answer to the registration of one video."""
    return registration_pb2.RegisterVideoResponse(
        receipt=receipt,
        frames_hashed=frames_hashed,
        frames_low_quality=frames_low_quality,
        incomplete=incomplete,
    )


def case_request(access: registration_pb2.CaseAccess) -> registration_pb2.GetCaseRequest:
    """Make the request that asks for a case."""
    return registration_pb2.GetCaseRequest(access=access)


def case_answer(value: ShownCase) -> registration_pb2.GetCaseResponse:
    """Make the answer that shows a case."""
    return registration_pb2.GetCaseResponse(case=case(value))


def challenged(
    message: registration_pb2.GetChallengeRequest,
) -> tuple[bytes, tuple[bytes, ...], int]:
    """Return the tokens of an origin and of wider networks, and for how many pictures it asks."""
    return *origins(message), message.pictures or 1


def challenge_answer(challenge: str) -> registration_pb2.GetChallengeResponse:
    """Make the answer that has a challenge, or an empty one."""
    return registration_pb2.GetChallengeResponse(challenge=challenge)


def partners_answer(partners: Iterable[Partner], day: str) -> registration_pb2.ListPartnersResponse:
    """Make the answer that names partner platforms, as of a day."""
    messages = (
        registration_pb2.Partner(name=partner.name, report_url=partner.report_url)
        for partner in partners
    )
    return registration_pb2.ListPartnersResponse(partners=messages, day=day)


def kept_answer(value: ShownCase) -> registration_pb2.KeepCaseResponse:
    """Make the answer that a case is kept."""
    return registration_pb2.KeepCaseResponse(case=case(value))


def receipt_id(message: registration_pb2.GetReceiptRequest) -> LeafId:
    """Return the leaf that the code of a receipt names. InvalidRequestError."""
    try:
        return LeafId.parse(message.code)
    except ValueError as error:
        raise InvalidRequestError.of(Violation("code", str(error))) from error


def receipt_answer(receipt: WithdrawalReceipt) -> registration_pb2.GetReceiptResponse:
    """Make the answer that shows a receipt."""
    message = registration_pb2.GetReceiptResponse(document=receipt.to_json())
    if cleared := receipt.told:
        message.erased_on = cleared.day
        message.mirrors, message.silent = cleared.mirrors, cleared.silent
    return message


def items_withdrawn_answer(
    value: ShownCase, withdrawn: Iterable[WithdrawnItem], cursor: str, receipt: LeafId | None
) -> registration_pb2.WithdrawItemsResponse:
    """Make the answer to a withdrawal of items; ``cursor`` is sealed."""
    return registration_pb2.WithdrawItemsResponse(
        case=case(value),
        cursor=cursor,
        withdrawn=map(_withdrawn_item, withdrawn),
        receipt_code=str(receipt or ""),
    )


def case_withdrawn_answer(
    value: ShownCase, withdrawn: Iterable[WithdrawnItem], cursor: str, receipt: LeafId | None
) -> registration_pb2.WithdrawCaseResponse:
    """Make the answer to a withdrawal of a case; ``cursor`` is sealed."""
    return registration_pb2.WithdrawCaseResponse(
        case=case(value),
        cursor=cursor,
        withdrawn=map(_withdrawn_item, withdrawn),
        receipt_code=str(receipt or ""),
    )


def _withdrawn_item(value: WithdrawnItem) -> registration_pb2.WithdrawnItem:
    return registration_pb2.WithdrawnItem(
        item_id=value.item_id, number=value.number, replaced_ids=value.replaced_ids
    )


def case(value: ShownCase) -> registration_pb2.Case:
    """Convert a case to a message."""
    message = registration_pb2.Case(
        case_number=value.number,
        status=value.status.value,  # type: ignore[arg-type]  # same numbers
        opened_on=value.opened_on,
        closed_on=value.closed_on,
        withdrawn_numbers=value.withdrawn_numbers,
        erased_on=value.erased_on,
    )
    for item in value.items:
        message.items.add(
            item_id=item.item_id,
            kind=item.kind.value,
            hashes=item.hashes,
            age_band=item.age_band.value,
            number=item.number,
            registered_on=item.registered_on,
            identity=item.identity,
            blocked_on=item.blocked_on,
            left_up_on=item.left_up_on,
            state=item.state.value,
            wait_reason=item.wait_reason or 0,
        )
    return message


def _under(path: str, parse: Callable[[str], str], text: str) -> str:
    """Parse a field of the message at ``path``; its violations name that path."""
    try:
        return parse(text)
    except InvalidRequestError as error:
        raise InvalidRequestError.of(
            *(
                replace(violation, field=f"{path}.{violation.field}")
                for violation in error.violations
            )
        ) from None
