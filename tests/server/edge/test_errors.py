"""Bad input gets its code, reason and field, over a real socket."""

from __future__ import annotations

import io
import json
import re
import secrets as random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest
from PIL import Image

from disrupt.core.cases import case_number
from disrupt.core.media import ITEM_ID_BYTES
from disrupt.v1 import match_pb2, registration_pb2, review_pb2, types_pb2
from rig.callers.acts import match_id, registered, report, withdraw
from rig.callers.caller import (
    PIN,
    TIMEOUT_S,
    Caller,
    Refused,
    access,
    calling,
    distinctive,
    lookup,
    refusal,
    register,
)
from rig.media.generated import picture, plain
from rig.servers.deployment import Deployment, Start, run

INVALID = grpc.StatusCode.INVALID_ARGUMENT
HASH = bytes(range(32))
ITEM = bytes(ITEM_ID_BYTES)
ENABLED = review_pb2.ITEM_STATE_ENABLED


def image(data: bytes, **options: Any) -> match_pb2.MatchImageRequest:
    return match_pb2.MatchImageRequest(image=data, options=match_pb2.MatchOptions(**options))


def check(refused: Refused, code: grpc.StatusCode, reason: str, *fields: str) -> None:
    assert (refused.code, refused.reason, refused.fields) == (code, reason, fields)
    assert refused.domain == "disrupt"


def listing(page_size: int = 1, **named: Any) -> review_pb2.ListItemsRequest:
    conditions = review_pb2.ItemConditions(**named)
    return review_pb2.ListItemsRequest(conditions=conditions, page_size=page_size)


def states(*item_ids: bytes, **chosen: Any) -> review_pb2.SetItemStatesRequest:
    return review_pb2.SetItemStatesRequest(item_ids=item_ids, **chosen)


def disputed() -> registration_pb2.RegisterHashesRequest:
    """Return a registration that says what only the server's feed says."""
    request = register(HASH)
    request.items[0].fingerprints.below_bits.append(0)
    return request


def unrelated(kind: types_pb2.MediaKind.ValueType) -> registration_pb2.RegisterHashesRequest:
    """Return a registration of 1000 unrelated hashes of one moment as one picture or video."""
    request = register(random.token_bytes(32 * 1000))
    item = request.items[0]
    item.kind, item.fingerprints.qualities = kind, bytes([100]) * 1000
    if kind == types_pb2.MEDIA_KIND_VIDEO:
        item.fingerprints.start_ms.extend([0] * 1000)
        item.fingerprints.end_ms.extend([3_600_000] * 1000)
    return request


def misplaced() -> registration_pb2.RegisterHashesRequest:
    """Return a registration that names a wider network and not the network within it."""
    request = register(HASH)
    request.context.access.wider_origin_tokens.append(b"48")
    return request


