"""Disputes over real sockets: they narrow what matches for everybody, and hide nobody's picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from disrupt.core.policy import Right
from disrupt.server.desk import open_desk
from disrupt.v1 import match_pb2, review_pb2
from disrupt.wire import admin as wire_admin
from rig.callers.acts import all_changes, found, listed, match_id, registered, report, until_found
from rig.callers.caller import Caller, calling, distinctive, items, lookup, near
from rig.servers.deployment import Deployment
from rig.waiting import eventually

BLOCKED, FALSE_POSITIVE = match_pb2.OUTCOME_BLOCKED, match_pb2.OUTCOME_FALSE_POSITIVE
FLOOR_BITS = 16
FIRST, SECOND = "first to dispute", "second to dispute"


@pytest.fixture
def disputing(server: Deployment) -> Iterator[list[Caller]]:
    """Connect as two other organisations."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(calling(server.address, server.make_key(name, "match")))
            for name in (FIRST, SECOND)
        ]


def dispute(callers: list[Caller], decoy: bytes) -> None:
    """Report what a decoy matches as a false positive, by each of them."""
    for caller in callers:
        report(caller, match_id(caller, decoy), FALSE_POSITIVE)


def settle(reviewer: Caller, item_id: bytes, settlement: Any) -> Any:
    request = review_pb2.SettleDisputesRequest(item_ids=[item_id], settlement=settlement)
    return reviewer("SettleDisputes", request).items[0]


def test_decoys_that_two_platforms_dispute_hide_no_picture(
    helpline: Caller, reviewer: Caller, platforms: list[Caller], disputing: list[Caller]
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value, minor=True)
    for bits in (31, 22, 17):
        dispute(disputing, near(value, bits))
        until_found(platforms, near(value, bits))
        until_found(platforms, near(value, bits - 1), item_id)
    # not even where it is disputed as near as the same picture is
    dispute(disputing, near(value, 3))
    for bits in (0, 3, FLOOR_BITS):
        until_found([*platforms, *disputing], near(value, bits), item_id)
    disputes = listed(reviewer, item_ids=[item_id])[item_id].disputes
    assert (disputes.organisations, disputes.narrowed, disputes.silent) == (2, 1, 0)
    assert {*disputes.needs_staff} == {"within_floor", "minor"}


def test_one_organisation_narrows_nothing_and_a_dispute_is_corrected_or_ends_with_its_key(
    server: Deployment, helpline: Caller, platforms: list[Caller], disputing: list[Caller]
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value)
    far = near(value, 20)
    first, second = disputing
    dispute([first] * 3, far)
    until_found(platforms, far, item_id)
    others = match_id(second, far)
    report(second, others, FALSE_POSITIVE)
    until_found(platforms, far)
    report(second, others, BLOCKED)
    until_found(platforms, far, item_id)
    with open_desk(server.data_dir) as desk:
        made = desk.CreateKey(wire_admin.create_request("third to dispute", (Right.MATCH,), ()))
        with calling(server.address, made.secret) as third:
            dispute([third], far)
        until_found(platforms, far)
        desk.RevokeKey(wire_admin.revoke_request(made.key.key_id))
    until_found(platforms, far, item_id)


def test_what_an_organisation_disputes_is_marked_and_last_for_itself_alone(
    server: Deployment, helpline: Caller, disputing: list[Caller], platform: Caller
) -> None:
    value = distinctive()
    _, (disputed,) = registered(helpline, near(value, 14))
    own = match_id(disputing[0], value)
    _, (other,) = registered(helpline, near(value, 30))
    report(disputing[0], own, FALSE_POSITIVE)

    def answered(caller: Caller) -> list[tuple[bytes, bool]]:
        answer = caller("MatchHashes", lookup(value))
        marks = answer.matches.disputed or [False] * len(items(answer))
        return list(zip(items(answer), marks, strict=True))

    with ExitStack() as stack:
        secret = disputing[0].key
        of_own = [stack.enter_context(calling(server.address, secret)) for _ in range(6)]
        marked = [(other, False), (disputed, True)]
        eventually(lambda: all(answered(each) == marked for each in of_own))
        # what is disputed takes no other's place
        assert all(found(each, value, max_matches=1) == [other] for each in of_own)
    plain = [(disputed, False), (other, False)]
    eventually(lambda: answered(disputing[1]) == answered(platform) == plain)


def test_staff_see_who_disputes_what_and_settle_it(
    helpline: Caller, reviewer: Caller, platforms: list[Caller], disputing: list[Caller]
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value)
    far = near(value, 20)
    matched = match_id(platforms[0], far)
    first, second = disputing
    # ids of several hashes are joined: the item is reported once, by its nearest version
    report(first, match_id(first, near(value, 25)) + match_id(first, far), FALSE_POSITIVE)
    dispute([second], far)
    report(platforms[0], matched, BLOCKED)
    until_found(platforms, far)

    answer = reviewer("ShowItem", review_pb2.ShowItemRequest(match_id=matched))
    assert answer.item.item_id == item_id
    assert [version.distance_bits for version in answer.matched] == [20]
    reports = {
        (each.organisation, each.outcome): [version.distance_bits for version in each.versions]
        for each in answer.reports
    }
    assert reports == {
        (FIRST, FALSE_POSITIVE): [20],
        (SECOND, FALSE_POSITIVE): [20],
        ("match", BLOCKED): [],
    }
    assert item_id in listed(reviewer, disputed=True)
    assert item_id not in listed(reviewer, needs_staff=True)

    upheld = settle(reviewer, item_id, review_pb2.SETTLEMENT_UPHELD)
    assert upheld.disputes.narrowed == 1
    assert item_id not in listed(reviewer, disputed=True)
    until_found(platforms, far)


def test_what_staff_have_widened_stays_so_whatever_is_reported_again(
    helpline: Caller, reviewer: Caller, platforms: list[Caller], disputing: list[Caller]
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value)
    far = near(value, 20)
    dispute(disputing, far)
    until_found(platforms, far)
    for _ in range(2):
        settled = settle(reviewer, item_id, review_pb2.SETTLEMENT_WIDENED)
        assert not settled.HasField("disputes")
    until_found([*platforms, *disputing], far, item_id)
    dispute(disputing, far)
    until_found(platforms, far, item_id)
    eventually(lambda: not disputing[0]("MatchHashes", lookup(far)).matches.disputed)


def test_a_mirror_reads_how_far_an_item_is_narrowed(
    server: Deployment, helpline: Caller, disputing: list[Caller]
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value)
    dispute(disputing, near(value, 20))

    def narrowed(mirror: Caller) -> list[int]:
        of_item = (each.added for each in all_changes(mirror) if each.added.item_id == item_id)
        return list([*of_item][-1].fingerprints.below_bits)

    with calling(server.address, server.make_key("mirror of disputes", "feed")) as mirror:
        eventually(lambda: narrowed(mirror) == [20])
