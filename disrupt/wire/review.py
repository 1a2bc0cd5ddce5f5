"""Convert the messages of ReviewService."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from enum import IntEnum
from typing import TypeVar

from disrupt.core.acts import DIGEST_BYTES, ActRecord
from disrupt.core.cases import CaseStatus
from disrupt.core.media import ITEM_ID_BYTES, Assurance, ItemState, StateReason
from disrupt.core.outcomes import Outcome
from disrupt.core.review import CaseFilter, Days, ItemFilter, ReviewedCase, ReviewedItem
from disrupt.v1 import review_pb2
from disrupt.wire.fields import invalid

ITEMS_AT_ONCE = 500
"""Most items that one call changes."""
_PAGE_SIZE = 100
_PAGE_SIZE_MAX = 500
_NUMBER_MAX = 2**63 - 1

_Member = TypeVar("_Member", bound=IntEnum)
_Changed = (
    review_pb2.SetItemStatesRequest | review_pb2.MoveItemsRequest | review_pb2.ConfirmItemsRequest
)


def page_size(
    message: review_pb2.ListItemsRequest | review_pb2.ListCasesRequest | review_pb2.ListActsRequest,
) -> int:
    """Return the most rows that the page may have."""
    if message.page_size > _PAGE_SIZE_MAX:
        raise invalid("page_size", f"{message.page_size} is outside 0-{_PAGE_SIZE_MAX}")
    return message.page_size or _PAGE_SIZE


def item_filter(message: review_pb2.ListItemsRequest) -> ItemFilter:
    """Return what items to list, but for their banks."""
    return ItemFilter(
        banks=frozenset(),
        states=_members("states", message.states, ItemState),
        assurances=_members("assurances", message.assurances, Assurance),
        registered=_days("registered", message.registered),
        changed=_days("changed", message.changed),
        outcome=_member("outcome", message.outcome, Outcome) if message.outcome else None,
        least_reports=message.least_reports,
        case_of=_item_id("case_of_item_id", message.case_of_item_id)
        if message.case_of_item_id
        else None,
    )


def case_filter(message: review_pb2.ListCasesRequest) -> CaseFilter:
    """Return what cases to list, but for their banks."""
    return CaseFilter(
        banks=frozenset(),
        statuses=_members("statuses", message.statuses, CaseStatus),
        opened=_days("opened", message.opened),
    )


def item_id(message: review_pb2.GetItemRequest) -> bytes:
    """Return the item that a request names."""
    return _item_id("item_id", message.item_id)


def item_ids(message: _Changed) -> tuple[bytes, ...]:
    """Return the items that a request names."""
    if not 1 <= len(message.item_ids) <= ITEMS_AT_ONCE:
        raise invalid("item_ids", f"{len(message.item_ids)} is outside 1-{ITEMS_AT_ONCE}")
    return tuple(_item_id("item_ids", value) for value in message.item_ids)


def item_state(message: review_pb2.SetItemStatesRequest) -> ItemState:
    """Return the state that items are to have."""
    return _member("state", message.state, ItemState)


def state_reason(message: review_pb2.SetItemStatesRequest) -> StateReason:
    """Return why items are to have a state."""
    return _member("reason", message.reason or StateReason.STAFF, StateReason)


def verified_before(message: review_pb2.VerifyActsRequest) -> tuple[int, bytes]:
    """Return number and digest of the last act that was verified."""
    if len(message.digest) != (DIGEST_BYTES if message.after else 0):
        raise invalid("digest", f"{DIGEST_BYTES} bytes, or none with `after` 0")
    return after(message), message.digest


def after(message: review_pb2.ListActsRequest | review_pb2.VerifyActsRequest) -> int:
    """Return the number of the last act that the caller has."""
    return min(message.after, _NUMBER_MAX)


Named = tuple[Mapping[int, str], Callable[[int], str]]
"""Names of banks by number, and what gives the handle of a case."""


def items_answer(
    values: Iterable[ReviewedItem], token: str, named: Named
) -> review_pb2.ListItemsResponse:
    """Make a page of items."""
    return review_pb2.ListItemsResponse(items=_items(values, named), next_page_token=token)


def item_answer(value: ReviewedItem, named: Named) -> review_pb2.GetItemResponse:
    """Make the answer that shows an item."""
    return review_pb2.GetItemResponse(item=_item(value, named))


def states_answer(values: Iterable[ReviewedItem], named: Named) -> review_pb2.SetItemStatesResponse:
    """Make the answer to a change of states."""
    return review_pb2.SetItemStatesResponse(items=_items(values, named))


def moved_answer(values: Iterable[ReviewedItem], named: Named) -> review_pb2.MoveItemsResponse:
    """Make the answer to a move."""
    return review_pb2.MoveItemsResponse(items=_items(values, named))


def confirmed_answer(
    values: Iterable[ReviewedItem], named: Named
) -> review_pb2.ConfirmItemsResponse:
    """Make the answer to a confirmation."""
    return review_pb2.ConfirmItemsResponse(items=_items(values, named))


def cases_answer(
    values: Iterable[ReviewedCase], token: str, case_handle: Callable[[int], str]
) -> review_pb2.ListCasesResponse:
    """Make a page of cases."""
    cases = [
        review_pb2.ReviewCase(
            case_handle=case_handle(value.number),
            status=value.status.value,  # type: ignore[arg-type]  # same numbers
            opened_on=value.opened_on,
            closed_on=value.closed_on,
            live=value.states.get(ItemState.LIVE, 0),
            waiting=value.states.get(ItemState.WAITING, 0),
            disabled=value.states.get(ItemState.DISABLED, 0),
            rejected=value.rejected,
            item_id=value.item_id,
        )
        for value in values
    ]
    return review_pb2.ListCasesResponse(cases=cases, next_page_token=token)


def acts_answer(values: Iterable[ActRecord]) -> review_pb2.ListActsResponse:
    """Make a page of the log of acts."""
    acts = [
        review_pb2.ActRecord(
            number=value.number,
            at_s=value.at_s,
            actor=value.actor,
            action=value.action,  # type: ignore[arg-type]  # same numbers
            subject=value.subject,
            digest=value.digest,
        )
        for value in values
    ]
    return review_pb2.ListActsResponse(acts=acts)


def verified_answer(
    verified: int, digest: bytes, broken: int | None, *, complete: bool
) -> review_pb2.VerifyActsResponse:
    """Make the answer to a verification."""
    return review_pb2.VerifyActsResponse(
        verified=verified, digest=digest, broken=broken or 0, complete=complete
    )


def _items(values: Iterable[ReviewedItem], named: Named) -> list[review_pb2.ReviewItem]:
    return [_item(value, named) for value in values]


def _item(value: ReviewedItem, named: Named) -> review_pb2.ReviewItem:
    bank_names, case_handle = named
    return review_pb2.ReviewItem(
        item_id=value.item_id,
        bank=bank_names[value.bank],
        kind=value.kind.value,  # type: ignore[arg-type]  # same numbers
        state=value.state.value,  # type: ignore[arg-type]  # same numbers
        reason=value.reason.value if value.reason else 0,  # type: ignore[arg-type]  # same numbers
        changed_on=value.changed_on,
        registered_on=value.registered_on,
        assurance=value.assurance.value,  # type: ignore[arg-type]  # same numbers
        outcomes=[
            review_pb2.OutcomeCount(outcome=outcome.value, organisations=organisations)  # type: ignore[arg-type]  # same numbers
            for outcome, organisations in value.organisations.items()
        ],
        reports=value.reports,
        case_handle=case_handle(value.case),
    )


def _item_id(field: str, value: bytes) -> bytes:
    if len(value) != ITEM_ID_BYTES:
        raise invalid(field, f"an id has {ITEM_ID_BYTES} bytes")
    return value


def _member(field: str, value: int, of: type[_Member]) -> _Member:
    try:
        return of(value)
    except ValueError:
        names = ", ".join(member.name for member in of)
        raise invalid(field, f"say one of {names}") from None


def _members(field: str, values: Sequence[int], of: type[_Member]) -> frozenset[_Member]:
    return frozenset(_member(field, value, of) for value in values)


def _days(field: str, message: review_pb2.DayRange) -> Days:
    for day in (message.first, message.last):
        try:
            is_day = not day or date.fromisoformat(day).isoformat() == day
        except ValueError:
            is_day = False
        if not is_day:
            raise invalid(field, "write a day as YYYY-MM-DD")
    return Days(message.first, message.last)
