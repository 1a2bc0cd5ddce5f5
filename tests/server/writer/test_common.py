"""Pictures in common use over real sockets: staff add them, and every worker marks by them."""

from __future__ import annotations

import secrets as random_bytes
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, review_pb2, types_pb2
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

OF_COMMON = review_pb2.ListItemsRequest(
    conditions=review_pb2.ItemConditions(banks=["common"]), page_size=500
)


@pytest.fixture
def of_adults(server: Deployment) -> Iterator[Caller]:
    """Connect as staff who review the bank of adults only."""
    secret = server.make_key("staff of adults who know templates", "review", banks=("adults",))
    with calling(server.address, secret) as caller:
        yield caller


def adding(value: bytes, *, although_matched: bool = False) -> review_pb2.AddCommonPictureRequest:
    return review_pb2.AddCommonPictureRequest(
        request_id=random_bytes.token_bytes(16),
        fingerprints=types_pb2.Fingerprints(hashes=value, qualities=bytes([90])),
        reason="template",
        although_matched=although_matched,
    )


def until_answered(
    platforms: list[Caller], request: Any, expected: list[tuple[bytes, bool]]
) -> None:
    """Wait until every worker answers with these items, so marked."""

    def answered(platform: Caller) -> bool:
        response = platform("MatchHashes", request)
        found = items(response)
        return [
            *zip(found, response.matches.common or [False] * len(found), strict=True)
        ] == expected

    for platform in platforms:
        eventually(lambda p=platform: answered(p))  # type: ignore[misc]


def test_what_a_template_explains_is_marked_and_last_until_it_is_taken_out(
    helpline: Caller, reviewer: Caller, of_adults: Caller, platforms: list[Caller]
) -> None:
    victims, other = distinctive(), distinctive()
    template = near(victims, 12)
    # of the same template, and unlike the victim's; nearer to another picture than to the template
    unrelated, copy = near(victims, 20), near(victims, 3)
    (item_id,) = (
        item.item_id for item in helpline("RegisterHashes", register(victims)).receipt.items
    )
    for platform in platforms:
        eventually(lambda p=platform: items(p("MatchHashes", lookup(victims))) == [item_id])  # type: ignore[misc]

    refused = refusal(lambda: reviewer("AddCommonPicture", adding(template)))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PICTURE_MATCHES",
    )
    added = of_adults("AddCommonPicture", adding(template, although_matched=True)).item
    assert (added.bank, added.hashes) == ("common", 1)
    harmless = of_adults("AddCommonPicture", adding(other, although_matched=True)).item

    until_answered(platforms, lookup(unrelated), [(item_id, True)])
    until_answered(platforms, lookup(unrelated, leave_out_common=True), [])
    until_answered(platforms, lookup(copy), [(item_id, False)])
    until_answered(platforms, lookup(copy, leave_out_common=True), [(item_id, False)])
    until_answered(platforms, lookup(template), [(item_id, True)])
    nearer = helpline("RegisterHashes", register(near(victims, 31))).receipt.items[0]
    assert nearer.wait_reason == registration_pb2.WAIT_REASON_COMMON

    for staff in (reviewer, of_adults):
        listed = {item.item_id for item in staff("ListItems", OF_COMMON).items}
        assert listed >= {added.item_id, harmless.item_id}
        every = staff("ListItems", review_pb2.ListItemsRequest(page_size=500)).items
        assert not {item.bank for item in every} & {"common"}
    of_adults(
        "RemoveCommonPictures",
        review_pb2.RemoveCommonPicturesRequest(
            item_ids=[added.item_id, harmless.item_id], reason="a_mistake"
        ),
    )
    until_answered(platforms, lookup(unrelated), [(item_id, False)])
    acts = reviewer("ListActs", review_pb2.ListActsRequest(page_size=500)).acts
    named = [
        (act.action, act.reason, act.bank)
        for act in acts
        if act.item_id in {added.item_id, harmless.item_id}
    ]
    assert named == [
        *[(review_pb2.ACTION_COMMON_REMOVED, "a_mistake", "common")] * 2,
        (review_pb2.ACTION_COMMON_ADDED, "template", "common"),
        (review_pb2.ACTION_COMMON_ADDED_ALTHOUGH_MATCHED, "template", "common"),
    ]


def test_no_other_call_names_the_bank_or_changes_what_is_in_it(
    server: Deployment, helpline: Caller, reviewer: Caller, platforms: list[Caller]
) -> None:
    template, victims = distinctive(), distinctive()
    added = reviewer("AddCommonPicture", adding(template)).item
    receipt = helpline("RegisterHashes", register(victims)).receipt
    # once a worker has both
    for platform in platforms:
        eventually(lambda p=platform: bool(items(p("MatchHashes", lookup(victims)))))  # type: ignore[misc]
    assert not any(items(platform("MatchHashes", lookup(template))) for platform in platforms)

    named = match_pb2.MatchHashesRequest(
        hashes=template, options=match_pb2.MatchOptions(banks=["common"])
    )
    of_common = review_pb2.ItemConditions(banks=["common"], key_id=added.key_id)
    ids, victims_ids = [added.item_id], [item.item_id for item in receipt.items]
    move = review_pb2.MoveItemsRequest
    codes = {
        refusal(lambda m=method, r=request, c=caller: c(m, r)).code  # type: ignore[misc]
        for caller, method, request in (
            (platforms[0], "MatchHashes", named),
            (reviewer, "MoveItems", move(item_ids=victims_ids, bank="common")),
            (reviewer, "MoveItems", move(item_ids=ids, bank="common")),
        )
    }
    assert codes == {grpc.StatusCode.INVALID_ARGUMENT}
    conditions = review_pb2.ItemConditions(banks=["common", "adults"])
    codes = {
        refusal(lambda m=method, r=request: reviewer(m, r)).code  # type: ignore[misc]
        for method, request in (
            ("PreviewItems", review_pb2.PreviewItemsRequest(conditions=of_common)),
            ("SetAllStates", review_pb2.SetAllStatesRequest(conditions=of_common, state=2)),  # type: ignore[arg-type]
            ("ListItems", review_pb2.ListItemsRequest(conditions=conditions)),
        )
    }
    assert codes == {grpc.StatusCode.PERMISSION_DENIED}
    off = review_pb2.ITEM_STATE_DISABLED
    codes = {
        refusal(lambda m=method, r=request: reviewer(m, r)).code  # type: ignore[misc]
        for method, request in (
            ("MoveItems", move(item_ids=ids, bank="adults")),
            ("SetItemStates", review_pb2.SetItemStatesRequest(item_ids=ids, state=off)),
            ("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=ids)),
            ("ShowItem", review_pb2.ShowItemRequest(item_id=added.item_id)),
            ("RemoveCommonPictures", review_pb2.RemoveCommonPicturesRequest(item_ids=victims_ids)),
        )
    }
    assert codes == {grpc.StatusCode.NOT_FOUND}
    everything = server.make_key("mirror beside templates", "feed", "match")
    with calling(server.address, everything) as mirror:
        given, cursor, caught_up = set[bytes](), "", False
        while not caught_up:
            request = feed_pb2.ListChangesRequest(cursor=cursor, page_size=1000)
            page = mirror("ListChanges", request)
            given |= {change.added.item_id for change in page.changes}
            cursor, caught_up = page.next_cursor, page.caught_up
    assert victims_ids[0] in given
    assert added.item_id not in given
    case = helpline("GetCase", registration_pb2.GetCaseRequest(access=access(receipt.case_number)))
    assert len(case.case.items) == 1