REFUSED_BY_FIELD: list[tuple[str, str, Any, str]] = [
    ("platform", "MatchHashes", match_pb2.MatchHashesRequest(), "hashes"),
    ("platform", "MatchHashes", lookup(HASH, max_distance_bits=32), "options.max_distance_bits"),
    ("platform", "MatchHashes", lookup(HASH, banks=["nobody's"]), "options.banks"),
    ("platform", "MatchHashes", lookup(HASH, banks=["common"]), "options.banks"),
    ("platform", "ReportOutcome", match_pb2.ReportOutcomeRequest(outcome=1), "match_id"),  # type: ignore[arg-type]
    ("helpline", "RegisterHashes", disputed(), "items[0].fingerprints.below_bits"),
    *(
        ("helpline", "RegisterHashes", unrelated(kind), "items[0].fingerprints")
        for kind in (types_pb2.MEDIA_KIND_IMAGE, types_pb2.MEDIA_KIND_VIDEO)
    ),
    ("helpline", "RegisterHashes", misplaced(), "context.access.wider_origin_tokens"),
    ("reviewer", "SetItemStates", states(state=ENABLED), "item_ids"),
    ("reviewer", "SetItemStates", states(*[ITEM] * 501, state=ENABLED), "item_ids"),
    ("reviewer", "SetItemStates", states(b"short", state=ENABLED), "item_ids[0]"),
    ("reviewer", "SetItemStates", states(ITEM), "state"),
    ("reviewer", "SetItemStates", states(ITEM, state=review_pb2.ITEM_STATE_WAITING), "state"),
    ("reviewer", "SetItemStates", states(ITEM, state=ENABLED, reason="PIN 4839201756"), "reason"),
    ("reviewer", "MoveItems", review_pb2.MoveItemsRequest(item_ids=[ITEM], bank="none"), "bank"),
    ("reviewer", "MoveItems", review_pb2.MoveItemsRequest(item_ids=[ITEM], bank="common"), "bank"),
    ("reviewer", "ListItems", listing(first_day="yesterday"), "conditions.first_day"),
    (
        "reviewer",
        "ListItems",
        listing(outcome=match_pb2.OUTCOME_FALSE_POSITIVE),
        "conditions.outcome",
    ),
    ("reviewer", "ListItems", listing(outcome=9), "conditions.outcome"),
    ("reviewer", "ListItems", listing(501), "page_size"),
    ("reviewer", "ListActs", review_pb2.ListActsRequest(page_size=501), "page_size"),
    (
        "reviewer",
        "PreviewItems",
        review_pb2.PreviewItemsRequest(conditions=review_pb2.ItemConditions(case_tag=bytes(7))),
        "conditions.case_tag",
    ),
    ("reviewer", "SettleDisputes", review_pb2.SettleDisputesRequest(item_ids=[ITEM]), "settlement"),
    ("reviewer", "ShowItem", review_pb2.ShowItemRequest(), "item_id"),
    ("reviewer", "ShowItem", review_pb2.ShowItemRequest(match_id=b"none"), "match_id"),
    ("reviewer", "EraseCase", review_pb2.EraseCaseRequest(case_number="ABC"), "case_number"),
]


@pytest.mark.parametrize(("who", "method", "request_", "field"), REFUSED_BY_FIELD)
def test_a_wrong_request_is_refused_by_field(
    request: pytest.FixtureRequest, who: str, method: str, request_: Any, field: str
) -> None:
    caller: Caller = request.getfixturevalue(who)
    check(refusal(lambda: caller(method, request_)), INVALID, "INVALID_REQUEST", field)


def test_an_operator_may_search_further(server: Deployment) -> None:
    both = server.make_key("some", "match", "operator")
    with calling(server.address, both) as operator:
        operator("MatchHashes", lookup(HASH, max_distance_bits=63))
        refused = refusal(lambda: operator("MatchHashes", lookup(HASH, max_distance_bits=64)))
    check(refused, INVALID, "INVALID_REQUEST", "options.max_distance_bits")


