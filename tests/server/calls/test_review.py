"""Review over real sockets: staff list and decide, and every worker follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.core.acts import ActRecord as Record
from disrupt.core.acts import Verification
from disrupt.v1 import feed_pb2, match_pb2, registration_pb2, review_pb2, types_pb2
from disrupt.wire.review import ITEMS_AT_ONCE
from tests.server.caller import (
    Caller,
    access,
    calling,
    distinctive,
    eventually,
    items,
    lookup,
    refusal,
    register,
)

pytestmark = pytest.mark.slow

LIVE, DISABLED = types_pb2.ITEM_STATE_LIVE, types_pb2.ITEM_STATE_DISABLED


@pytest.fixture
def platforms(server: Deployment, secrets: dict[str, str]) -> Iterator[list[Caller]]:
    """Open eight connections, which the kernel spreads over the workers."""
    with ExitStack() as stack:
        yield [stack.enter_context(calling(server.address, secrets["match"])) for _ in range(8)]


@pytest.fixture
def of_adults(server: Deployment) -> Iterator[Caller]:
    """Connect as staff who review the bank of adults only."""
    secret = server.make_key("adults", "review", banks=("adults",))
    with calling(server.address, secret) as caller:
        yield caller


def registered(helpline: Caller, *values: bytes) -> tuple[str, list[bytes]]:
    """Register hashes; return the case number and the item ids."""
    receipt = helpline("RegisterHashes", register(*values)).receipt
    return receipt.case_number, [item.item_id for item in receipt.items]


def until_found(platforms: list[Caller], value: bytes, *item_ids: bytes, bank: str = "") -> None:
    """Wait until every worker finds these items near a hash."""
    banks = [bank] if bank else []
    for platform in platforms:
        eventually(
            lambda platform=platform: (
                items(  # type: ignore[misc]
                    platform("MatchHashes", lookup(value, banks=banks))
                )
                == [*item_ids]
            )
        )


def set_states(
    item_ids: list[bytes], state: Any, reason: Any = 0
) -> review_pb2.SetItemStatesRequest:
    return review_pb2.SetItemStatesRequest(item_ids=item_ids, state=state, reason=reason)


def newest_acts(reviewer: Caller, after: int) -> list[review_pb2.ActRecord]:
    acts = reviewer("ListActs", review_pb2.ListActsRequest(after=after, page_size=500)).acts
    return list(acts)


def acts_so_far(reviewer: Caller) -> int:
    verified = reviewer("VerifyActs", review_pb2.VerifyActsRequest())
    assert (verified.broken, verified.complete) == (0, True)
    return int(verified.verified)


def test_staff_switch_items_off_and_on_in_every_worker_and_the_log_says_so(
    helpline: Caller, reviewer: Caller, platforms: list[Caller]
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value)
    until_found(platforms, value, item_id)
    before = acts_so_far(reviewer)
    for _ in range(2):
        reason = review_pb2.STATE_REASON_FALSE_POSITIVES
        (shown,) = reviewer("SetItemStates", set_states([item_id], DISABLED, reason)).items
        assert (shown.item_id, shown.state, shown.reason) == (item_id, DISABLED, reason)
    until_found(platforms, value)
    reviewer("SetItemStates", set_states([item_id], LIVE))
    until_found(platforms, value, item_id)
    off, on = newest_acts(reviewer, before)
    assert (off.action, on.action) == (
        review_pb2.ACTION_ITEMS_DISABLED,
        review_pb2.ACTION_ITEMS_ENABLED,
    )
    assert json.loads(off.subject) == {"items": [item_id.hex()], "reason": "false_positives"}
    assert off.actor == on.actor
    verification = Verification()
    for act in newest_acts(reviewer, 0):
        record = Record(act.number, act.at_s, act.actor, act.action, act.subject, act.digest)
        verification.read([record])
    assert verification.broken is None


def test_a_log_without_its_newest_acts_is_reported_to_who_kept_one_of_them(
    helpline: Caller, reviewer: Caller
) -> None:
    _, (item_id,) = registered(helpline, distinctive())
    reviewer("SetItemStates", set_states([item_id], DISABLED))
    kept = reviewer("VerifyActs", review_pb2.VerifyActsRequest())
    assert (kept.broken, kept.complete, len(kept.digest)) == (0, True, 32)
    for after, digest, broken in (
        (kept.verified, kept.digest, 0),
        (kept.verified, bytes(32), kept.verified),
        (kept.verified + 1, kept.digest, kept.verified + 1),
    ):
        request = review_pb2.VerifyActsRequest(after=after, digest=digest)
        again = reviewer("VerifyActs", request)
        assert (again.broken, again.complete) == (broken, True)
        assert again.verified == (0 if broken else kept.verified)


def test_a_moved_item_is_found_in_its_new_bank_alone_and_a_mirror_is_told(
    server: Deployment,
    secrets: dict[str, str],
    helpline: Caller,
    reviewer: Caller,
    platforms: list[Caller],
) -> None:
    value = distinctive()
    case, (item_id,) = registered(helpline, value)
    until_found(platforms, value, item_id, bank="adults")

    with calling(server.address, secrets["feed"]) as mirror:
        end = ""
        while True:
            page = mirror("ListChanges", feed_pb2.ListChangesRequest(cursor=end, page_size=1000))
            end = page.next_cursor
            if page.caught_up:
                break
        request = review_pb2.MoveItemsRequest(item_ids=[item_id], bank="minors")
        (shown,) = reviewer("MoveItems", request).items
        assert (shown.bank, shown.state) == ("minors", LIVE)
        page = mirror("ListChanges", feed_pb2.ListChangesRequest(cursor=end))
        removed, added = page.changes
        assert removed.removed.item_id == added.added.item_id == item_id
        assert added.added.bank == "minors"
    until_found(platforms, value, bank="adults")
    until_found(platforms, value, item_id, bank="minors")
    # What is registered later goes to the bank of the age that the person says.
    receipt = helpline("RegisterHashes", register(distinctive(), case=case)).receipt
    later = review_pb2.GetItemRequest(item_id=receipt.items[0].item_id)
    assert reviewer("GetItem", later).item.bank == "adults"
    helpline("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(case)))
    until_found(platforms, value)


def test_a_confirmed_item_says_so_in_every_match(
    helpline: Caller, reviewer: Caller, platforms: list[Caller]
) -> None:
    value = distinctive()
    _, (item_id,) = registered(helpline, value)
    until_found(platforms, value, item_id)
    (shown,) = reviewer("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=[item_id])).items
    assert shown.assurance == types_pb2.ASSURANCE_REVIEWED
    for platform in platforms:
        eventually(
            lambda platform=platform: (
                [  # type: ignore[misc]
                    *platform("MatchHashes", lookup(value)).matches.assurances
                ]
                == [types_pb2.ASSURANCE_REVIEWED]
            )
        )


def test_staff_see_which_items_belong_together_and_no_case_number(
    helpline: Caller, reviewer: Caller, platform: Caller
) -> None:
    values = [distinctive(), distinctive()]
    case, item_ids = registered(helpline, *values)
    registered(helpline, distinctive())
    eventually(lambda: len(items(platform("MatchHashes", lookup(values[0])))) == 1)
    (match_id,) = platform("MatchHashes", lookup(values[0])).matches.match_ids
    report = match_pb2.ReportOutcomeRequest(
        match_id=match_id, outcome=match_pb2.OUTCOME_FALSE_POSITIVE
    )
    platform("ReportOutcome", report)
    answer = reviewer("ListItems", review_pb2.ListItemsRequest(case_of_item_id=item_ids[0]))
    assert [item.item_id for item in answer.items] == item_ids[::-1]
    (handle,) = {item.case_handle for item in answer.items}
    reported = reviewer("GetItem", review_pb2.GetItemRequest(item_id=item_ids[0])).item
    assert reported == answer.items[1]
    assert reported.reports == 1
    assert [(count.outcome, count.organisations) for count in reported.outcomes] == [
        (match_pb2.OUTCOME_FALSE_POSITIVE, 1)
    ]
    cases = reviewer("ListCases", review_pb2.ListCasesRequest(page_size=2)).cases
    (own,) = [each for each in cases if each.case_handle == handle]
    assert (own.live, own.item_id, own.status) == (
        2,
        item_ids[0],
        registration_pb2.CASE_STATUS_ACTIVE,
    )
    for said in (answer, cases[0], own):
        assert case not in str(said)
        assert case.replace("-", "") not in str(said)
        assert values[0].hex() not in str(said)


def test_pages_are_continued_by_their_token_and_by_no_other(
    helpline: Caller, reviewer: Caller
) -> None:
    _, item_ids = registered(helpline, *(distinctive() for _ in range(5)))
    asked = review_pb2.ListItemsRequest(case_of_item_id=item_ids[0], page_size=2)
    listed = list[bytes]()
    while True:
        answer = reviewer("ListItems", asked)
        assert len(answer.items) <= 2
        listed += [item.item_id for item in answer.items]
        asked.page_token = answer.next_page_token
        if not asked.page_token:
            break
    assert listed == item_ids[::-1]
    first = reviewer("ListItems", review_pb2.ListItemsRequest(page_size=1))
    for token in ("x", "é", first.next_page_token[:-4], first.next_page_token):
        refused = refusal(
            lambda token=token: reviewer(  # type: ignore[misc]
                "ListCases", review_pb2.ListCasesRequest(page_token=token)
            )
        )
        assert refused.fields == ("page_token",)


def test_a_rejected_case_takes_no_more_and_its_person_sees_that(
    helpline: Caller, reviewer: Caller
) -> None:
    case, item_ids = registered(helpline, distinctive(), distinctive())
    abuse = review_pb2.STATE_REASON_ABUSE
    reviewer("SetItemStates", set_states(item_ids, DISABLED, abuse))
    request = registration_pb2.GetCaseRequest(access=access(case))
    assert helpline("GetCase", request).case.status == registration_pb2.CASE_STATUS_REJECTED
    refused = refusal(lambda: helpline("RegisterHashes", register(distinctive(), case=case)))
    assert refused.reason == "CASE_CLOSED"
    reviewer("SetItemStates", set_states(item_ids[:1], LIVE))
    assert helpline("GetCase", request).case.status == registration_pb2.CASE_STATUS_ACTIVE
    helpline("WithdrawCase", registration_pb2.WithdrawCaseRequest(access=access(case)))


def test_what_is_withdrawn_is_refused_and_nothing_else_is_changed(
    helpline: Caller, reviewer: Caller
) -> None:
    case, (item_id, gone) = registered(helpline, distinctive(), distinctive())
    helpline(
        "WithdrawItems",
        registration_pb2.WithdrawItemsRequest(access=access(case), item_ids=[gone]),
    )
    before = acts_so_far(reviewer)
    both = [item_id, gone]
    for method, request in (
        ("SetItemStates", set_states(both, DISABLED)),
        ("MoveItems", review_pb2.MoveItemsRequest(item_ids=both, bank="minors")),
        ("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=both)),
        ("GetItem", review_pb2.GetItemRequest(item_id=gone)),
        ("ListItems", review_pb2.ListItemsRequest(case_of_item_id=gone)),
    ):
        refused = refusal(
            lambda method=method, request=request: reviewer(method, request)  # type: ignore[misc]
        )
        assert refused.code == grpc.StatusCode.NOT_FOUND
    item = reviewer("GetItem", review_pb2.GetItemRequest(item_id=item_id)).item
    assert (item.state, item.bank, item.assurance) == (
        LIVE,
        "adults",
        types_pb2.ASSURANCE_SELF_REPORTED,
    )
    assert acts_so_far(reviewer) == before


def test_a_key_neither_sees_nor_changes_items_of_other_banks(
    helpline: Caller, reviewer: Caller, of_adults: Caller
) -> None:
    _, (adult, minor) = registered(helpline, distinctive(), distinctive())
    reviewer("MoveItems", review_pb2.MoveItemsRequest(item_ids=[minor], bank="minors"))
    answer = of_adults("ListItems", review_pb2.ListItemsRequest(case_of_item_id=adult))
    assert [item.item_id for item in answer.items] == [adult]
    (newest,) = of_adults("ListCases", review_pb2.ListCasesRequest(page_size=1)).cases
    assert (newest.live, newest.item_id) == (1, adult)
    before = acts_so_far(reviewer)
    for method, request in (
        ("SetItemStates", set_states([adult, minor], DISABLED)),
        ("MoveItems", review_pb2.MoveItemsRequest(item_ids=[minor], bank="adults")),
        ("MoveItems", review_pb2.MoveItemsRequest(item_ids=[adult], bank="minors")),
        ("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=[minor])),
        ("GetItem", review_pb2.GetItemRequest(item_id=minor)),
        ("ListItems", review_pb2.ListItemsRequest(case_of_item_id=minor)),
        ("ListItems", review_pb2.ListItemsRequest(banks=["minors"])),
    ):
        refused = refusal(
            lambda method=method, request=request: of_adults(method, request)  # type: ignore[misc]
        )
        assert refused.code == grpc.StatusCode.PERMISSION_DENIED, method
    assert acts_so_far(reviewer) == before


@pytest.mark.parametrize(
    ("method", "request_", "field"),
    [
        ("GetItem", review_pb2.GetItemRequest(item_id=b"short"), "item_id"),
        ("ListItems", review_pb2.ListItemsRequest(page_size=501), "page_size"),
        ("ListItems", review_pb2.ListItemsRequest(states=[9]), "states"),  # type: ignore[list-item]
        ("ListItems", review_pb2.ListItemsRequest(outcome=9), "outcome"),  # type: ignore[arg-type]
        ("ListItems", review_pb2.ListItemsRequest(banks=["nobody's"]), "banks"),
        (
            "ListItems",
            review_pb2.ListItemsRequest(changed=review_pb2.DayRange(first="20261124")),
            "changed",
        ),
        (
            "ListCases",
            review_pb2.ListCasesRequest(opened=review_pb2.DayRange(last="tomorrow")),
            "opened",
        ),
        ("ListActs", review_pb2.ListActsRequest(page_size=501), "page_size"),
        ("VerifyActs", review_pb2.VerifyActsRequest(after=1), "digest"),
        ("SetItemStates", set_states([bytes(16)], 0), "state"),
        (
            "SetItemStates",
            set_states([bytes(16)], LIVE, review_pb2.STATE_REASON_ABUSE),
            "reason",
        ),
        (
            "SetItemStates",
            set_states([bytes(16)], LIVE, review_pb2.STATE_REASON_UNREVIEWED),
            "reason",
        ),
        (
            "SetItemStates",
            set_states([bytes(16)], DISABLED, review_pb2.STATE_REASON_BANK),
            "reason",
        ),
        ("SetItemStates", set_states([], DISABLED), "item_ids"),
        ("ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=[b"x"]), "item_ids"),
        (
            "ConfirmItems",
            review_pb2.ConfirmItemsRequest(item_ids=[bytes(16)] * (ITEMS_AT_ONCE + 1)),
            "item_ids",
        ),
        ("MoveItems", review_pb2.MoveItemsRequest(item_ids=[bytes(16)]), "bank"),
    ],
)
def test_a_request_that_is_wrong_is_refused_by_the_field(
    reviewer: Caller, method: str, request_: object, field: str
) -> None:
    refused = refusal(lambda: reviewer(method, request_))
    assert (refused.code, refused.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
