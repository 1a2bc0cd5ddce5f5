"""Convert the messages of ReviewService."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time

import numpy as np
from numpy.typing import NDArray

from disrupt.core.acts import ActFilter, Action, ActRecord
from disrupt.core.case_erasures import CONFIRM_WITHIN_S, CaseErasure, day_of
from disrupt.core.cases import parse_case_number
from disrupt.core.media import ITEM_ID_BYTES, MediaKind
from disrupt.core.mirrors import MirrorStatus
from disrupt.core.outcomes import (
    Dispute,
    DisputeSummary,
    MatchedVersion,
    MatchOutcome,
    Settlement,
)
from disrupt.core.registrations import REQUEST_ID_BYTES
from disrupt.core.review import (
    ALL_STATES,
    BY_STAFF,
    TAG_BYTES,
    Done,
    ItemCounts,
    ItemFilter,
    ReviewedItem,
)
from disrupt.core.states import ItemState, WaitReason
from disrupt.v1 import match_pb2, review_pb2
from disrupt.wire.fields import day as _day
from disrupt.wire.fields import invalid
from disrupt.wire.match import variant
from disrupt.wire.registration import media_fingerprints

_DEFAULT_PAGE_SIZE = 100
PAGE_SIZE_MAX = 500
_ACTIONS_MAX = 100
_DAY_S = 24 * 3600
ITEMS_AT_ONCE = 500
"""Most items that one call changes."""

_BY_SETTLEMENT = {Settlement.WIDENED: Action.WIDEN, Settlement.UPHELD: Action.UPHOLD}

_NUMBER_MAX = 2**63 - 1
_HASHES_MAX = 2**31 - 1


def page_size(
    message: review_pb2.ListItemsRequest
    | review_pb2.ListActsRequest
    | review_pb2.ListErasuresRequest,
) -> int:
    """Return the most entries that the page may have."""
    if message.page_size > PAGE_SIZE_MAX:
        raise invalid("page_size", f"{message.page_size} is outside 0-{PAGE_SIZE_MAX}")
    return message.page_size or _DEFAULT_PAGE_SIZE


def before(number: int) -> int | None:
    """Return the number below which a page begins; None: at the newest."""
    return min(number, _NUMBER_MAX) or None


def act_filter(message: review_pb2.ListActsRequest) -> ActFilter:
    """Return the conditions on acts."""
    first, last = _day("first_day", message.first_day), _day("last_day", message.last_day)
    if len(message.actions) > _ACTIONS_MAX:
        raise invalid("actions", f"{len(message.actions)} actions; name at most {_ACTIONS_MAX}")
    try:
        actions = frozenset(map(Action, message.actions))
    except ValueError:
        raise invalid("actions", "no action of this version") from None
    return ActFilter(_begin_s(first) if first else 0, _begin_s(last, 1) if last else None, actions)


def _begin_s(day: str, later_days: int = 0) -> int:
    begin = datetime.combine(date.fromisoformat(day), time(), UTC)
    return int(begin.timestamp()) + later_days * _DAY_S


def item_filter(message: review_pb2.ItemConditions, banks: Iterable[int]) -> ItemFilter:
    """Return the conditions on items in ``banks``, which are numbers."""
    states = frozenset(
        _state(f"conditions.states[{at}]", state) for at, state in enumerate(message.states)
    )
    try:
        outcome = MatchOutcome(message.outcome) if message.outcome else None
    except ValueError:
        raise invalid("conditions.outcome", "no outcome of this version") from None
    if outcome == MatchOutcome.FALSE_POSITIVE:
        raise invalid("conditions.outcome", "false positives are disputes: ask for disputed items")
    try:
        wait_reason = WaitReason(message.wait_reason) if message.wait_reason else None
    except ValueError:
        raise invalid("conditions.wait_reason", "no reason of this version") from None
    return ItemFilter(
        frozenset(banks),
        states or ALL_STATES,
        first_day=_day("conditions.first_day", message.first_day),
        last_day=_day("conditions.last_day", message.last_day),
        item_ids=frozenset(item_ids(message.item_ids, "conditions.item_ids", least=0)),
        outcome=outcome,
        case_tag=_tag("conditions.case_tag", message.case_tag),
        origin_tag=_tag("conditions.origin_tag", message.origin_tag),
        key_id=message.key_id,
        least_hashes=min(message.least_hashes, _HASHES_MAX),
        wait_reason=wait_reason,
        disputed=message.disputed,
        needs_staff=message.needs_staff,
    )


def _tag(field: str, tag: bytes) -> bytes:
    if len(tag) not in {0, TAG_BYTES}:
        raise invalid(field, f"{len(tag)} bytes; a tag has {TAG_BYTES}")
    return tag


def item_ids(
    given: Sequence[bytes], field: str = "item_ids", *, least: int = 1
) -> tuple[bytes, ...]:
    """Return the ids of items that a request names, ``least`` or more."""
    if not least <= len(given) <= ITEMS_AT_ONCE:
        raise invalid(field, f"{len(given)} items; name {least}-{ITEMS_AT_ONCE}")
    for at, item_id in enumerate(given):
        if len(item_id) != ITEM_ID_BYTES:
            raise invalid(f"{field}[{at}]", f"{len(item_id)} bytes; an id has {ITEM_ID_BYTES}")
    return tuple(given)


def act_number(message: review_pb2.UndoActRequest) -> int:
    """Return the number of an act."""
    return min(message.act, _NUMBER_MAX)


def state_to_set(
    message: review_pb2.SetItemStatesRequest | review_pb2.SetAllStatesRequest,
) -> tuple[ItemState, Action]:
    """Return the state to set, and the act of setting it."""
    state = _state("state", message.state)
    if state not in BY_STAFF:
        raise invalid("state", "say ENABLED, DISABLED or REJECTED")
    return state, BY_STAFF[state]


def settlement_to_set(message: review_pb2.SettleDisputesRequest) -> tuple[Settlement, Action]:
    """Return the settlement of disputes, and the act of it."""
    try:
        settlement = Settlement(message.settlement)
    except ValueError:
        raise invalid("settlement", "say WIDENED or UPHELD") from None
    return settlement, _BY_SETTLEMENT[settlement]


def request_id(message: review_pb2.AddCommonPictureRequest) -> bytes:
    """Return the id of a request that adds a picture."""
    if len(message.request_id) != REQUEST_ID_BYTES:
        raise invalid(
            "request_id", f"{len(message.request_id)} bytes; draw {REQUEST_ID_BYTES} random ones"
        )
    return message.request_id


def common_picture(message: review_pb2.AddCommonPictureRequest) -> NDArray[np.void]:
    """Return the fingerprints of a picture in common use, dtype FINGERPRINT, shape (n,)."""
    return media_fingerprints(message.fingerprints, MediaKind.IMAGE, path="fingerprints")


def common_relayed(
    message: review_pb2.AddCommonPictureRequest, *, matches: bool
) -> review_pb2.AddCommonPictureRequest:
    """Make the request that the writer gets: ``although_matched`` where the picture matches."""
    relayed = review_pb2.AddCommonPictureRequest()
    relayed.CopyFrom(message)
    relayed.although_matched = matches
    return relayed


def named_item(message: review_pb2.ShowItemRequest) -> bytes:
    """Return the id of the item to show, or nothing where a match id names it."""
    named = message.WhichOneof("named")
    if named is None:
        raise invalid("item_id", "name an item, or a match")
    return item_ids([message.item_id])[0] if named == "item_id" else b""


def _state(field: str, number: int) -> ItemState:
    try:
        return ItemState(number)
    except ValueError:
        raise invalid(field, "no state of this version") from None


def items_answer(
    reviewed: Iterable[ReviewedItem], next_page: int, bank_names: Mapping[int, str]
) -> review_pb2.ListItemsResponse:
    """Make a page of items."""
    return review_pb2.ListItemsResponse(items=_items(reviewed, bank_names), next_page=next_page)


def states_set_answer(
    reviewed: Iterable[ReviewedItem], bank_names: Mapping[int, str], cursor: str
) -> review_pb2.SetItemStatesResponse:
    """Make the answer with the items as they are now; ``cursor`` is sealed."""
    items = _items(reviewed, bank_names)
    return review_pb2.SetItemStatesResponse(items=items, index_cursor=cursor)


def preview_answer(
    counts: ItemCounts, bank_names: Mapping[int, str]
) -> review_pb2.PreviewItemsResponse:
    """Make the answer that says how much conditions name."""
    return review_pb2.PreviewItemsResponse(
        items=counts.items,
        cases=counts.cases,
        hashes=counts.hashes,
        banks=[
            review_pb2.BankCount(bank=bank_names[bank], items=items)
            for bank, items in sorted(counts.banks.items())
        ],
        days=[
            review_pb2.DayCount(day=day, items=items) for day, items in sorted(counts.days.items())
        ],
        states=[
            review_pb2.StateCount(
                state=state.value,  # type: ignore[arg-type]  # same numbers
                items=items,
            )
            for state, items in sorted(counts.states.items())
        ],
    )


def all_states_set_answer(done: Done, cursor: str) -> review_pb2.SetAllStatesResponse:
    """Make the answer to an act on many items; ``cursor`` is sealed."""
    return review_pb2.SetAllStatesResponse(act=done.act, items=done.items, index_cursor=cursor)


def undone_answer(done: Done, cursor: str) -> review_pb2.UndoActResponse:
    """Make the answer to the undoing of one; ``cursor`` is sealed."""
    return review_pb2.UndoActResponse(act=done.act, items=done.items, index_cursor=cursor)


def moved_answer(
    reviewed: Iterable[ReviewedItem], bank_names: Mapping[int, str], cursor: str
) -> review_pb2.MoveItemsResponse:
    """Make the answer with the items as they are now; ``cursor`` is sealed."""
    items = _items(reviewed, bank_names)
    return review_pb2.MoveItemsResponse(items=items, index_cursor=cursor)


def confirmed_answer(
    reviewed: Iterable[ReviewedItem], bank_names: Mapping[int, str], cursor: str
) -> review_pb2.ConfirmItemsResponse:
    """Make the answer with the items as they are now; ``cursor`` is sealed."""
    items = _items(reviewed, bank_names)
    return review_pb2.ConfirmItemsResponse(items=items, index_cursor=cursor)


def settled_answer(
    reviewed: Iterable[ReviewedItem], bank_names: Mapping[int, str], cursor: str, settled: int
) -> review_pb2.SettleDisputesResponse:
    """Make the answer with the items as they are now; ``cursor`` is sealed.

    ``settled`` is how many of them had something to settle.
    """
    items = _items(reviewed, bank_names)
    return review_pb2.SettleDisputesResponse(
        items=items, index_cursor=cursor, settled_items=settled
    )


def common_added_answer(
    reviewed: ReviewedItem, bank_names: Mapping[int, str], cursor: str
) -> review_pb2.AddCommonPictureResponse:
    """Make the answer with the picture that was added; ``cursor`` is sealed."""
    (item,) = _items([reviewed], bank_names)
    return review_pb2.AddCommonPictureResponse(item=item, index_cursor=cursor)


def common_removed_answer(cursor: str) -> review_pb2.RemoveCommonPicturesResponse:
    """Make the answer to what was taken out; ``cursor`` is sealed."""
    return review_pb2.RemoveCommonPicturesResponse(index_cursor=cursor)


def shown_answer(
    reviewed: ReviewedItem,
    outcomes: Iterable[tuple[str, MatchOutcome, str]],
    disputes: Iterable[Dispute],
    bank_names: Mapping[int, str],
    matched: Sequence[MatchedVersion] = (),
    matched_at_s: int = 0,
) -> review_pb2.ShowItemResponse:
    """Make the answer that shows one item, named by a match of these versions, if of any.

    ``outcomes`` are organisation, outcome and day.
    """
    by_match = defaultdict[tuple[str, bytes], list[Dispute]](list)
    for dispute in disputes:
        by_match[dispute.organisation, dispute.match].append(dispute)
    of_outcomes = [
        review_pb2.Report(
            organisation=organisation,
            outcome=outcome.value,  # type: ignore[arg-type]  # same numbers
            day=day,
        )
        for organisation, outcome, day in outcomes
    ]
    of_disputes = [
        review_pb2.Report(
            organisation=organisation,
            outcome=match_pb2.OUTCOME_FALSE_POSITIVE,
            day=of_match[0].day,
            versions=[_version(dispute.version) for dispute in of_match],
            settlement=of_match[0].settlement or 0,  # type: ignore[arg-type]  # same numbers
        )
        for (organisation, _), of_match in by_match.items()
    ]
    (item,) = _items([reviewed], bank_names)
    return review_pb2.ShowItemResponse(
        item=item,
        reports=sorted(
            [*of_outcomes, *of_disputes], key=lambda report: (report.organisation, report.day)
        ),
        matched=map(_version, matched),
        matched_at_s=matched_at_s,
    )


def _version(matched: MatchedVersion) -> review_pb2.ReportedVersion:
    return review_pb2.ReportedVersion(
        variant=variant(matched.plan, matched.ordinal), distance_bits=matched.distance_bits
    )


def _disputes(summary: DisputeSummary | None) -> review_pb2.Disputes | None:
    if summary is None:
        return None
    return review_pb2.Disputes(
        organisations=summary.organisations,
        narrowed=summary.narrowed,
        silent=summary.silent,
        needs_staff=sorted(summary.needs_staff),
    )


def _items(
    reviewed: Iterable[ReviewedItem], bank_names: Mapping[int, str]
) -> list[review_pb2.ReviewItem]:
    """Convert items to messages."""
    return [
        review_pb2.ReviewItem(
            item_id=item.item_id,
            bank=bank_names[item.bank],
            kind=item.kind.value,  # type: ignore[arg-type]  # same numbers
            assurance=item.assurance.value,  # type: ignore[arg-type]  # same numbers
            state=item.state.value,  # type: ignore[arg-type]  # same numbers
            state_since_s=item.state_since_s or 0,
            registered_on=item.registered_on,
            outcomes=[
                review_pb2.OutcomeCount(
                    outcome=outcome.value,  # type: ignore[arg-type]  # same numbers
                    organisations=organisations,
                )
                for outcome, organisations in item.organisations.items()
            ],
            case_tag=item.case_tag,
            origin_tag=item.origin_tag,
            key_id=item.key_id,
            hashes=item.hashes,
            wait_reason=item.wait_reason.value if item.wait_reason else 0,  # type: ignore[arg-type]  # same numbers
            disputes=_disputes(item.disputes),
        )
        for item in reviewed
    ]


def case_number(message: review_pb2.EraseCaseRequest) -> str:
    """Return the number of a case in canonical form."""
    return parse_case_number(message.case_number)


def erasure_answer(erasure: CaseErasure) -> review_pb2.EraseCaseResponse:
    """Make the answer to who asks that a case be erased."""
    return review_pb2.EraseCaseResponse(
        erased_on=day_of(erasure.due_at_s),
        confirm_until_s=_confirm_until_s(erasure),
        items=erasure.items,
        case_tag=erasure.case_tag,
    )


def erasures_answer(
    erasures: Iterable[CaseErasure], next_page: int
) -> review_pb2.ListErasuresResponse:
    """Make a page of erasures."""
    return review_pb2.ListErasuresResponse(
        erasures=[
            review_pb2.CaseErasure(
                case_tag=erasure.case_tag,
                asked_by=erasure.asked_by,
                asked_at_s=erasure.asked_at_s,
                erased_on=day_of(erasure.due_at_s),
                confirm_until_s=_confirm_until_s(erasure),
                items=erasure.items,
            )
            for erasure in erasures
        ],
        next_page=next_page,
    )


def mirrors_answer(statuses: Iterable[MirrorStatus]) -> review_pb2.ListMirrorsResponse:
    """Make the list of who reads the feed."""
    return review_pb2.ListMirrorsResponse(
        mirrors=[
            review_pb2.Mirror(
                key_id=status.key.key_id,
                name=status.key.name,
                organisation=status.key.organisation,
                behind_s=status.behind_s,
                reported_at_s=status.report.reported_s if status.report else 0,
                level_at_s=status.report.level_s if status.report else 0,
                version=status.report.version if status.report else "",
                has_ended=status.has_ended,
            )
            for status in statuses
        ]
    )


def _confirm_until_s(erasure: CaseErasure) -> int:
    return 0 if erasure.due_at_s is not None else erasure.asked_at_s + CONFIRM_WITHIN_S


def acts_answer(
    records: Sequence[ActRecord], size: int, bank_names: Mapping[int, str]
) -> review_pb2.ListActsResponse:
    """Make a page of acts, which may have ``size``."""
    acts = [
        review_pb2.ReviewAct(
            number=record.number,
            at_s=record.act.at_s,
            actor=record.act.actor,
            organisation=record.act.organisation,
            action=record.act.action.value,  # type: ignore[arg-type]  # same numbers
            reason=record.act.reason,
            item_id=record.item_id,
            bank=bank_names.get(record.bank, ""),
            key_id=record.key_id,
            case_tag=record.case_tag,
            items=record.items or 0,
            undone=record.undone,
        )
        for record in records
    ]
    return review_pb2.ListActsResponse(
        acts=acts, next_before=acts[-1].number if len(acts) == size else 0
    )
