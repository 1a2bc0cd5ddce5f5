"""Disputes over real sockets: they narrow what matches for everybody, and hide nobody's picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from disrupt.core.policy import Right
from disrupt.server.desk import open_desk
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, review_pb2
from disrupt.wire import admin as wire_admin
from rig.callers.caller import Caller, calling, distinctive, items, lookup, near, refusal, register
from rig.servers.deployment import Deployment
from rig.waiting import eventually

FALSE_POSITIVE = match_pb2.OUTCOME_FALSE_POSITIVE
FLOOR_BITS = 16
DECOYS_BITS = (17, 22, 31)


@pytest.fixture
def disputing(server: Deployment) -> Iterator[list[Caller]]:
    """Connect as two other organisations."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(calling(server.address, server.make_key(name, "match")))
            for name in ("first to dispute", "second to dispute")
        ]


def registered(helpline: Caller, value: bytes, age: Any = registration_pb2.AGE_BAND_ADULT) -> bytes:
    """Register a hash; return the item id."""
    request = register(value)
    request.context.age_band = age
    item_id: bytes = helpline("RegisterHashes", request).receipt.items[0].item_id
    return item_id


def matched(caller: Caller, value: bytes) -> bytes:
    """Return the match id of the one item near a hash, once the worker has it."""
    eventually(lambda: len(items(caller("MatchHashes", lookup(value)))) == 1)
    return bytes(caller("MatchHashes", lookup(value)).matches.match_ids[0])


def report(caller: Caller, match_id: bytes, outcome: Any = FALSE_POSITIVE) -> None:
    caller("ReportOutcome", match_pb2.ReportOutcomeRequest(match_id=match_id, outcome=outcome))


def dispute(callers: list[Caller], decoy: bytes) -> None:
    """Report what a decoy matches as a false positive, by each of them."""
    for caller in callers:
        report(caller, matched(caller, decoy))


def matches(callers: list[Caller], value: bytes) -> set[int]:
    """Return how many items the callers are answered near a hash."""
    return {len(items(caller("MatchHashes", lookup(value)))) for caller in callers}


def shown(reviewer: Caller, **named: bytes) -> Any:
    return reviewer("ShowItem", review_pb2.ShowItemRequest(**named))


def settle(reviewer: Caller, item_id: bytes, settlement: Any) -> Any:
    request = review_pb2.SettleDisputesRequest(item_ids=[item_id], settlement=settlement)
    return reviewer("SettleDisputes", request).items[0]


