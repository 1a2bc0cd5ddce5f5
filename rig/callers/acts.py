"""Register, look up, report and review by callers of a real server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, review_pb2
from rig.callers.caller import Caller, access, items, lookup, register
from rig.waiting import eventually


def registered(helpline: Caller, *values: bytes, minor: bool = False) -> tuple[str, list[bytes]]:
    """Register one picture for each hash; return the case number and the item ids."""
    request = register(*values)
    if minor:
        request.context.age_band = registration_pb2.AGE_BAND_MINOR
    receipt = helpline("RegisterHashes", request).receipt
    return receipt.case_number, [item.item_id for item in receipt.items]


def case_of(helpline: Caller, case: str) -> Any:
    """Return a case as its owner sees it."""
    return helpline("GetCase", registration_pb2.GetCaseRequest(access=access(case))).case


def withdraw(helpline: Caller, case: str, *item_ids: bytes) -> Any:
    """Withdraw items of a case, or all of it where none is named; return the answer."""
    if not item_ids:
        request = registration_pb2.WithdrawCaseRequest(access=access(case))
        return helpline("WithdrawCase", request)
    some = registration_pb2.WithdrawItemsRequest(access=access(case), item_ids=item_ids)
    return helpline("WithdrawItems", some)


def found(platform: Caller, value: bytes, **options: Any) -> list[bytes]:
    """Return the ids of the items near a hash."""
    return items(platform("MatchHashes", lookup(value, **options)))


def until_found(platforms: Iterable[Caller], value: bytes, *item_ids: bytes) -> None:
    """Wait until each caller is answered with these items, and no others."""
    expected = [*item_ids]
    for platform in platforms:
        eventually(lambda platform=platform: found(platform, value) == expected)  # type: ignore[misc]


def match_id(platform: Caller, value: bytes) -> bytes:
    """Return the match id of the one item near a hash, once the worker has it."""
    eventually(lambda: len(found(platform, value)) == 1)
    return bytes(platform("MatchHashes", lookup(value)).matches.match_ids[0])


def report(platform: Caller, match_id: bytes, outcome: match_pb2.Outcome.ValueType) -> None:
    """Report the outcome of a match."""
    request = match_pb2.ReportOutcomeRequest(match_id=match_id, outcome=outcome)
    platform("ReportOutcome", request)


def all_changes(mirror: Caller, page_size: int = 1000) -> list[feed_pb2.Change]:
    """Read the feed from its beginning."""
    changes, cursor = list[feed_pb2.Change](), ""
    while True:
        request = feed_pb2.ListChangesRequest(cursor=cursor, page_size=page_size)
        page = mirror("ListChanges", request)
        assert len(page.changes) <= page_size
        assert page.next_cursor
        assert page.caught_up or page.next_cursor != cursor
        changes += page.changes
        cursor = page.next_cursor
        if page.caught_up:
            return changes


def listed(reviewer: Caller, **conditions: Any) -> dict[bytes, review_pb2.ReviewItem]:
    """Return the items that conditions name, by id, the newest first."""
    named = review_pb2.ItemConditions(**conditions)
    request = review_pb2.ListItemsRequest(conditions=named, page_size=500)
    return {item.item_id: item for item in reviewer("ListItems", request).items}


def set_states(
    reviewer: Caller,
    item_ids: Iterable[bytes],
    state: review_pb2.ItemState.ValueType,
    reason: str = "",
) -> None:
    """Decide about items."""
    request = review_pb2.SetItemStatesRequest(item_ids=item_ids, state=state, reason=reason)
    answered = reviewer("SetItemStates", request).items
    assert {item.state for item in answered} <= {state}


def move(reviewer: Caller, item_ids: Iterable[bytes], bank: str) -> Any:
    """Move items to another bank; return the answer."""
    return reviewer("MoveItems", review_pb2.MoveItemsRequest(item_ids=item_ids, bank=bank))


def newest_acts(reviewer: Caller, count: int) -> list[review_pb2.ReviewAct]:
    """Return so many acts on record, the newest first."""
    return [*reviewer("ListActs", review_pb2.ListActsRequest(page_size=count)).acts]
