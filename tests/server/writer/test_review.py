"""Review over real sockets: staff list and decide, and every worker follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from disrupt.v1 import registration_pb2, review_pb2, types_pb2
from rig.callers.acts import (
    case_of,
    found,
    listed,
    move,
    newest_acts,
    registered,
    set_states,
    until_found,
    withdraw,
)
from rig.callers.caller import Caller, calling, distinctive, lookup, near, refusal, register
from rig.servers.deployment import Deployment
from rig.waiting import eventually

LIVE = review_pb2.ITEM_STATE_LIVE
ENABLED = review_pb2.ITEM_STATE_ENABLED
DISABLED = review_pb2.ITEM_STATE_DISABLED
REJECTED = review_pb2.ITEM_STATE_REJECTED
FLOOD = 64
"""Items of a flood: all that one registration may have."""


@pytest.fixture
def of_adults(server: Deployment) -> Iterator[Caller]:
    """Connect as staff who review the bank of adults only."""
    secret = server.make_key("staff of adults", "review", banks=("adults",))
    with calling(server.address, secret) as caller:
        yield caller


def conditions(**named: Any) -> review_pb2.ItemConditions:
    return review_pb2.ItemConditions(**named)


def preview(reviewer: Caller, **named: Any) -> Any:
    return reviewer("PreviewItems", review_pb2.PreviewItemsRequest(conditions=conditions(**named)))


def set_all(reviewer: Caller, state: Any, expected: int, **named: Any) -> Any:
    request = review_pb2.SetAllStatesRequest(
        conditions=conditions(**named), state=state, reason="flood", expected_items=expected
    )
    return reviewer("SetAllStates", request)


def undo(reviewer: Caller, act: int) -> Any:
    return reviewer("UndoAct", review_pb2.UndoActRequest(act=act))


def test_an_item_goes_from_every_workers_answers_and_comes_back(
    helpline: Caller, reviewer: Caller, platforms: list[Caller]
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value)
    until_found(platforms, value, item_id)
    for state, reason, matching in (
        (DISABLED, "false_positive", []),
        (ENABLED, "", [item_id]),
        (REJECTED, "spam", []),
    ):
        set_states(reviewer, [item_id], state, reason)
        until_found(platforms, value, *matching)
    acts = [(act.action, act.reason, act.item_id) for act in newest_acts(reviewer, 3)]
    assert acts == [
        (review_pb2.ACTION_REJECT, "spam", item_id),
        (review_pb2.ACTION_ENABLE, "", item_id),
        (review_pb2.ACTION_DISABLE, "false_positive", item_id),
    ]


def test_a_moved_and_a_confirmed_item_is_answered_so(
    helpline: Caller, reviewer: Caller, platforms: list[Caller]
) -> None:
    value = distinctive()
    case, ids = registered(helpline, value)
    assert [item.bank for item in move(reviewer, ids, "minors").items] == ["minors"]
    (item,) = reviewer("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=ids)).items
    assert item.assurance == types_pb2.ASSURANCE_REVIEWED

    def answered(platform: Caller) -> list[tuple[str, int]]:
        matches = platform("MatchHashes", lookup(value)).matches
        banks = [matches.bank_names[place] for place in matches.banks]
        return [*zip(banks, matches.assurances, strict=True)]

    expected = [("minors", types_pb2.ASSURANCE_REVIEWED)]
    eventually(lambda: all(answered(platform) == expected for platform in platforms))
    assert case_of(helpline, case).items[0].age_band == registration_pb2.AGE_BAND_MINOR


def test_a_key_sees_and_changes_items_of_its_banks_only(
    helpline: Caller, reviewer: Caller, of_adults: Caller
) -> None:
    _, (ours, theirs) = registered(helpline, distinctive(), distinctive())
    refused = refusal(lambda: move(of_adults, [ours], "minors"))
    assert refused.code == grpc.StatusCode.PERMISSION_DENIED
    tag = listed(reviewer, item_ids=[theirs])[theirs].case_tag
    move(reviewer, [theirs], "minors")
    assert [*listed(of_adults, item_ids=[ours, theirs])] == [ours]
    refused = refusal(lambda: set_states(of_adults, [theirs], DISABLED))
    assert refused == refusal(lambda: set_states(of_adults, [bytes(16)], DISABLED))
    assert refused.reason == "NOT_FOUND"
    acts = of_adults("ListActs", review_pb2.ListActsRequest()).acts
    assert theirs not in {act.item_id for act in acts}

    assert preview(of_adults, case_tag=tag).items == 1
    set_all(of_adults, REJECTED, 1, case_tag=tag)
    states = {item_id: item.state for item_id, item in listed(reviewer, case_tag=tag).items()}
    assert states == {ours: REJECTED, theirs: LIVE}
    everything = set_all(reviewer, ENABLED, 2, case_tag=tag)
    assert [undo(each, everything.act).items for each in (of_adults, reviewer)] == [1, 1]


def test_pages_of_items_and_acts_go_on_where_the_last_one_ended(
    helpline: Caller, reviewer: Caller
) -> None:
    _, ids = registered(helpline, *(distinctive() for _ in range(5)))
    set_states(reviewer, ids, DISABLED)
    request = review_pb2.ListItemsRequest(conditions=conditions(item_ids=ids), page_size=2)
    pages = list[list[bytes]]()
    while request.page or not pages:
        answer = reviewer("ListItems", request)
        pages.append([item.item_id for item in answer.items])
        request.page = answer.next_page
    assert pages == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    first = reviewer("ListActs", review_pb2.ListActsRequest(page_size=2))
    second = reviewer("ListActs", review_pb2.ListActsRequest(page_size=3, before=first.next_before))
    assert [act.item_id for act in (*first.acts, *second.acts)] == ids[::-1]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (review_pb2.ListActsRequest(first_day="yesterday"), "first_day"),
        (review_pb2.ListActsRequest(last_day="2026-02-30"), "last_day"),
        (review_pb2.ListActsRequest(actions=[4]), "actions"),  # type: ignore[list-item]
        (review_pb2.ListActsRequest(actions=[1] * 101), "actions"),  # type: ignore[list-item]
    ],
)
def test_conditions_on_acts_that_are_none_are_refused(
    reviewer: Caller, asked: review_pb2.ListActsRequest, field: str
) -> None:
    refused = refusal(lambda: reviewer("ListActs", asked))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))


def test_a_flood_among_honest_people_is_rejected_as_one_act_and_shown_again(
    helpline: Caller, reviewer: Caller, platforms: list[Caller]
) -> None:
    honest, values = distinctive(), [distinctive() for _ in range(FLOOD)]
    _, (before,) = registered(helpline, honest)
    case, flood = registered(helpline, *values)
    tags = {item_id: item.case_tag for item_id, item in listed(reviewer).items()}
    tag = tags[flood[0]]
    assert tags[before] != tag
    assert list(listed(reviewer, case_tag=tag)) == flood[::-1]
    until_found(platforms, values[0], flood[0])

    counts = preview(reviewer, case_tag=tag)
    assert (counts.items, counts.cases, counts.hashes) == (FLOOD, 1, FLOOD)
    assert [(each.bank, each.items) for each in counts.banks] == [("adults", FLOOD)]
    assert [each.items for each in counts.days] == [FLOOD]
    assert [(each.state, each.items) for each in counts.states] == [(LIVE, FLOOD)]
    helpline("RegisterHashes", register(distinctive(), case=case))
    refused = refusal(lambda: set_all(reviewer, REJECTED, FLOOD, case_tag=tag))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ITEMS_CHANGED")
    done = set_all(reviewer, REJECTED, FLOOD + 1, case_tag=tag)
    (act,) = newest_acts(reviewer, 1)
    assert (act.number, act.items, act.case_tag) == (done.act, FLOOD + 1, tag)
    assert (act.action, act.reason) == (review_pb2.ACTION_REJECT, "flood")
    for value in values:
        until_found(platforms, value)
    assert all(found(platform, honest) == [before] for platform in platforms)

    again = register(values[1], case=case)
    fingerprints = again.items[0].fingerprints
    fingerprints.hashes += near(values[1], 9)
    fingerprints.qualities *= 2
    fingerprints.plans[:], fingerprints.ordinals[:] = [0, 1], [0, 0]
    (renewed,) = helpline("RegisterHashes", again).receipt.items
    assert renewed.outcome == registration_pb2.REGISTRATION_OUTCOME_RENEWED
    withdraw(helpline, case, flood[0])
    back = undo(reviewer, done.act)
    assert back.items == FLOOD + 1 - 2
    until_found(platforms, values[2], flood[2])
    now = listed(reviewer, case_tag=tag)
    assert flood[0] not in now
    assert now[renewed.item_id].state == REJECTED
    assert undo(reviewer, done.act).items == 0
    (act,) = newest_acts(reviewer, 1)
    assert (act.number, act.action, act.undone) == (back.act, review_pb2.ACTION_UNDO, done.act)


def test_conditions_that_name_no_more_than_what_others_registered_change_nothing(
    helpline: Caller, reviewer: Caller
) -> None:
    _, (item_id,) = registered(helpline, distinctive())
    day = listed(reviewer, item_ids=[item_id])[item_id].registered_on
    for named in (
        {},
        {"states": [LIVE]},
        {"banks": ["adults"], "first_day": day, "last_day": day},
    ):
        expected = preview(reviewer, **named).items
        refused = refusal(lambda e=expected, n=named: set_all(reviewer, REJECTED, e, **n))  # type: ignore[misc]
        assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ("conditions",))
    assert listed(reviewer, item_ids=[item_id])[item_id].state == LIVE
