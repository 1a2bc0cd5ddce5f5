"""A case whose PIN is lost, over real sockets: two people's keys erase, its owner keeps."""

from __future__ import annotations

from typing import Any

from disrupt.core.policy import Right
from disrupt.server.desk import open_desk
from disrupt.v1 import registration_pb2, review_pb2
from disrupt.wire import admin as wire
from rig.callers.acts import case_of, found, newest_acts, registered, set_states, until_found
from rig.callers.caller import Caller, access, calling, distinctive, refusal, register
from rig.servers.deployment import Deployment


def erase(reviewer: Caller, case: str) -> Any:
    return reviewer("EraseCase", review_pb2.EraseCaseRequest(case_number=case))


def test_what_two_people_have_erased_matches_meanwhile_and_its_owner_sees_and_keeps_it(
    server: Deployment, helpline: Caller, reviewer: Caller, platform: Caller
) -> None:
    value = distinctive()
    case, (item_id,) = registered(helpline, value)
    with open_desk(server.data_dir) as desk:
        made = desk.CreateKey(wire.create_request("first of the staff", (Right.REVIEW,), ()))
        successor = desk.RotateKey(wire.rotate_request(made.key.key_id, 14)).secret
    other = server.make_key("second of the staff", "review")
    with calling(server.address, made.secret) as first:
        asked = erase(first, case.lower().replace("-", ""))
    assert (asked.erased_on, asked.items, asked.confirm_until_s > 0) == ("", 1, True)
    with calling(server.address, successor) as same_person:
        assert erase(same_person, case).erased_on == ""
    assert case_of(helpline, case).erased_on == ""
    with calling(server.address, other) as second:
        confirmed = erase(second, case)
    assert (confirmed.confirm_until_s, confirmed.erased_on > "2026") == (0, True)
    later = distinctive()
    until_found([platform], later, *registered(helpline, later)[1])
    assert found(platform, value) == [item_id]
    assert case_of(helpline, case).erased_on == confirmed.erased_on
    more = register(distinctive(), case=case)
    assert refusal(lambda: helpline("RegisterHashes", more)).reason == "CASE_ERASING"
    set_states(reviewer, [item_id], review_pb2.ITEM_STATE_ENABLED)

    wrong = registration_pb2.KeepCaseRequest(access=access(case, "999999999999"))
    assert refusal(lambda: helpline("KeepCase", wrong)).reason == "CASE_REFUSED"
    keep = registration_pb2.KeepCaseRequest(access=access(case))
    for _ in range(2):
        kept = helpline("KeepCase", keep).case
        assert (kept.erased_on, kept.items[0].state) == ("", registration_pb2.CASE_ITEM_STATE_LIVE)
    assert found(platform, value) == [item_id]
    acts = newest_acts(reviewer, 4)
    assert [(act.action, act.item_id) for act in acts] == [
        (review_pb2.ACTION_ERASE_STOPPED, b""),
        (review_pb2.ACTION_ENABLE, item_id),
        (review_pb2.ACTION_ERASE_CONFIRMED, b""),
        (review_pb2.ACTION_ERASE_REQUESTED, b""),
    ]