def test_what_is_unknown_or_withdrawn_is_not_found(
    helpline: Caller, platform: Caller, reviewer: Caller
) -> None:
    value = distinctive()
    case, ids = registered(helpline, value)
    matched = match_id(platform, value)
    withdraw(helpline, case)
    outcome = match_pb2.OUTCOME_BLOCKED
    for call in (
        partial(report, platform, matched, outcome),
        partial(reviewer, "SetItemStates", states(*ids, state=ENABLED)),
        partial(reviewer, "MoveItems", review_pb2.MoveItemsRequest(item_ids=ids, bank="minors")),
        partial(reviewer, "ConfirmItems", review_pb2.ConfirmItemsRequest(item_ids=ids)),
        partial(reviewer, "ShowItem", review_pb2.ShowItemRequest(item_id=ids[0])),
        partial(reviewer, "UndoAct", review_pb2.UndoActRequest(act=10**9)),
    ):
        refused = refusal(call)
        check(refused, grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
        assert refused.retry_after_s is None
    erasing = review_pb2.EraseCaseRequest(case_number=case)
    check(
        refusal(lambda: reviewer("EraseCase", erasing)),
        grpc.StatusCode.FAILED_PRECONDITION,
        "CASE_CLOSED",
    )


def test_a_match_id_of_another_organisation_is_refused_as_no_match_id_is(
    server: Deployment, helpline: Caller, platform: Caller
) -> None:
    value, outcome = distinctive(), match_pb2.OUTCOME_BLOCKED
    registered(helpline, value)
    own = match_id(platform, value)
    with calling(server.address, server.make_key("another platform", "match")) as other:
        (refused,) = {
            refusal(lambda caller=caller, given=given: report(caller, given, outcome))  # type: ignore[misc]
            for caller, given in (
                (other, own),
                (platform, bytes(len(own))),
                (platform, own[:-1]),
                (platform, random.token_bytes(10_000)),
            )
        }
    check(refused, INVALID, "INVALID_REQUEST", "match_id")
    for number in (0, 5, -1):
        unknown: Any = number
        check(
            refusal(partial(report, platform, own, unknown)), INVALID, "INVALID_REQUEST", "outcome"
        )


def bomb() -> bytes:
    """Return a PNG file of a few kilobytes whose header says 120 megapixels."""
    file = io.BytesIO()
    Image.new("1", (12_000, 10_000)).save(file, "PNG", compress_level=9)
    return file.getvalue()


def test_bytes_that_are_no_acceptable_picture_are_refused_and_the_next_call_works(
    platform: Caller, staff: Caller, tmp_path: Path
) -> None:
    good = picture(tmp_path / "a.png", 1).read_bytes()
    context = register(HASH).context
    half = good[: len(good) // 2]  # of which lookups hash what there is
    for bad in (b"", b"no picture", b"%PDF-1.7", half, bomb()):
        if bad != half:
            refused = refusal(lambda bad=bad: platform("MatchImage", image(bad)))  # type: ignore[misc]
            check(refused, INVALID, "INVALID_MEDIA", "image")
        request = registration_pb2.RegisterImageRequest(context=context, image=bad)
        refused = refusal(lambda request=request: staff("RegisterImage", request))  # type: ignore[misc]
        check(refused, INVALID, "INVALID_MEDIA", "image")
    assert "50" in refused.message  # the limit in megapixels
    assert platform("MatchImage", image(good)).quality >= 50


def test_a_featureless_picture_is_an_outcome_with_score_and_advice(
    platform: Caller, staff: Caller, helpline: Caller, tmp_path: Path
) -> None:
    data = plain(tmp_path / "a.png").read_bytes()
    looked_up = platform("MatchImage", image(data))
    assert looked_up.HasField("low_quality")
    request = registration_pb2.RegisterImageRequest(context=register(HASH).context, image=data)
    (of_image,) = staff("RegisterImage", request).receipt.rejected
    receipt = helpline("RegisterHashes", register(HASH, quality=49)).receipt
    assert (receipt.case_number, receipt.cursor, len(receipt.items)) == ("", "", 0)
    low_qualities = (looked_up.low_quality, of_image.low_quality, receipt.rejected[0].low_quality)
    for low, least in zip(low_qualities, (40, 50, 50), strict=True):
        assert low.quality < low.minimum_quality == least
        assert low.advice
    batch = match_pb2.MatchHashesRequest(hashes=HASH * 2, qualities=bytes([49, 50]))
    assert list(platform("MatchHashes", batch).low_quality_queries) == [0]


def test_a_featureless_picture_for_a_case_needs_its_pin_as_any_other(
    staff: Caller, helpline: Caller, tmp_path: Path
) -> None:
    case = helpline("RegisterHashes", register(HASH)).receipt.case_number
    data = plain(tmp_path / "a.png").read_bytes()

    def request(pin: str) -> registration_pb2.RegisterImageRequest:
        context = register(HASH, case=case, pin=pin).context
        return registration_pb2.RegisterImageRequest(context=context, image=data)

    refused = refusal(lambda: staff("RegisterImage", request("999999999999")))
    check(refused, grpc.StatusCode.NOT_FOUND, "CASE_REFUSED")
    receipt = staff("RegisterImage", request(PIN)).receipt
    assert (receipt.case_number, len(receipt.rejected)) == (case, 1)


def test_a_message_over_the_limit_is_refused_with_the_limit(platform: Caller) -> None:
    refused = refusal(lambda: platform("MatchImage", image(bytes(700_000))))
    assert refused.code == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "600000" in refused.message
    assert (
        platform("GetIndexStatus", match_pb2.GetIndexStatusRequest()).limits.message_bytes == 600000
    )


def test_a_message_of_too_many_hashes_is_refused_with_the_limit_in_hashes(
    platform: Caller,
) -> None:
    for count in (10_001, 15_000):
        many = lookup(bytes(32 * count))
        refused = refusal(partial(platform, "MatchHashes", many))
        assert re.search(r"\b10000\b( hashes| in one call)", refused.message), refused


def test_an_unknown_case_and_a_wrong_pin_get_one_and_the_same_answer(helpline: Caller) -> None:
    case = helpline("RegisterHashes", register(random.token_bytes(32))).receipt.case_number
    seen = set()
    for number, pin in ((case, "210987654321"), (case_number(5), PIN)):
        opened = access(number, pin)
        requests = {
            "GetCase": registration_pb2.GetCaseRequest(access=opened),
            "WithdrawCase": registration_pb2.WithdrawCaseRequest(access=opened),
            "WithdrawItems": registration_pb2.WithdrawItemsRequest(
                access=opened, item_ids=[bytes(16)]
            ),
            "RegisterHashes": register(HASH, case=number, pin=pin),
        }
        for method, request in requests.items():
            seen.add(refusal(lambda: helpline(method, request)))
    (answer,) = seen
    check(answer, grpc.StatusCode.NOT_FOUND, "CASE_REFUSED")


def test_a_call_that_waits_for_its_caller_ends_when_its_key_is_revoked(start: Start) -> None:
    server = start(settings="max_call_s = 600\nvideo_stall_s = 600\n", workers=1)
    words = ("create", "some", "--right", "match", "--right", "staff", "--json")
    made_key = json.loads(run("disrupt", "keys", *words, "--data-dir", server.data_dir))
    over = Event()
    firsts = {
        "MatchVideo": match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions()),
        "RegisterVideo": registration_pb2.RegisterVideoRequest(context=register(HASH).context),
    }
    sent = {method: Event() for method in firsts}

    def parts(method: str) -> Iterator[Any]:
        yield firsts[method]
        sent[method].set()
        over.wait()

    def refused(caller: Caller, method: str) -> Refused:
        return refusal(lambda: caller(method, parts(method), timeout=None))

    with calling(server.address, made_key["secret"]) as caller, ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(refused, caller, method) for method in firsts]
        try:
            assert all(event.wait(TIMEOUT_S) for event in sent.values())
            run("disrupt", "keys", "revoke", made_key["key_id"], "--data-dir", server.data_dir)
            for running_call in calls:
                answer = running_call.result()
                check(answer, grpc.StatusCode.UNAUTHENTICATED, "KEY_REFUSED")
        finally:
            over.set()


