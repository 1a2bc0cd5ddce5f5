"""A case whose PIN is lost, over real sockets: two keys erase, its owner keeps."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from disrupt.admin.v1 import admin_pb2
from disrupt.server.desk import open_desk
from disrupt.v1 import registration_pb2, review_pb2
from disrupt.wire import admin as wire
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


@pytest.fixture
def second(server: Deployment) -> Iterator[Caller]:
    """Connect as another person of the staff."""
    with calling(server.address, server.make_key("second of the staff", "review")) as caller:
        yield caller


def erase(reviewer: Caller, case: str) -> review_pb2.EraseCaseResponse:
    answer: review_pb2.EraseCaseResponse = reviewer(
        "EraseCase", review_pb2.EraseCaseRequest(case_number=case)
    )
    return answer


def shown(helpline: Caller, case: str) -> registration_pb2.Case:
    opened: registration_pb2.Case = helpline(
        "GetCase", registration_pb2.GetCaseRequest(access=access(case))
    ).case
    return opened


def test_what_two_people_have_erased_matches_meanwhile_and_its_owner_sees_and_keeps_it(
    helpline: Caller, reviewer: Caller, second: Caller, platform: Caller
) -> None:
    value, later = distinctive(), distinctive()
    receipt = helpline("RegisterHashes", register(value)).receipt
    case, (item,) = receipt.case_number, receipt.items
    first = erase(reviewer, case.lower().replace("-", ""))
    assert (first.erased_on, first.items) == ("", 1)
    assert first.confirm_until_s
    assert shown(helpline, case).erased_on == ""
    confirmed = erase(second, case)
    assert (confirmed.confirm_until_s, confirmed.erased_on > "2026") == (0, True)
    helpline("RegisterHashes", register(later))
    eventually(lambda: len(items(platform("MatchHashes", lookup(later)))) == 1)
    assert items(platform("MatchHashes", lookup(value))) == [item.item_id]
    assert shown(helpline, case).erased_on == confirmed.erased_on
    refused = refusal(lambda: helpline("RegisterHashes", register(distinctive(), case=case)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CASE_ERASING")
    enable = review_pb2.SetItemStatesRequest(
        item_ids=[item.item_id], state=review_pb2.ITEM_STATE_ENABLED
    )
    assert reviewer("SetItemStates", enable).items[0].state == review_pb2.ITEM_STATE_ENABLED
    wrong = registration_pb2.KeepCaseRequest(access=access(case, "999999999999"))
    assert refusal(lambda: helpline("KeepCase", wrong)).reason == "CASE_REFUSED"
    keep = registration_pb2.KeepCaseRequest(access=access(case))
    for _ in range(2):
        kept = helpline("KeepCase", keep).case
        assert (kept.erased_on, kept.items[0].state) == ("", registration_pb2.CASE_ITEM_STATE_LIVE)
    assert items(platform("MatchHashes", lookup(value))) == [item.item_id]
    acts = reviewer("ListActs", review_pb2.ListActsRequest(page_size=4)).acts
    assert [act.action for act in acts] == [
        review_pb2.ACTION_ERASE_STOPPED,
        review_pb2.ACTION_ENABLE,
        review_pb2.ACTION_ERASE_CONFIRMED,
        review_pb2.ACTION_ERASE_REQUESTED,
    ]
    assert [bool(act.item_id) for act in acts] == [False, True, False, False]


def test_two_keys_of_one_person_erase_nothing(
    server: Deployment, helpline: Caller, reviewer: Caller
) -> None:
    case = helpline("RegisterHashes", register(distinctive())).receipt.case_number
    with open_desk(server.data_dir) as desk:
        key_id = next(
            key.key_id
            for key in desk.ListKeys(admin_pb2.ListKeysRequest()).keys
            if key.name == "review"
        )
        rotated = desk.RotateKey(wire.rotate_request(key_id, 14)).secret
    erase(reviewer, case)
    with calling(server.address, rotated) as successor:
        assert erase(successor, case).erased_on == ""
    assert shown(helpline, case).erased_on == ""


def test_a_helpline_and_a_strange_number_are_refused(helpline: Caller, reviewer: Caller) -> None:
    case = helpline("RegisterHashes", register(distinctive())).receipt.case_number
    assert refusal(lambda: erase(helpline, case)).reason == "RIGHT_MISSING"
    assert refusal(lambda: erase(reviewer, "ABC")).fields == ("case_number",)
    helpline("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(case)))
    assert refusal(lambda: erase(reviewer, case)).reason == "CASE_CLOSED"
