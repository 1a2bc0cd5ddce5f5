"""Review over real sockets: staff list and decide, and every worker follows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from disrupt.v1 import match_pb2, registration_pb2, review_pb2, types_pb2
from rig.callers.caller import (
    Caller,
    access,
    calling,
    distinctive,
    items,
    lookup,
    refusal,
    register,
)
from rig.servers.deployment import Deployment
from rig.waiting import eventually

ENABLED, DISABLED, REJECTED = (
    review_pb2.ITEM_STATE_ENABLED,
    review_pb2.ITEM_STATE_DISABLED,
    review_pb2.ITEM_STATE_REJECTED,
)


@pytest.fixture
def of_adults(server: Deployment) -> Iterator[Caller]:
    """Connect as staff who review the bank of adults only."""
    secret = server.make_key("staff of adults", "review", banks=("adults",))
    with calling(server.address, secret) as caller:
        yield caller


def registered(helpline: Caller, *values: bytes) -> tuple[str, list[bytes]]:
    """Register hashes; return the case number and the item ids."""
    receipt = helpline("RegisterHashes", register(*values)).receipt
    return receipt.case_number, [item.item_id for item in receipt.items]


def until_matched(platforms: list[Caller], value: bytes, *item_ids: bytes) -> None:
    """Wait until every worker answers with these items."""
    for platform in platforms:
        eventually(lambda p=platform: items(p("MatchHashes", lookup(value))) == [*item_ids])  # type: ignore[misc]


def decide(reviewer: Caller, item_ids: list[bytes], state: Any, reason: str = "") -> list[Any]:
    request = review_pb2.SetItemStatesRequest(item_ids=item_ids, state=state, reason=reason)
    return list(reviewer("SetItemStates", request).items)


def shown(reviewer: Caller, *item_ids: bytes) -> list[Any]:
    conditions = review_pb2.ItemConditions(item_ids=item_ids)
    return list(reviewer("ListItems", review_pb2.ListItemsRequest(conditions=conditions)).items)


def test_an_item_goes_from_every_workers_answers_and_comes_back(
    helpline: Caller, reviewer: Caller, platforms: list[Caller], record_property: Any
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value)
    until_matched(platforms, value, item_id)
    for state, reason, expected in (
        (DISABLED, "false_positive", ()),
        (DISABLED, "again", ()),
        (ENABLED, "", (item_id,)),
        (REJECTED, "spam", ()),
        (ENABLED, "", (item_id,)),
    ):
        (item,) = decide(reviewer, [item_id], state, reason)
        began_s = time.monotonic()
        assert (item.item_id, item.state) == (item_id, state)
        until_matched(platforms, value, *expected)
        took = f"{'shown' if expected else 'hidden'} in all: {time.monotonic() - began_s:.3f} s"
        record_property("figures", took)
    acts = reviewer("ListActs", review_pb2.ListActsRequest(page_size=4)).acts
    assert [(act.action, act.reason) for act in acts] == [
        (review_pb2.ACTION_ENABLE, ""),
        (review_pb2.ACTION_REJECT, "spam"),
        (review_pb2.ACTION_ENABLE, ""),
        (review_pb2.ACTION_DISABLE, "false_positive"),
    ]
    assert {act.item_id for act in acts} == {item_id}


def test_a_moved_and_a_confirmed_item_is_answered_so(
    helpline: Caller, reviewer: Caller, platforms: list[Caller]
) -> None:
    value = distinctive()
    case, (item_id,) = registered(helpline, value)
    (item,) = reviewer(
        "MoveItems", review_pb2.MoveItemsRequest(item_ids=[item_id], bank="minors")
    ).items
    assert item.bank == "minors"
    (item,) = reviewer("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=[item_id])).items
    assert item.assurance == types_pb2.ASSURANCE_REVIEWED

    def answered(platform: Caller) -> list[tuple[str, int]]:
        matches = platform("MatchHashes", lookup(value)).matches
        banks = [matches.bank_names[place] for place in matches.banks]
        return [*zip(banks, matches.assurances, strict=True)]

    for platform in platforms:
        eventually(lambda p=platform: answered(p) == [("minors", types_pb2.ASSURANCE_REVIEWED)])  # type: ignore[misc]
    shown_case = helpline("GetCase", registration_pb2.GetCaseRequest(access=access(case))).case
    assert shown_case.items[0].age_band == registration_pb2.AGE_BAND_MINOR


def test_what_is_withdrawn_stays_withdrawn_whatever_staff_do(
    helpline: Caller, reviewer: Caller
) -> None:
    case, item_ids = registered(helpline, distinctive(), distinctive())
    decide(reviewer, item_ids, REJECTED)
    withdrawal = registration_pb2.WithdrawItemsRequest(access=access(case), item_ids=item_ids[:1])
    helpline("WithdrawItems", withdrawal)
    for call, request in (
        ("SetItemStates", review_pb2.SetItemStatesRequest(item_ids=item_ids, state=ENABLED)),
        ("MoveItems", review_pb2.MoveItemsRequest(item_ids=item_ids, bank="minors")),
        ("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=item_ids)),
    ):
        refused = refusal(lambda c=call, r=request: reviewer(c, r))  # type: ignore[misc]
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    (left,) = shown(reviewer, *item_ids)
    assert (left.item_id, left.state) == (item_ids[1], REJECTED)


def test_a_key_sees_and_changes_items_of_its_banks_only(
    helpline: Caller, reviewer: Caller, of_adults: Caller
) -> None:
    _, (item_id,) = registered(helpline, distinctive())
    request = review_pb2.MoveItemsRequest(item_ids=[item_id], bank="minors")
    assert refusal(lambda: of_adults("MoveItems", request)).code == (
        grpc.StatusCode.PERMISSION_DENIED
    )
    assert len(shown(of_adults, item_id)) == 1
    reviewer("MoveItems", request)
    assert shown(of_adults, item_id) == []
    refused = refusal(lambda: decide(of_adults, [item_id], DISABLED))
    unknown = refusal(lambda: decide(of_adults, [bytes(16)], DISABLED))
    assert refused == unknown
    assert refused.code == grpc.StatusCode.NOT_FOUND
    acts = of_adults("ListActs", review_pb2.ListActsRequest()).acts
    assert item_id not in {act.item_id for act in acts}


def test_pages_of_items_and_acts_go_on_where_the_last_one_ended(
    helpline: Caller, reviewer: Caller
) -> None:
    _, item_ids = registered(helpline, *(distinctive() for _ in range(5)))
    decide(reviewer, item_ids, DISABLED)
    listed, page = list[bytes](), 0
    while True:
        request = review_pb2.ListItemsRequest(
            conditions=review_pb2.ItemConditions(states=[DISABLED], item_ids=item_ids),
            page_size=2,
            page=page,
        )
        answer = reviewer("ListItems", request)
        listed += [item.item_id for item in answer.items]
        page = answer.next_page
        if not page:
            break
    assert listed == item_ids[::-1]
    first = reviewer("ListActs", review_pb2.ListActsRequest(page_size=2))
    second = reviewer("ListActs", review_pb2.ListActsRequest(page_size=3, before=first.next_before))
    assert [act.item_id for act in (*first.acts, *second.acts)] == item_ids[::-1]


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("SetItemStates", review_pb2.SetItemStatesRequest(state=ENABLED), "item_ids"),
        (
            "SetItemStates",
            review_pb2.SetItemStatesRequest(item_ids=[bytes(16)] * 501, state=ENABLED),
            "item_ids",
        ),
        (
            "SetItemStates",
            review_pb2.SetItemStatesRequest(item_ids=[b"short"], state=ENABLED),
            "item_ids[0]",
        ),
        ("SetItemStates", review_pb2.SetItemStatesRequest(item_ids=[bytes(16)]), "state"),
        (
            "SetItemStates",
            review_pb2.SetItemStatesRequest(
                item_ids=[bytes(16)], state=review_pb2.ITEM_STATE_WAITING
            ),
            "state",
        ),
        (
            "SetItemStates",
            review_pb2.SetItemStatesRequest(
                item_ids=[bytes(16)], state=ENABLED, reason="PIN 483920175648"
            ),
            "reason",
        ),
        ("MoveItems", review_pb2.MoveItemsRequest(item_ids=[bytes(16)], bank="none"), "bank"),
        (
            "ListItems",
            review_pb2.ListItemsRequest(
                conditions=review_pb2.ItemConditions(first_day="yesterday")
            ),
            "conditions.first_day",
        ),
        (
            "PreviewItems",
            review_pb2.PreviewItemsRequest(conditions=review_pb2.ItemConditions(case_tag=bytes(7))),
            "conditions.case_tag",
        ),
        ("ListItems", review_pb2.ListItemsRequest(page_size=501), "page_size"),
        ("ListActs", review_pb2.ListActsRequest(page_size=501), "page_size"),
        (
            "ListItems",
            review_pb2.ListItemsRequest(
                conditions=review_pb2.ItemConditions(outcome=match_pb2.OUTCOME_FALSE_POSITIVE)
            ),
            "conditions.outcome",
        ),
        ("SettleDisputes", review_pb2.SettleDisputesRequest(item_ids=[bytes(16)]), "settlement"),
        ("ShowItem", review_pb2.ShowItemRequest(), "item_id"),
        ("ShowItem", review_pb2.ShowItemRequest(match_id=b"none"), "match_id"),
    ],
)
def test_a_mistake_is_named(reviewer: Caller, method: str, request_: Any, field: str) -> None:
    refused = refusal(lambda: reviewer(method, request_))
    assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.fields == (field,)