def test_a_call_that_does_not_exist_is_unimplemented(platform: Caller) -> None:
    health: Any = platform.channel.unary_unary("/grpc.health.v1.Health/Nothing")  # needs no key
    refused = refusal(lambda: health(b"", timeout=TIMEOUT_S))
    check(refused, grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED")
    nothing: Any = platform.channel.unary_unary("/disrupt.v1.MatchService/Nothing")
    refused = refusal(lambda: nothing(b"", timeout=TIMEOUT_S))
    check(refused, grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED")


def test_compressed_messages_are_refused_before_they_are_inflated(platform: Caller) -> None:
    for method in ("/grpc.health.v1.Health/Check", "/disrupt.v1.MatchService/MatchHashes"):
        call: Any = platform.channel.unary_unary(method)
        refused = refusal(
            partial(call, bytes(30 << 20), compression=grpc.Compression.Gzip, timeout=TIMEOUT_S)
        )
        assert refused.code == grpc.StatusCode.UNIMPLEMENTED


def test_bytes_that_are_no_message_do_not_hurt(platform: Caller) -> None:
    call: Any = platform.channel.unary_unary("/disrupt.v1.MatchService/MatchHashes")
    metadata = [("authorization", f"Bearer {platform.key}")]
    refused = refusal(lambda: call(b"\xff\xff\xff", metadata=metadata, timeout=TIMEOUT_S))
    check(refused, INVALID, "INVALID_REQUEST")
    huge = [*metadata, ("x", "y" * 100_000)]
    assert refusal(lambda: call(b"", metadata=huge, timeout=TIMEOUT_S)).code != grpc.StatusCode.OK
    refusal(lambda: call(b"", metadata=metadata, timeout=1e-6))
    platform("MatchHashes", lookup(HASH))