def reviewed(reviewer: Caller, item_id: bytes) -> None:
    """Enable and confirm an item."""
    state = review_pb2.ITEM_STATE_ENABLED
    reviewer("SetItemStates", review_pb2.SetItemStatesRequest(item_ids=[item_id], state=state))
    reviewer("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=[item_id]))


@pytest.mark.parametrize("of", ["adult", "minor", "reviewed"])
def test_decoys_that_two_platforms_dispute_hide_no_picture(
    helpline: Caller,
    reviewer: Caller,
    platforms: list[Caller],
    disputing: list[Caller],
    of: str,
) -> None:
    value = distinctive()
    minor = of == "minor"
    age = registration_pb2.AGE_BAND_MINOR if minor else registration_pb2.AGE_BAND_ADULT
    item_id = registered(helpline, value, age)
    if of == "reviewed":
        reviewed(reviewer, item_id)
    for bits in reversed(DECOYS_BITS):
        dispute(disputing, near(value, bits))
        eventually(lambda bits=bits: matches(platforms, near(value, bits)) == {0})  # type: ignore[misc]
        assert matches(platforms, near(value, bits - 1)) == {1}
    # not even where it is disputed as near as the same picture is
    dispute(disputing, near(value, 3))
    everybody = [*platforms, *disputing]
    for bits in (0, 3, FLOOR_BITS):
        eventually(lambda bits=bits: matches(everybody, near(value, bits)) == {1})  # type: ignore[misc]
    item = shown(reviewer, item_id=item_id).item
    assert item.disputes.organisations == 2
    assert (item.disputes.narrowed, item.disputes.silent) == (1, 0)
    assert set(item.disputes.needs_staff) == {"within_floor", *(["minor"] if minor else [])}


def test_one_organisation_narrows_nothing_and_a_dispute_is_corrected(
    helpline: Caller, platforms: list[Caller], disputing: list[Caller]
) -> None:
    value = distinctive()
    registered(helpline, value)
    far = near(value, 20)
    first, second = disputing
    own = matched(first, far)
    for _ in range(3):
        report(first, matched(first, far))
    assert matches(platforms, far) == {1}
    others = matched(second, far)
    report(second, others)
    eventually(lambda: matches(platforms, far) == {0})
    report(second, others, match_pb2.OUTCOME_BLOCKED)
    eventually(lambda: matches(platforms, far) == {1})
    report(first, own)
    assert matches(platforms, far) == {1}


def test_a_revoked_key_widens_again(
    server: Deployment, helpline: Caller, platforms: list[Caller], disputing: list[Caller]
) -> None:
    value = distinctive()
    registered(helpline, value)
    far = near(value, 20)
    with open_desk(server.data_dir) as desk:
        made = desk.CreateKey(wire_admin.create_request("third to dispute", (Right.MATCH,), ()))
    with calling(server.address, made.secret) as third:
        dispute([disputing[0], third], far)
        eventually(lambda: matches(platforms, far) == {0})
        with open_desk(server.data_dir) as desk:
            desk.RevokeKey(wire_admin.revoke_request(made.key.key_id))
    eventually(lambda: matches(platforms, far) == {1})


def test_what_an_organisation_disputes_is_marked_and_last_for_itself_alone(
    server: Deployment, helpline: Caller, disputing: list[Caller], platform: Caller
) -> None:
    value = distinctive()
    disputed = registered(helpline, near(value, 14))
    own = matched(disputing[0], value)
    other = registered(helpline, near(value, 30))
    report(disputing[0], own)

    def answered(caller: Caller, asked: bytes, **options: Any) -> list[tuple[bytes, bool]]:
        answer = caller("MatchHashes", lookup(asked, **options))
        marks = answer.matches.disputed or [False] * len(items(answer))
        return list(zip(items(answer), marks, strict=True))

    marked = [(other, False), (disputed, True)]
    secret = disputing[0].key
    with ExitStack() as stack:
        of_own = [stack.enter_context(calling(server.address, secret)) for _ in range(6)]
        eventually(lambda: all(answered(each, value) == marked for each in of_own))
        # what is disputed takes no other's place
        for each in of_own:
            answer = each("MatchHashes", lookup(value, max_matches=1))
            assert items(answer) == [other]
            assert list(answer.truncated_queries) == [0]
        # nearer copies are not what is disputed
        assert all((disputed, False) in answered(each, near(value, 1)) for each in of_own)
    plain = [(disputed, False), (other, False)]
    assert answered(disputing[1], value) == plain
    assert answered(platform, value) == plain


def test_staff_see_who_disputes_what_and_settle_it(
    helpline: Caller, reviewer: Caller, platforms: list[Caller], disputing: list[Caller]
) -> None:
    value = distinctive()
    item_id = registered(helpline, value)
    far = near(value, 20)
    match_id = matched(platforms[0], far)
    dispute(disputing, far)
    report(platforms[0], matched(platforms[0], value), match_pb2.OUTCOME_BLOCKED)
    eventually(lambda: matches(platforms, far) == {0})

    answer = shown(reviewer, match_id=match_id)
    assert answer.item.item_id == item_id
    assert [version.distance_bits for version in answer.matched] == [20]
    reports = {(each.organisation, each.outcome): each for each in answer.reports}
    assert len(reports) == 3
    for name in ("first to dispute", "second to dispute"):
        (version,) = reports[name, FALSE_POSITIVE].versions
        assert (version.distance_bits, version.variant.plan, version.variant.ordinal) == (20, 0, 0)
    listed = reviewer(
        "ListItems",
        review_pb2.ListItemsRequest(
            conditions=review_pb2.ItemConditions(disputed=True), page_size=500
        ),
    )
    assert item_id in [item.item_id for item in listed.items]
    asked = review_pb2.ListItemsRequest(
        conditions=review_pb2.ItemConditions(needs_staff=True), page_size=500
    )
    assert item_id not in [item.item_id for item in reviewer("ListItems", asked).items]

    for _ in range(2):
        settled = settle(reviewer, item_id, review_pb2.SETTLEMENT_WIDENED)
        assert not settled.HasField("disputes")
    eventually(lambda: matches(platforms, far) == {1})
    # nor does the same count again, and nobody's own is marked
    dispute(disputing, far)
    assert matches(platforms, far) == {1}
    (first, *_) = disputing
    eventually(lambda: not first("MatchHashes", lookup(far)).matches.disputed)


def test_what_staff_uphold_stays_narrowed(
    helpline: Caller, reviewer: Caller, platforms: list[Caller], disputing: list[Caller]
) -> None:
    value = distinctive()
    item_id = registered(helpline, value)
    far = near(value, 20)
    dispute(disputing, far)
    settled = settle(reviewer, item_id, review_pb2.SETTLEMENT_UPHELD)
    assert settled.disputes.narrowed == 1
    eventually(lambda: matches(platforms, far) == {0})
    listed = reviewer(
        "ListItems",
        review_pb2.ListItemsRequest(
            conditions=review_pb2.ItemConditions(disputed=True), page_size=500
        ),
    )
    assert item_id not in [item.item_id for item in listed.items]


def test_a_mirror_reads_how_far_an_item_is_narrowed(
    server: Deployment, helpline: Caller, disputing: list[Caller]
) -> None:
    value = distinctive()
    item_id = registered(helpline, value)
    dispute(disputing, near(value, 20))

    def last_added(mirror: Caller) -> list[int]:
        cursor, below = "", list[int]()
        while True:
            asked = feed_pb2.ListChangesRequest(cursor=cursor, page_size=1000)
            page = mirror("ListChanges", asked)
            for change in page.changes:
                if change.added.item_id == item_id:
                    below = list(change.added.fingerprints.below_bits)
            cursor = page.next_cursor
            if page.caught_up:
                return below

    with calling(server.address, server.make_key("mirror of disputes", "feed")) as mirror:
        eventually(lambda: last_added(mirror) == [20])


def test_what_is_registered_is_not_disputed(helpline: Caller) -> None:
    request = register(distinctive())
    request.items[0].fingerprints.below_bits.append(0)
    assert refusal(lambda: helpline("RegisterHashes", request)).fields == (
        "items[0].fingerprints.below_bits",
    )


def test_match_ids_of_several_hashes_are_joined_and_of_several_items_are_not(
    helpline: Caller, disputing: list[Caller], reviewer: Caller
) -> None:
    value, other = distinctive(), distinctive()
    item_id = registered(helpline, value)
    registered(helpline, other)
    ids = [matched(disputing[0], near(value, bits)) for bits in (20, 15)]
    report(disputing[0], b"".join(ids))
    (only,) = shown(reviewer, item_id=item_id).reports
    assert [version.distance_bits for version in only.versions] == [15]
    mixed = ids[0] + matched(disputing[0], other)
    refused = refusal(lambda: report(disputing[0], mixed))
    assert refused.fields == ("match_id",)
