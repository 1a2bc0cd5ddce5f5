"""Make requests of RegistrationService. They carry hashes, never a picture."""

from __future__ import annotations

from collections.abc import Sequence

from disrupt.core.cases import AgeBand, new_case_number, parse_case_number, parse_pin
from disrupt.core.media import ITEM_ID_BYTES
from disrupt.core.registrations import MediaItem
from disrupt.errors import InvalidRequestError, Violation
from disrupt.v1 import registration_pb2
from disrupt.wire.fields import fingerprints_message

_NUMBER_DIGITS = 6


def access(case_number: str, pin: str) -> registration_pb2.CaseAccess:
    """Return what opens a case. Raises InvalidRequestError for what is no case number or PIN."""
    return registration_pb2.CaseAccess(
        case_number=case_number and parse_case_number(case_number), pin=parse_pin(pin)
    )


def register(
    items: Sequence[MediaItem],
    *,
    request_id: bytes,
    opens: registration_pb2.CaseAccess,
    age: AgeBand,
) -> registration_pb2.RegisterHashesRequest:
    """Make the request that registers media, each given by its fingerprints."""
    return registration_pb2.RegisterHashesRequest(
        context=registration_pb2.RegistrationContext(
            request_id=request_id,
            access=opens,
            new_case_number="" if opens.case_number else new_case_number(request_id),
            age_band=age.value,  # type: ignore[arg-type]  # the numbers are the same
            door=registration_pb2.DOOR_HELPLINE,
        ),
        items=[
            registration_pb2.MediaItem(
                kind=item.kind.value,  # type: ignore[arg-type]  # likewise
                fingerprints=fingerprints_message(item.fingerprints, item.kind),
            )
            for item in items
        ],
    )


def item(text: str) -> bytes | int:
    """Parse what names an item: its number in the case, or its id of 32 hex digits.

    Raises InvalidRequestError for anything else.
    """
    if text.isascii() and text.isdigit() and len(text) <= _NUMBER_DIGITS and int(text):
        return int(text)
    try:
        value = bytes.fromhex(text) if len(text) == 2 * ITEM_ID_BYTES else b""
    except ValueError:
        value = b""
    if len(value) != ITEM_ID_BYTES:
        raise InvalidRequestError.of(
            Violation("item_ids", "write an item as its number, or its id of 32 hex digits")
        )
    return value


def withdraw(
    opens: registration_pb2.CaseAccess, items: Sequence[str]
) -> registration_pb2.WithdrawItemsRequest:
    """Make the request that withdraws items, each named as ``item`` says."""
    named = [item(text) for text in items]
    return registration_pb2.WithdrawItemsRequest(
        access=opens,
        item_ids=[name for name in named if isinstance(name, bytes)],
        item_numbers=[name for name in named if isinstance(name, int)],
    )
