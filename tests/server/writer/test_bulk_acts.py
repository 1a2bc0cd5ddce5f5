"""A flood over real sockets: staff find it by its tag, reject it as one act, and undo that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from disrupt.v1 import registration_pb2, review_pb2
from rig.callers.caller import (
    Caller,
    access,
    calling,
    distinctive,
    items,
    lookup,
    near,
    refusal,
    register,
)
from rig.servers.deployment import Deployment
from rig.waiting import eventually

LIVE, ENABLED, REJECTED = (
    review_pb2.ITEM_STATE_LIVE,
    review_pb2.ITEM_STATE_ENABLED,
    review_pb2.ITEM_STATE_REJECTED,
)
FLOOD = 64
"""Items of the flood: all that one registration may have."""


@pytest.fixture
def of_minors(server: Deployment) -> Iterator[Caller]:
    """Connect as staff who review the bank of minors only."""
    secret = server.make_key("staff of minors", "review", banks=("minors",))
    with calling(server.address, secret) as caller:
        yield caller


def registered(helpline: Caller, *values: bytes) -> tuple[str, list[bytes]]:
    """Register hashes; return the case number and the item ids."""
    receipt = helpline("RegisterHashes", register(*values)).receipt
    return receipt.case_number, [item.item_id for item in receipt.items]


def listed(reviewer: Caller, **conditions: Any) -> dict[bytes, Any]:
    """Return the items that conditions name, by id, the newest first."""
    request = review_pb2.ListItemsRequest(
        conditions=review_pb2.ItemConditions(**conditions), page_size=500
    )
    return {item.item_id: item for item in reviewer("ListItems", request).items}


def preview(reviewer: Caller, **conditions: Any) -> Any:
    request = review_pb2.PreviewItemsRequest(conditions=review_pb2.ItemConditions(**conditions))
    return reviewer("PreviewItems", request)


def set_all(reviewer: Caller, state: Any, expected: int, **conditions: Any) -> Any:
    request = review_pb2.SetAllStatesRequest(
        conditions=review_pb2.ItemConditions(**conditions),
        state=state,
        reason="flood",
        expected_items=expected,
    )
    return reviewer("SetAllStates", request)


def undo(reviewer: Caller, act: int) -> Any:
    return reviewer("UndoAct", review_pb2.UndoActRequest(act=act))


def found(platform: Caller, value: bytes) -> bool:
    return items(platform("MatchHashes", lookup(value))) != []


def test_a_flood_among_honest_people_is_rejected_as_one_act_and_shown_again(
    helpline: Caller, reviewer: Caller, platform: Caller
) -> None:
    honest, values = distinctive(), [distinctive() for _ in range(FLOOD)]
    _, (before,) = registered(helpline, honest)
    case, flood = registered(helpline, *values)
    _, (after,) = registered(helpline, distinctive())
    of_page = listed(reviewer, item_ids=[before, *flood[:3], after])
    tags = {item_id: item.case_tag for item_id, item in of_page.items()}
    (tag,) = {tags[item_id] for item_id in flood[:3]}
    assert len({tags[before], tag, tags[after]}) == 3
    assert {of_page[item_id].hashes for item_id in flood[:3]} == {1}
    assert list(listed(reviewer, case_tag=tag)) == flood[::-1]
    eventually(lambda: found(platform, values[0]) and found(platform, honest))

    counts = preview(reviewer, case_tag=tag)
    assert (counts.items, counts.cases, counts.hashes) == (FLOOD, 1, FLOOD)
    assert [(each.bank, each.items) for each in counts.banks] == [("adults", FLOOD)]
    assert [each.items for each in counts.days] == [FLOOD]
    assert [(each.state, each.items) for each in counts.states] == [(LIVE, FLOOD)]
    helpline("RegisterHashes", register(distinctive(), case=case))
    refused = refusal(lambda: set_all(reviewer, REJECTED, FLOOD, case_tag=tag))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ITEMS_CHANGED",
    )
    done = set_all(reviewer, REJECTED, FLOOD + 1, case_tag=tag)
    assert done.items == FLOOD + 1
    eventually(lambda: not any(found(platform, value) for value in values))
    assert found(platform, honest)
    states = {item.state for item in listed(reviewer, item_ids=[before, after]).values()}
    assert states == {LIVE}
    (act,) = reviewer("ListActs", review_pb2.ListActsRequest(page_size=1)).acts
    assert (act.number, act.items, act.case_tag) == (done.act, FLOOD + 1, tag)
    assert (act.action, act.reason) == (review_pb2.ACTION_REJECT, "flood")

    helpline(
        "WithdrawItems",
        registration_pb2.WithdrawItemsRequest(access=access(case), item_ids=flood[:1]),
    )
    again = register(values[1], case=case)
    fingerprints = again.items[0].fingerprints
    fingerprints.hashes += near(values[1], 9)
    fingerprints.qualities *= 2
    fingerprints.plans[:], fingerprints.ordinals[:] = [0, 1], [0, 0]
    (renewed,) = helpline("RegisterHashes", again).receipt.items
    assert renewed.outcome == registration_pb2.REGISTRATION_OUTCOME_RENEWED
    decided = review_pb2.SetItemStatesRequest(item_ids=flood[2:3], state=REJECTED)
    reviewer("SetItemStates", decided)
    back = undo(reviewer, done.act)
    assert back.items == FLOOD + 1 - 3
    eventually(lambda: all(found(platform, value) for value in values[3:]))
    now = listed(reviewer, case_tag=tag)
    assert flood[0] not in now
    assert {now[item_id].state for item_id in (renewed.item_id, flood[2])} == {REJECTED}
    assert not any(found(platform, value) for value in values[:3])
    assert undo(reviewer, done.act).items == 0
    (act,) = reviewer("ListActs", review_pb2.ListActsRequest(page_size=1)).acts
    assert (act.number, act.action, act.undone) == (back.act, review_pb2.ACTION_UNDO, done.act)


def test_conditions_that_name_no_more_than_what_others_registered_change_nothing(
    helpline: Caller, reviewer: Caller
) -> None:
    _, (item,) = registered(helpline, distinctive())
    day = listed(reviewer, item_ids=[item])[item].registered_on
    for conditions in (
        {},
        {"states": [LIVE]},
        {"banks": ["adults"], "first_day": day, "last_day": day},
    ):
        expected = preview(reviewer, **conditions).items
        refused = refusal(lambda c=conditions, e=expected: set_all(reviewer, REJECTED, e, **c))  # type: ignore[misc]
        assert (refused.code, refused.fields) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            ("conditions",),
        )
    assert listed(reviewer, item_ids=[item])[item].state == LIVE


def test_a_key_counts_changes_and_undoes_in_its_banks_only(
    helpline: Caller, reviewer: Caller, of_minors: Caller
) -> None:
    _, ids = registered(helpline, distinctive(), distinctive())
    move = review_pb2.MoveItemsRequest(item_ids=ids[:1], bank="minors")
    reviewer("MoveItems", move)
    tag = listed(reviewer, item_ids=ids)[ids[0]].case_tag
    assert preview(of_minors, case_tag=tag).items == 1
    ours = set_all(of_minors, REJECTED, 1, case_tag=tag)
    states = {item_id: item.state for item_id, item in listed(reviewer, item_ids=ids).items()}
    assert states == {ids[0]: REJECTED, ids[1]: LIVE}
    theirs = set_all(reviewer, ENABLED, 2, case_tag=tag)
    assert undo(of_minors, theirs.act).items == 1
    assert undo(of_minors, ours.act).items == 1
    assert undo(reviewer, theirs.act).items == 1
    states = {item_id: item.state for item_id, item in listed(reviewer, item_ids=ids).items()}
    assert states == {ids[0]: LIVE, ids[1]: LIVE}
    assert refusal(lambda: undo(reviewer, 10**9)).code == grpc.StatusCode.NOT_FOUND
