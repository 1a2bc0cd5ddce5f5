"""Pictures in common use over real sockets: staff add them, and every worker marks by them."""

from __future__ import annotations

import secrets as random_bytes
from collections.abc import Iterator

import grpc
import pytest

from disrupt.v1 import registration_pb2, review_pb2, types_pb2
from rig.callers.acts import (
    all_changes,
    case_of,
    found,
    listed,
    move,
    newest_acts,
    registered,
    set_states,
    until_found,
)
from rig.callers.caller import Caller, calling, distinctive, items, lookup, near, refusal, register
from rig.servers.deployment import Deployment
from rig.waiting import eventually


@pytest.fixture
def of_adults(server: Deployment) -> Iterator[Caller]:
    """Connect as staff who review the bank of adults only."""
    secret = server.make_key("staff of adults who know templates", "review", banks=("adults",))
    with calling(server.address, secret) as caller:
        yield caller


def add(reviewer: Caller, value: bytes, *, although_matched: bool = False) -> review_pb2.ReviewItem:
    request = review_pb2.AddCommonPictureRequest(
        request_id=random_bytes.token_bytes(16),
        fingerprints=types_pb2.Fingerprints(hashes=value, qualities=bytes([90])),
        reason="template",
        although_matched=although_matched,
    )
    added: review_pb2.ReviewItem = reviewer("AddCommonPicture", request).item
    return added


def take_out(reviewer: Caller, *item_ids: bytes) -> None:
    request = review_pb2.RemoveCommonPicturesRequest(item_ids=item_ids, reason="a_mistake")
    reviewer("RemoveCommonPictures", request)


def until_marked(platforms: list[Caller], value: bytes, marked: list[tuple[bytes, bool]]) -> None:
    """Wait until every worker answers with these items, so marked."""

    def answered(platform: Caller) -> list[tuple[bytes, bool]]:
        answer = platform("MatchHashes", lookup(value))
        marks = answer.matches.common or [False] * len(items(answer))
        return list(zip(items(answer), marks, strict=True))

    eventually(lambda: all(answered(platform) == marked for platform in platforms))


def test_what_a_template_explains_is_marked_until_it_is_taken_out(
    helpline: Caller, reviewer: Caller, of_adults: Caller, platforms: list[Caller]
) -> None:
    victims = distinctive()
    # of the same template, and unlike the victim's; nearer to another picture than to the template
    template, unrelated, copy = near(victims, 12), near(victims, 20), near(victims, 3)
    _, (item_id,) = registered(helpline, victims)
    until_found(platforms, victims, item_id)
    refused = refusal(lambda: add(reviewer, template))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "PICTURE_MATCHES",
    )
    added = add(of_adults, template, although_matched=True)
    assert (added.bank, added.hashes) == ("common", 1)
    until_marked(platforms, unrelated, [(item_id, True)])
    until_marked(platforms, copy, [(item_id, False)])
    assert {*map(len, (found(each, unrelated, leave_out_common=True) for each in platforms))} == {0}
    nearer = helpline("RegisterHashes", register(near(victims, 31))).receipt.items[0]
    assert nearer.wait_reason == registration_pb2.WAIT_REASON_COMMON

    for staff in (reviewer, of_adults):
        assert added.item_id in listed(staff, banks=["common"])
        assert added.item_id not in listed(staff)
    take_out(of_adults, added.item_id)
    until_marked(platforms, unrelated, [(item_id, False)])
    acts = [(act.action, act.reason, act.item_id) for act in newest_acts(reviewer, 2)]
    assert acts == [
        (review_pb2.ACTION_COMMON_REMOVED, "a_mistake", added.item_id),
        (review_pb2.ACTION_COMMON_ADDED_ALTHOUGH_MATCHED, "template", added.item_id),
    ]


def test_no_other_call_names_the_bank_or_changes_what_is_in_it(
    server: Deployment, helpline: Caller, reviewer: Caller, platforms: list[Caller]
) -> None:
    template, victims = distinctive(), distinctive()
    common = add(reviewer, template).item_id
    case, (item_id,) = registered(helpline, victims)
    until_found(platforms, victims, item_id)  # once a worker has both
    until_found(platforms, template)

    off = review_pb2.ITEM_STATE_DISABLED
    named = review_pb2.ItemConditions(banks=["common"], item_ids=[common])
    beside = review_pb2.ListItemsRequest(
        conditions=review_pb2.ItemConditions(banks=["common", "adults"])
    )
    for call, reason in (
        (lambda: move(reviewer, [common], "common"), "INVALID_REQUEST"),
        (
            lambda: reviewer("PreviewItems", review_pb2.PreviewItemsRequest(conditions=named)),
            "RIGHT_MISSING",
        ),
        (
            lambda: reviewer(
                "SetAllStates", review_pb2.SetAllStatesRequest(conditions=named, state=off)
            ),
            "RIGHT_MISSING",
        ),
        (lambda: reviewer("ListItems", beside), "RIGHT_MISSING"),
        (lambda: move(reviewer, [common], "adults"), "NOT_FOUND"),
        (lambda: set_states(reviewer, [common], off), "NOT_FOUND"),
        (
            lambda: reviewer("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=[common])),
            "NOT_FOUND",
        ),
        (
            lambda: reviewer("ShowItem", review_pb2.ShowItemRequest(item_id=common)),
            "NOT_FOUND",
        ),
        (lambda: take_out(reviewer, item_id), "NOT_FOUND"),
    ):
        assert refusal(call).reason == reason
    everything = server.make_key("mirror beside templates", "feed", "match")
    with calling(server.address, everything) as mirror:
        given = {change.added.item_id for change in all_changes(mirror)}
    assert item_id in given
    assert common not in given
    assert len(case_of(helpline, case).items) == 1
